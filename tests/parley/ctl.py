"""Running parleyctl against a stack."""

import json
import os
import subprocess

from .stack import binary


def run(stack, *args, stdin="", env=None, timeout=60):
    """parleyctl with the stack's settings; a CompletedProcess with text."""
    return subprocess.run([binary("parleyctl"), "--config", str(stack.var / "conf/parley.env"), *map(str, args)],
                          input=stdin, capture_output=True, text=True, timeout=timeout,
                          env={"PATH": os.environ["PATH"], **(env or {})})


def ask(stack, *args, **options):
    """The JSON a command prints; it has to succeed."""
    done = run(stack, "--json", *args, **options)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def doctor(stack, *args, timeout=90, **options):
    """(exit status, verdicts) of a visit."""
    done = run(stack, "--json", "doctor", *args, timeout=timeout, **options)
    assert done.returncode in (0, 1), (done.returncode, done.stdout, done.stderr)
    return done.returncode, json.loads(done.stdout)

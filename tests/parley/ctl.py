"""Running parleyctl against a stack."""

import json
import os
import re
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


def table():
    """{command: (arguments, sentence, options)} as --help tells them."""
    top = subprocess.run([binary("parleyctl"), "--help"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in top.partition("Commands:\n")[2].partition("\n\n")[0].splitlines():
        usage = re.match(r"  ((?:[a-z]+ ?)+?)(?: (\[?[A-Z]+\]?(?: \[[A-Z]+\])?))? +(?=[A-Z][a-z])(.*)$", line)
        assert usage, line
        text = subprocess.run([binary("parleyctl"), *usage[1].split(), "--help"], capture_output=True, text=True, check=True).stdout
        own = text.partition("Options:\n")[2].partition("  --config ")[0]
        found[usage[1].strip()] = (usage[2] or "", usage[3], re.findall(r"^  --(\S+)", own, re.M))
    return found

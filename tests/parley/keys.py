"""The key file: `kid secret` a line, the secret in hex; the first key signs, all verify."""

import secrets
import signal

from .wait import eventually

READERS = ("fcgi-app", "fcgi-auth", "ws-daemon")


def _lines(stack):
    return [line for line in stack.key_file().read_text().splitlines() if line.split("#")[0].strip()]


def _write(stack, lines):
    """In place, so that owner and mode stay, then restart whoever read it."""
    stack.key_file().write_text("".join(line + "\n" for line in lines))
    old = {name: stack.kill(name, signal.SIGTERM) for name in READERS}
    for name, pid in old.items():
        eventually(lambda: stack.runs_again(name, pid), what=f"{name} restarted")
    stack.forget_probes()               # their key may be the one that went
    eventually(stack.ready, what="the stack answers again")


def read(stack):
    """{kid: key}"""
    return {kid: bytes.fromhex(secret) for kid, secret in (line.split("#")[0].split() for line in _lines(stack))}


def rotate(stack):
    """Put a new key first; the kid it has."""
    kid = f"k{secrets.token_hex(4)}"
    _write(stack, [f"{kid} {secrets.token_hex(32)}", *_lines(stack)])
    return kid


def retire(stack, kid):
    """Take a key out."""
    _write(stack, [line for line in _lines(stack) if line.split()[0] != kid])

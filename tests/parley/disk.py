"""A small disk of a test's own, to be filled: a tmpfs, which only root may mount."""

import errno
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    def __init__(self, path):
        self.path = Path(path)
        self.ballast = self.path / "ballast"

    def fill(self):
        """Not one more block can be had."""
        with open(self.ballast, "ab", buffering=0) as out:
            for size in (1 << 20, 4096):
                try:
                    while out.write(bytes(size)):
                        pass
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def free(self):
        self.ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(path, megabytes, owner=None):
    """Mounted at path, which is made, for as long as the block lasts."""
    os.makedirs(path)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs", str(path)],
                          capture_output=True, text=True)
    if done.returncode:
        os.rmdir(path)
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        if owner:
            subprocess.run(["chown", f"{owner}:", str(path)], check=True)
        yield Disk(path)
    finally:
        subprocess.run(["umount", str(path)], check=True)
        os.rmdir(path)

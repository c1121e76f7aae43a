"""The documents' grey boxes, for the tests that run them. The info string of a box says what it is, as in
```bash run restore; the tests of a document know all kinds there are in it."""

import re

from .stack import ROOT

BOX = re.compile(r"^```(\w+)(?: (\w+))?(?: (\w+))?\n(.*?)^```$", re.M | re.S)


def text(name):
    return (ROOT / "docs" / name).read_text()


def kinds(name):
    """[(syntax, kind, name)] of all boxes of docs/<name>, empty where there is none."""
    return [words for *words, _ in BOX.findall(text(name))]


def boxes(name, *kind):
    """The texts of the boxes whose info string begins with these words; there is one at least."""
    found = [box for *words, box in BOX.findall(text(name)) if tuple(words[:len(kind)]) == kind]
    assert found, kind
    return found


def box(name, *kind):
    """The only box of its kind."""
    found, = boxes(name, *kind)
    return found


def cron_jobs(crontab):
    """The commands of a crontab's lines, as cron gives them to /bin/sh."""
    return [re.fullmatch(r"(?:\S+ +){5}(.*)", line)[1] for line in crontab.splitlines() if line]

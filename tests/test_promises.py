"""docs/guarantees.md and docs/security.md: each promise names its proof, and the proof is there."""

import ast
import re

import pytest

from parley.stack import ROOT

PAGES = ["guarantees.md", "security.md"]


def promises(page):
    """[(promise, its proof)]: the rows of the page's tables."""
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", (ROOT / "docs" / page).read_text(), re.M)
    return [row for row in rows if row != ("promise", "proof")]


def names_in(name):
    tree = ast.parse((ROOT / "tests" / name).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def is_there(proof):
    """A test, as file.py::name, or a fuzz target with seeds."""
    if proof.startswith("tests/fuzz/"):
        seeds = ROOT / "tests/fuzz/corpus" / proof.removeprefix("tests/fuzz/").removesuffix(".c")
        return (ROOT / proof).is_file() and any(seeds.iterdir())
    name, _, test = proof.partition("::")
    return (ROOT / "tests" / name).is_file() and test in names_in(name)


@pytest.mark.parametrize("page", PAGES)
def test_every_promise_has_its_proof(page):
    found = promises(page)
    assert len(found) > 15
    without = [promise for promise, proof in found if not re.search(r"`[^`]+`", proof)]
    missing = [proof for _, proofs in found for proof in re.findall(r"`([^`]+)`", proofs) if not is_there(proof)]
    assert not without and not missing


def test_every_fuzz_target_proves_something_or_is_within():
    """A target nobody names protects nothing we promise: name it, or say here which boundary is internal."""
    internal = {"config", "notify"}       # the administrator's files, and what daemons tell each other
    named = set(re.findall(r"tests/fuzz/(\w+)\.c", (ROOT / "docs/security.md").read_text()))
    assert named | internal == {path.stem for path in (ROOT / "tests/fuzz").glob("*.c")}

"""The programs as they were built: what makes a fault in them harder to use is there.

Read from the files themselves, so that a flag that is lost, or that the compiler did not know, is noticed.
"""

import platform
import re
import subprocess

import pytest

from parley.stack import BUILD, ROOT, binary

PROGRAMS = sorted(main.parent.name for main in ROOT.glob("*/main.c"))
PROGRAMS = ["parleyctl" if name == "ctl" else name for name in PROGRAMS]
SANITIZED = BUILD.endswith("-san")


def readelf(option, program, *more):
    return subprocess.run(["readelf", "-W", option, *more, binary(program)],
                          check=True, capture_output=True, text=True).stdout


def imports(program):
    """The names of the functions it takes from libraries."""
    return set(re.findall(r"UND (\w+)@", readelf("--dyn-syms", program)))


def compiled_with(program):
    """{source: the compiler's switches} of every C file in it, as the debugging information has them."""
    info = readelf("--debug-dump=info", program, "--dwarf-depth=1")
    producers = re.findall(r"DW_AT_producer\s*:[^\n]*?GNU C(?!\+)[^\n]*", info)   # not the C++ of a sanitizer
    names = re.findall(r"DW_AT_name\s*:[^\n]*?(\S+\.c)\s*$", info, re.M)
    assert len(producers) == len(names) > 10
    return dict(zip(names, producers))


def test_every_program_is_looked_at():
    assert {"courier", "fcgi-app", "ws-daemon"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_code_lies_where_nobody_can_guess(program):
    assert "Type:                              DYN" in readelf("--file-header", program)
    assert re.search(r"FLAGS_1.*\bPIE\b", readelf("--dynamic", program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_tables_of_functions_are_read_only_once_it_runs(program):
    dynamic = readelf("--dynamic", program)
    assert "GNU_RELRO" in readelf("--program-headers", program)
    assert re.search(r"\(FLAGS\).*BIND_NOW", dynamic) and re.search(r"FLAGS_1.*\bNOW\b", dynamic)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_memory_is_both_writable_and_executable(program):
    segments = re.findall(r"^ +(LOAD|GNU_STACK) .*? ([R ][W ][E ]) +0x", readelf("--program-headers", program), re.M)
    assert any(kind == "GNU_STACK" for kind, _ in segments) and len(segments) > 2
    for kind, flags in segments:
        assert not ("W" in flags and "E" in flags), f"{kind} is {flags}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_libraries_come_from_where_the_system_has_them(program):
    assert not re.search(r"R(UN)?PATH|TEXTREL", readelf("--dynamic", program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_stack_is_guarded_in_every_file(program):
    assert "__stack_chk_fail" in imports(program)
    wanted = ["-fstack-protector-strong", "-fstack-clash-protection", "-fPIE"]
    if platform.machine() == "x86_64":
        wanted.append("-fcf-protection")
    for source, switches in compiled_with(program).items():
        for switch in wanted:
            assert switch in switches, f"{source} was compiled without {switch}"


@pytest.mark.skipif(SANITIZED, reason="ASan checks more than _FORTIFY_SOURCE would")
@pytest.mark.parametrize("program", PROGRAMS)
def test_copies_into_buffers_of_known_size_are_checked(program):
    taken = imports(program)
    assert {"__snprintf_chk", "__vsnprintf_chk"} <= taken, {name for name in taken if name.endswith("_chk")}
    # These have no bound of their own: without _FORTIFY_SOURCE they would be here by these names.
    assert not taken & {"gets", "strcpy", "strcat", "sprintf", "vsprintf"}

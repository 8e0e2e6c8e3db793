"""A xen-syms with DWARF becomes a profile; whatever a damaged one does to drgn is a line."""

from __future__ import annotations

import os
import sys

import pytest

from inspector.base.errors import VtdpiError
from inspector.profiles import dwarf


@pytest.fixture
def tiny(unpacked):
    return unpacked("tiny/xen-syms")


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Call it with a shell script that reads DWARF in place of Python's."""

    def instead(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return instead


def test_a_xen_syms_becomes_a_profile(tiny):
    made = dwarf.make(tiny)
    assert made.build_id == dwarf.build_id_of(tiny)
    assert made.version == "4.20.9-test"
    assert made.offset("vcpu", "arch.pi_desc.pir") == 32
    assert made.size("pi_desc") == 40
    assert made.selection("pi_desc", "on").offset == 32
    assert made.symbol("domain_list") & 7 == 0


def test_the_folder_where_one_is_has_no_part_in_it(tiny, tmp_path, monkeypatch):
    (tmp_path / "drgn.py").write_text("raise SystemExit(7)")
    (tmp_path / "inspector").mkdir()
    monkeypatch.chdir(tmp_path)
    assert dwarf.make(tiny).version == "4.20.9-test"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -SEGV $$", r"drgn ended by SIGSEGV"),
        ("exit 3", "drgn ended with status 3"),
        ("echo '['", "drgn ended with status 0"),
        ("""echo '{"damaged": "its units"}'""", r"\(its units\)"),
        ("echo '{}'", "no struct vcpu in it"),
        ("echo '[]'", "status 0"),
        ("""echo '{"user_types": 3, "symbols": 4}'""", "status 0"),
        ("""echo '{"symbols": {"domain_list": 4}}'""", "status 0"),
        ("""echo '{"missing": ""}'""", "no DWARF in it"),
        ("exec sleep 100", "not read within 1 s"),
    ],
)
def test_what_a_damaged_one_does_to_drgn_is_a_line(script, said, tiny, reader, monkeypatch):
    monkeypatch.setattr(dwarf, "LONGEST", 1 if "sleep" in script else 60)
    reader(script)
    with pytest.raises(VtdpiError, match=said) as error:
        dwarf.make(tiny)
    assert "\n" not in str(error.value)


def test_without_drgn_it_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setattr(dwarf, "find_spec", lambda name: None)
    with pytest.raises(VtdpiError, match=r"read with drgn, .* `pip install 'vtdpi\[symbols\]'`"):
        dwarf.make(tiny)


def test_within_a_gdb_whose_python_is_not_there(tiny, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    monkeypatch.setenv("PATH", os.path.dirname(os.path.realpath(os.__file__ + "/../../../bin/python3")))
    assert dwarf.make(tiny).version == "4.20.9-test"
    monkeypatch.setenv("PATH", "/no/such")
    monkeypatch.setattr(sys, "exec_prefix", "/no/such")
    with pytest.raises(VtdpiError, match="no Python to do it with"):
        dwarf.make(tiny)

"""The program that reads DWARF: what it prints, and what it may take."""

from __future__ import annotations

import json
import subprocess
import sys


def printed(path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "inspector.profiles.dwarf_types", str(path)]
    return subprocess.run(command, capture_output=True, check=True, timeout=60)


def test_types_as_a_profile_has_them(unpacked):
    document = json.loads(printed(unpacked("tiny/xen-syms")).stdout)
    vcpu = document["user_types"]["vcpu"]
    assert vcpu["size"] == 96
    assert vcpu["fields"]["domain"] == {
        "offset": 8,
        "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "domain"}},
    }
    assert document["symbols"]["domain_list"]["type"]["kind"] == "pointer"
    assert document["base_types"]["_Bool"]["kind"] == "bool"


def test_no_dwarf_and_damage_are_said(unpacked, tmp_path):
    raw = unpacked("tiny/xen-syms").read_bytes()
    path = tmp_path / "xen-syms"
    path.write_bytes(raw.replace(b".debug_info", b".other_info"))
    assert "missing" in json.loads(printed(path).stdout)
    path.write_bytes(b"no ELF")
    assert json.loads(printed(path).stdout).keys() <= {"missing", "damaged"}
    assert b"Traceback" not in printed(tmp_path / "none").stderr

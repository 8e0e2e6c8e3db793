"""Documents that nobody of us wrote: refused in a line, or good for whoever reads memory by them."""

from __future__ import annotations

import json
from copy import deepcopy
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structs.xen import isf
from structs.xen.errors import ProfileError
from structs.xen.profile import Profile

PATHS = [
    path for path in (files("structs.xen") / "profiles").iterdir() if path.name.startswith(("39a640e6", "ea92b67a"))
]
DOCUMENTS = [json.loads(path.read_bytes()) for path in PATHS]
SMALL = {
    "metadata": {"xen": {"build_id": "00", "version": "demo"}},
    "base_types": {"int": {"size": 4, "signed": True, "kind": "int", "endian": "little"}},
    "user_types": {
        "inner": {"kind": "struct", "size": 8, "fields": {"x": {"offset": 4, "type": {"kind": "base", "name": "int"}}}},
        "outer": {
            "kind": "struct",
            "size": 32,
            "fields": {
                "two": {
                    "offset": 8,
                    "type": {"kind": "array", "count": 2, "subtype": {"kind": "struct", "name": "inner"}},
                },
                "bits": {
                    "offset": 0,
                    "type": {
                        "kind": "bitfield",
                        "bit_position": 3,
                        "bit_length": 7,
                        "type": {"kind": "base", "name": "int"},
                    },
                },
                "unnamed": {"offset": 24, "type": {"kind": "struct", "name": "inner"}, "anonymous": True},
            },
        },
    },
    "symbols": {"here": {"address": 0xFFFF82D040000000, "type": {"kind": "struct", "name": "outer"}}},
}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name[:8])
def test_the_bundled_ones_are_good(path):
    assert isf.loads(path.read_bytes()) == json.loads(path.read_bytes())


def changed(*path, value):
    document = deepcopy(SMALL)
    at = document
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return document


OUTER = ("user_types", "outer", "fields")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "object"),
        ({}, "metadata"),
        (changed("metadata", "xen", "build_id", value="../../etc"), "build_id"),
        (changed("metadata", "xen", "version", value=7), "version"),
        (changed("symbols", "here", "address", value=1 << 64), "no 64-bit address"),
        (changed("symbols", "here", "address", value=-1), "no 64-bit address"),
        (changed("symbols", "here", "address", value="0x1"), "address"),
        (changed("base_types", "int", "size", value=1 << 40), "size"),
        (changed("base_types", "int", "size", value=-4), "size"),
        (changed(*OUTER, "two", "offset", value=17), "do not lie within"),
        (changed(*OUTER, "two", "offset", value=-1), "offset"),
        (changed(*OUTER, "two", "offset", value=0.5), "offset"),
        (changed(*OUTER, "two", "type", "count", value=1 << 60), "count"),
        (changed(*OUTER, "two", "type", "subtype", "name", value="none"), "not described"),
        (changed(*OUTER, "two", "type", "kind", value="magic"), "kind|magic"),
        (changed(*OUTER, "bits", "type", "bit_length", value=0), "bit_length"),
        (changed(*OUTER, "bits", "type", "bit_position", value=400), "bit_position"),
        (changed(*OUTER, "unnamed", "type", value={"kind": "base", "name": "int"}), "anonymous but no structure"),
        (changed("user_types", "inner", "fields", "x", "type", value={"kind": "struct", "name": "inner"}), "within"),
        (
            changed(
                "user_types",
                "inner",
                "fields",
                value={"x": {"offset": 0, "type": {"kind": "struct", "name": "inner"}, "anonymous": True}},
            ),
            "holds itself",
        ),
    ],
)
def test_what_is_wrong_is_said(document, why):
    with pytest.raises(ProfileError, match=why):
        isf.check(document)


@pytest.mark.parametrize("raw", [b"", b"[" * 100_000, b"1" * 5000, b"\xff", b'{"a":', b"null"])
def test_what_is_no_document_is_said(raw):
    with pytest.raises(ProfileError):
        isf.loads(raw)


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})


@given(st.sampled_from(DOCUMENTS), st.data())
def test_a_document_with_one_part_changed_is_refused_or_answers(original, data):
    document = deepcopy(original)
    at = document
    while True:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(at[key], dict) and at[key] and data.draw(st.integers(0, 3)):
            at = at[key]
            continue
        at[key] = data.draw(anything)
        break
    try:
        isf.check(document)
    except ProfileError:
        return
    profile = Profile(document)
    for struct, member in (("vcpu", "arch.hvm.vmx.pi_desc"), ("domain", "domain_id"), ("pi_desc", "pir")):
        try:
            found = profile.member(struct, member)
        except ProfileError:
            continue
        assert 0 <= found.offset <= found.offset + found.size <= profile.size(struct)

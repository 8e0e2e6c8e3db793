"""`expect`: status 1 only if the answer is another one."""

from __future__ import annotations

import pytest


@pytest.fixture
def expect(run, image):
    return lambda *words: run("dump", image.path, "expect", *words)


@pytest.mark.parametrize(
    "words",
    [
        ("irt", ".units[0].size", "==", "65536"),
        ("irt", ".units[0].size", "==", "0x10000"),
        ("irt", ".units[0].size", "!=", "7"),
        ("irt", ".units[#]", "==", "1"),
        ("irt", "--posted", ".units[0].entries", "==", "[]"),
        ("dmar", ".signature", "==", "DMAR"),
        ("dmar", ".checksum_ok", "==", "true"),
        # JSON has 1 and true apart.
        ("dmar", ".checksum_ok", "!=", "1"),
        ("irt", ".units[0].size", ">", "65535"),
        ("irt", ".units[0].size", "<=", "0x10000"),
        ("irt", ".units[0].size", "in", "[1, 65536]"),
        ("dmar", ".signature", "in", "FACP,DMAR"),
        ("dmar", ".signature", "=~", "^DM.R$"),
        ("irt", ".units[0].size", "=~", "536$"),
    ],
)
def test_as_expected(expect, words):
    ran = expect(*words)
    assert ran.status == 0
    assert ran.out.startswith("as expected: ")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("irt", ".units[0].size", "==", "7"), "found 65536"),
        (("irt", ".units[0].size", "!=", "65536"), "found 65536"),
        (("irt", ".units[0].size", ">", "65536"), "> 65536, found 65536"),
        (("irt", ".units[0].size", "in", "1,2"), 'in "1,2", found 65536'),
        (("dmar", ".signature", ">=", "0"), '>= 0, found "DMAR"'),
        (("dmar", ".checksum_ok", "<", "2"), "< 2, found true"),
        (("irt", ".units[0].nope", "==", "7"), "no key 'nope'"),
        (("irt", ".units[9]", "==", "7"), "no element 9"),
        (("dmar", ".signature", "==", "dmar"), 'found "DMAR"'),
    ],
)
def test_not_as_expected(expect, words, found):
    ran = expect(*words)
    assert ran.status == 1
    assert found in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("irt",),
        ("irt", ".size", "=", "7"),
        ("irt", "size", "==", "7"),
        ("nope", ".size", "==", "7"),
        ("expect", "irt", ".size", "==", "7"),
        ("irt", "--nope", ".size", "==", "7"),
    ],
)
def test_words_that_are_no_expectation_are_a_usage_error(expect, words):
    assert expect(*words).status == 2


def test_what_cannot_be_read_is_no_unmet_expectation(expect):
    assert expect("ioapic", ".units[0]", "==", "7").status == 3

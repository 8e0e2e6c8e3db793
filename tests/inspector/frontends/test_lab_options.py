"""The typed options of `vtdpi lab`."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.base.arguments import BadWord, add_arguments, given
from inspector.base.errors import UsageError
from inspector.base.parser import Parser
from inspector.frontends.lab_options import (
    CaptureOptions,
    CrashOptions,
    DownOptions,
    HvmOptions,
    KeysOptions,
    PostOptions,
    UpOptions,
    read_vector,
)


def parsed(kind, *words):
    parser = Parser("x")
    add_arguments(parser, kind)
    return given(kind, parser.parse_args(words))


def test_what_is_given_and_what_is_left_out():
    assert parsed(KeysOptions, "V") == KeysOptions("V", "")
    assert parsed(CrashOptions, "--dump", "d", "one") == CrashOptions(name="one", dump=Path("d"), form="elf")
    assert parsed(PostOptions, "d1v0", "0x31") == PostOptions("d1v0", 0x31, "")
    assert parsed(CaptureOptions, "one", "f") == CaptureOptions("one", Path("f"))
    assert parsed(DownOptions, "--all") == DownOptions("", True)
    assert parsed(UpOptions, "--hvm", "--cpus", "3", "--xen=4.17") == UpOptions("4.17", bochs=HvmOptions(True, 3))


@pytest.mark.parametrize(("word", "vector"), [("0x31", 0x31), ("49", 49), ("-1", -1)])
def test_a_vector(word, vector):
    """Which of them there are, posting says."""
    assert read_vector(word) == vector


def test_what_is_no_vector():
    with pytest.raises(BadWord, match="'nine' is no vector; expected a number such as 0x31"):
        read_vector("nine")


@pytest.mark.parametrize("kind", [KeysOptions, CrashOptions, PostOptions, CaptureOptions])
def test_what_must_be_there(kind):
    with pytest.raises(UsageError, match="the following arguments are required"):
        parsed(kind)

"""The user's places in any environment."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from inspector.base import xdg

PLACES = ((xdg.config, "XDG_CONFIG_HOME", ".config"), (xdg.state, "XDG_STATE_HOME", ".local/state"))
PLACES += ((xdg.cache, "XDG_CACHE_HOME", ".cache"),)


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    for name in ("HOME", "XDG_RUNTIME_DIR", *(variable for _, variable, _ in PLACES)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("place", "variable", "default"), PLACES)
def test_the_variable_then_home_then_passwd(place, variable, default, monkeypatch):
    assert place() == Path(pwd.getpwuid(os.getuid()).pw_dir, default, "vtdpi")
    monkeypatch.setenv("HOME", "/home/one")
    assert place() == Path("/home/one", default, "vtdpi")
    monkeypatch.setenv(variable, "/elsewhere")
    assert place() == Path("/elsewhere/vtdpi")


@pytest.mark.parametrize(("place", "variable", "default"), PLACES)
@pytest.mark.parametrize("relative", ["", "here", "./here", "~/here"])
def test_a_relative_path_is_ignored(place, variable, default, relative, monkeypatch):
    monkeypatch.setenv("HOME", "/home/one")
    monkeypatch.setenv(variable, relative)
    assert place() == Path("/home/one", default, "vtdpi")


@pytest.mark.parametrize(("place", "variable", "default"), PLACES)
def test_no_home_and_nobody_in_passwd_is_said_in_a_line(place, variable, default, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(xdg.NoHome, match=f"user 54321: set HOME or {variable}"):
        place()


def test_the_runtime_directory(monkeypatch):
    assert xdg.runtime() is None
    monkeypatch.setenv("XDG_RUNTIME_DIR", "run")
    assert xdg.runtime() is None
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    assert xdg.runtime() == Path("/run/user/1")

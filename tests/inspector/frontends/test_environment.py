"""Any environment: nobody in passwd, no HOME, one that cannot be written, relative XDG paths."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PATHS = ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
NOBODY = "import os, sys; os.getuid = lambda: 54321; from inspector.frontends.entry import main; sys.exit(main())"
ENVIRONMENTS = {
    "nowhere": {},
    "not writable": {"HOME": "/proc"},
    "relative": {"HOME": "here", "XDG_CACHE_HOME": "./x", "XDG_STATE_HOME": "y", "XDG_CONFIG_HOME": "~"},
}


def vtdpi(environment, directory: Path, *words: str, said: str = "") -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name not in PATHS}
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-c", NOBODY, *words],
        env={**clean, **environment, "PYTHONPATH": str(root)},
        cwd=directory,
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_what_needs_no_place_works_and_what_does_says_so(environment, tmp_path):
    for words in (["sim", "vcpus"], ["profile", "list"], ["explore", "--list"], ["sim", "--seed", "1", "audit"]):
        ended = vtdpi(environment, tmp_path, *words)
        assert ended.returncode == 0, (words, ended.stderr)
    ended = vtdpi(environment, tmp_path, "sim", said="info\nvcpus\n")
    assert ended.returncode == 0, ended.stderr
    for words in (["lab", "list"], ["gdb-plugin"], ["config"]):
        ended = vtdpi(environment, tmp_path, *words)
        assert ended.returncode in (0, 2, 3), (words, ended.stderr)
        assert "Traceback" not in ended.stderr
        assert "bug of vtdpi" not in ended.stderr
        assert ended.stderr.count("\n") <= 1
    assert list(tmp_path.iterdir()) == []

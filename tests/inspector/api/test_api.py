"""`import vtdpi`: what is there, that its examples run, that it is typed, and that a program of ten lines is enough."""

from __future__ import annotations

import doctest
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import vtdpi

import inspector
from inspector import api

TEN_LINES = """\
import sys

import vtdpi

with vtdpi.open(sys.argv[1]) as target:
    snapshot = target.snapshot()
    for vcpu in snapshot.vcpus:
        if vcpu.blocked and vcpu.pi:
            print(vcpu.name, "is blocked on the list of CPU", vcpu.blocking_list)
    assert not vtdpi.audit(snapshot).bugs, vtdpi.audit(snapshot)
"""


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory):
    """Call it with a program and its words: run in an environment of its own that has vtdpi installed."""
    directory = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "venv"], check=True)
    here = Path(vtdpi.__file__).parents[1]
    site = next((directory / "venv/lib").glob("python*/site-packages"))
    # What pip would install: vtdpi's own files as they were installed here, and the packages that it needs.
    (site / "installed.pth").write_text("".join(f"{path}\n" for path in (here, Path(inspector.__file__).parents[1])))

    def run(text, *words):
        program = directory / "program.py"
        program.write_text(text)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        command = [directory / "venv/bin/python", program, *map(str, words)]
        return subprocess.run(command, env=clean, cwd=directory, capture_output=True, text=True, check=False)

    return run


def test_all_that_it_promises_is_there():
    assert set(dir(vtdpi)) == set(vtdpi.__all__) == set(api.__all__)
    for name in vtdpi.__all__:
        assert getattr(vtdpi, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        vtdpi.nonsense  # noqa: B018
    assert vtdpi.__version__ == inspector.__version__


def test_what_is_installed_under_that_name_is_the_folder_here():
    """It is copied when vtdpi is installed: `pip install -e .` again, if this fails."""
    here = Path(inspector.__file__).parent / "vtdpi"
    installed = Path(vtdpi.__file__).parent
    for name in ("__init__.py", "__main__.py", "py.typed"):
        assert (installed / name).read_text() == (here / name).read_text()


def test_the_examples_of_its_help_run():
    result = doctest.testmod(api)
    assert result.attempted >= 9
    assert result.failed == 0


@pytest.mark.parametrize(
    ("capture", "said", "status"),
    [("two-in-guest", "d1v1 is blocked on the list of CPU", 0), ("lost-wakeup", "bug D5 d1v", 1)],
)
def test_ten_lines_of_python_on_a_real_capture(elsewhere, golden, capture, said, status):
    done = elsewhere(TEN_LINES, golden(capture))
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.thorough
def test_a_user_s_program_is_checked_by_its_types(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import vtdpi\n"
        'with vtdpi.open("core") as target:\n'
        "    reveal_type(target.snapshot().vcpus[0].blocked)\n"
        "    reveal_type(vtdpi.audit(target.snapshot()).bugs[0].rule)\n"
        "    target.snapshott()\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--config-file", os.devnull, program]
    done = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("program.py")]
    assert lines[0] == 'note: Revealed type is "bool"' or "builtins.bool" in lines[0]
    assert "str" in lines[1]
    assert '"Target" has no attribute "snapshott"' in lines[2]


def test_python_m_vtdpi(image):
    words = [sys.executable, "-m", "vtdpi", "dump", image.path, "info", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["units"]
    version = subprocess.run([sys.executable, "-m", "vtdpi", "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"vtdpi {vtdpi.__version__}\n"

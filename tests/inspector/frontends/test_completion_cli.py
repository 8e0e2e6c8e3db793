"""What shells complete, asked of the shells themselves."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from inspector.commands import BUILT_IN, load


def completed(run, tmp_path, *words):
    """What bash completes after these words, the last of which is being typed."""
    script = tmp_path / "vtdpi.bash"
    script.write_text(run("completion", "bash").out)
    line = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vtdpi; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", line, "bash", "vtdpi", *words], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("li",), ["live"]),
        (("sim", "vcp"), ["vcpus"]),
        (("sim", "--scenario", "idle", "irt", "--po"), ["--posted"]),
        (("dump", "x.core", "--sym"), ["--symbols"]),
        (("live", "irq", "--wh"), []),
        (("live", "irqs", "--wh"), ["--where"]),
        (("help", "aud"), ["audit"]),
    ],
)
def test_bash(run, tmp_path, words, expected):
    assert completed(run, tmp_path, *words) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_reads_its_script(run, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    script.write_text(run("completion", shell).out)
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_and_option_is_in_each(run):
    for shell in ("bash", "fish"):
        out = run("completion", shell).out
        assert all(name in out for name in BUILT_IN)
    assert "-l posted" in out
    assert load("irt").chooses
    assert run("completion", "tcsh").status == 2

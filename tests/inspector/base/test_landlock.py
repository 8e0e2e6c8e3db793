"""What a confined process can still do to files."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

from inspector.base.landlock import confine_to, confinement

TRY = """
import os, socket, subprocess, sys
from inspector.base.landlock import confine_to
readable, other, port = sys.argv[1:]
if not confine_to(readable):
    sys.exit("none")
assert open(readable).read() == "seen"
def refused(what):
    try:
        what()
    except PermissionError:
        return True
    return False
print(
    refused(lambda: open(readable, "a")),
    refused(lambda: open(other)),
    refused(lambda: open(other + ".new", "w")),
    refused(lambda: os.unlink(other)),
    refused(lambda: os.listdir("/")),
    refused(lambda: subprocess.run(["/bin/true"])),
    refused(lambda: socket.create_connection(("127.0.0.1", int(port)))),
)
"""


def test_a_process_that_confines_itself(tmp_path, unavailable):
    readable, other = tmp_path / "readable", tmp_path / "other"
    readable.write_text("seen")
    other.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = [sys.executable, "-c", TRY, str(readable), str(other), port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr.strip() == "none":
        unavailable("this kernel has no Landlock")
    *files, connection = done.stdout.split()
    assert (done.stderr, files) == ("", ["True"] * 6)
    assert connection in ("True", "False")
    assert (readable.read_text(), other.read_text()) == ("seen", "secret")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_kernel_without_it(monkeypatch):
    # A system call that no kernel has, as an old kernel lacks this one.
    monkeypatch.setattr("inspector.base.landlock.CREATE_RULESET", 100_000)
    assert not confine_to("/")
    with confinement("/usr/bin/gdb") as confine:
        assert confine is None


def test_a_program_from_elsewhere_may_read_but_not_write(tmp_path, unavailable):
    copy = tmp_path / "tee"
    shutil.copy(shutil.which("tee") or "/usr/bin/tee", copy)
    with confinement(str(copy)) as confine:
        if confine is None:
            unavailable("this kernel has no Landlock")
        done = subprocess.run(
            [str(copy), str(tmp_path / "new")], input=b"x", capture_output=True, preexec_fn=confine, check=False
        )
    assert done.stdout == b"x"
    assert b"Permission denied" in done.stderr
    assert not (tmp_path / "new").exists()

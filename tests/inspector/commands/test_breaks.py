"""`break`, `breaks` and `run until`, as a user types them."""

from __future__ import annotations

import json

import pytest

IDLE = ("sim", "--scenario", "idle")
ON = "vcpus .vcpus[name=d1v0].pi.on == 1"


def lines(*commands):
    return [word for command in commands for word in ("-c", command)]


def test_an_order_stops_at_a_function_and_goes_on(run):
    ran = run(
        *IDLE,
        *lines(
            "run",
            "break vmx_vcpu_block",
            "block d1v0",
            "cpus",
            "run",
            "expect vcpus .vcpus[name=d1v0].runstate == blocked",
            "breaks",
        ),
    )
    assert ran.status == 0, ran.err
    assert "break 1: vmx_vcpu_block\nthe guest halts d1v0:\n" in ran.out
    assert "stopped at step 67: vmx_vcpu_block\n" in ran.out
    assert "    1  vmx_vcpu_block     1\n" in ran.out


def test_run_until_a_condition_stops_at_its_first_moment(run):
    ran = run(
        "sim",
        "--json",
        *lines(f"run until {ON}", f"expect {ON}", "goto 20", "expect vcpus .vcpus[name=d1v0].pi.on == 0"),
    )
    assert ran.status == 0, ran.err
    first = json.loads(ran.out.splitlines()[0])
    assert first["stopped"] == {"step": 21, "where": ON}
    assert (first["step_count"], first["events"]) == (21, [])


def test_run_until_tells_each_step_if_asked(run):
    for line in ("run --events 100 until schedule", "run until schedule --events"):
        ran = run("sim", "-c", line)
        assert ran.status == 0, ran.err
        assert ran.out.splitlines()[-1].endswith(": schedule")
        assert ran.out.count("\n") > 2


def test_a_condition_with_options_is_quoted_and_signs_are_no_redirections(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(
        *IDLE,
        *lines("run until 'irt --posted .units[0].entries[#] == 2'", "run 500 until vcpus .vcpus[name=d1v0].cpu > -1"),
    )
    assert ran.status == 0, ran.err
    assert ran.out.count("it is so already at step 0") == 2
    assert not list(tmp_path.iterdir())


def test_what_does_not_become_so_is_status_3(run):
    ran = run("sim", *lines("run 30 until pi_wakeup_interrupt", "vcpus"))
    assert ran.status == 3
    assert "not so within 30 steps: pi_wakeup_interrupt" in ran.err
    ran = run(*IDLE, "run", "until", *ON.split())
    assert ran.status == 3
    assert "not so in 64 steps, and nothing more can happen" in ran.err


def test_undo_takes_back_a_run_that_stopped_and_leaves_the_breaks(run):
    ran = run("sim", *lines("break schedule", "run", "undo", "breaks"))
    assert ran.status == 0, ran.err
    assert "undone: run 1000\nat step 0\n" in ran.out
    assert "    1  schedule" in ran.out


def test_breaks_go(run):
    ran = run("sim", *lines("break schedule", "break vmx_vcpu_block", "breaks --delete 1 --json", "breaks --clear"))
    assert ran.status == 0, ran.err
    (left,) = json.loads(next(line for line in ran.out.splitlines() if line.startswith("{")))["breaks"]
    assert left == {"number": 2, "kind": "function", "where": "vmx_vcpu_block", "hit_count": 0}
    assert ran.out.endswith("no breaks\n")


def test_a_condition_says_what_is_not_there_and_what_is_so(run):
    ran = run(
        *IDLE,
        *lines("run", "break vcpus .vcpus[name=d1v0].oh == 1", "break vcpus .vcpus[name=d1v0].runstate == running"),
    )
    assert ran.status == 0, ran.err
    assert "break 1: vcpus .vcpus[name=d1v0].oh == 1 (now: " in ran.out
    assert "(it is so now, and has to end first)" in ran.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("break", "expected a function of Xen"),
        ("break vmx_vcpu_blok", "did you mean vmx_vcpu_block?"),
        ("breaks --delete 4", "there is no break 4"),
        ("run 5 schedule", "expected until and where to stop"),
        ("run until", "expected until and where to stop"),
        ("run 0x", "is no number"),
    ],
)
def test_what_cannot_be(run, line, said):
    ran = run(*IDLE, *line.split())
    assert ran.status == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_dump_has_none(run, image):
    assert run("dump", image.path, "breaks").status == 3

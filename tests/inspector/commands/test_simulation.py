"""The commands that drive the simulated machine, as a user types them."""

from __future__ import annotations

import json

import pytest

IDLE = ("sim", "--scenario", "idle")
EVENT = {"step", "actor", "cpu", "function", "step_name", "action", "subject", "field", "before", "after"}


def ask(run, *commands):
    """Runs the commands on a machine at rest; what the last one says as JSON."""
    words = [word for command in ("run 10000", *commands) for word in ("-c", command)]
    words[-1] += " --json"
    ran = run(*IDLE, *words)
    assert ran.status == 0, ran.err
    return json.loads(ran.out.strip().splitlines()[-1] if ran.out.count("\n{") else ran.out[ran.out.index("{") :])


def vcpu(run, name, *commands):
    answer = ask(run, *commands, f"vcpus {name}")
    return answer["vcpus"][0]


def test_step_tells_each_action(run):
    ran = run(*IDLE, "step", "3", "--json")
    events = ran.json["events"]
    assert [event["step"] for event in events] == [1, 2, 3]
    assert all(set(event) == EVENT for event in events)
    text = run(*IDLE, "step", "3")
    assert text.out.count("\n") == 3
    assert text.out.startswith(f"{events[0]['actor']}: {events[0]['function']}: {events[0]['action']}")


def test_run(run):
    assert run("sim", "--scenario", "one-device", "run", "500").out == "500 steps\n"
    assert "then nothing more could happen" in run(*IDLE, "run").out
    assert run("sim", "--scenario", "one-device", "run", "5", "--events", "--json").json["events"][4]["step"] == 5


def test_an_order_is_shown_to_happen(run):
    ran = run(*IDLE, "-c", "run", "-c", "block d1v0", "-c", "step")
    assert "the guest halts d1v0:\n" in ran.out
    assert "CPU 0: vmx_vcpu_block: lets posts send the wakeup vector | d1v0 nv 0xf2 -> 0xf3\n" in ran.out
    assert "nothing can happen unless it is asked for" in ran.out


def test_an_order_for_later(run):
    ran = run(*IDLE, "-c", "run", "-c", "post 00:03.0 1 --later", "-c", "step 2")
    assert "00:03.0 sends its interrupt 1: `step` or `run` make it happen" in ran.out
    assert "device 00:03.0: VT-d interrupt request: is posted" in ran.out
    busy = run("sim", "--scenario", "one-device", "block", "d1v0")
    assert busy.out == "the guest halts d1v0: `step` or `run` make it happen\n"


def test_what_each_does(run):
    assert vcpu(run, "d1v0", "block d1v0")["situation"] in ("S8", "S9")
    assert vcpu(run, "d1v0", "block d1v0", "post d1v0 0x41")["situation"] == "S1"
    assert vcpu(run, "d1v0", "block d1v0", "post 00:03.0")["situation"] == "S1"
    assert vcpu(run, "d1v0", "block d1v0", "wake d1v0")["situation"] == "S1"
    assert vcpu(run, "d1v0", "sleep d1v0")["situation"] == "S6"
    assert vcpu(run, "d1v0", "sleep d1v0", "wake d1v0")["situation"] == "S1"
    assert vcpu(run, "d1v0", "preempt d1v0 --tasklet --later", "step 12")["runstate"] in ("runnable", "running")
    assert vcpu(run, "d1v1", "sleep d1v0", "migrate d1v1 0")["cpu"] == 0
    assert vcpu(run, "d1v1", "block d1v1", "offline 1")["blocking_list"] == 0
    assert vcpu(run, "d1v0", "offline 1", "offline 1 --back", "migrate d1v0 1")["cpu"] == 1
    assert vcpu(run, "d1v0", "deassign 00:03.0")["situation"] == "S14"
    assert vcpu(run, "d1v0", "deassign 00:03.0", "assign 00:03.0 1")["situation"] == "S1"


def test_the_table_follows_the_device(run):
    def posted(*commands):
        return len([e for e in ask(run, *commands, "irt")["units"][0]["entries"] if e["format"] == "posted"])

    assert posted("step") == 2
    assert posted("deassign 00:03.0") == 0
    assert posted("deassign 00:03.0", "assign 00:03.0 1") == 2


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("block d1v9", "there is no vCPU d1v9"),
        ("block x", "is no vCPU; expected one such as d1v0"),
        ("post 00:09.0", "there is no device 00:09.0"),
        ("post nonsense", "nonsense"),
        ("post d1v0", "which vector?"),
        ("step many", "is no number"),
        ("offline 0", "CPU 0 cannot go offline"),
        ("migrate d1v0 7", "CPU 7 is not there"),
        ("preempt d1v0", "does not run"),
        ("assign 00:03.0 1", "is assigned to domain 1 already"),
    ],
)
def test_what_cannot_be_is_a_line_and_status_2(run, command, line):
    ran = run(*IDLE, *command.split())
    assert ran.status == 2
    assert line in ran.err
    assert ran.err.count("\n") == 1


def test_a_machine_that_is_real_cannot_be_driven(run, image):
    ran = run("dump", image.path, "block", "d1v0")
    assert ran.status == 3
    assert "only `vtdpi sim` has a machine that can be driven" in ran.err


def test_a_machine_that_crashed_says_why(run):
    """4.7: the device leaves, its vCPU stays on the list, comes to it a second time, and the list is a loop."""
    orders = ("block d1v0", "deassign 00:03.0", "wake d1v0", "assign 00:03.0 1", "block d1v0")
    words = [word for order in ("run", *orders) for word in ("-c", order)]
    found = run(*IDLE, "--version", "seed", *words, "-c", "audit --json")
    assert found.status == 1
    assert '"rule": "D12"' in found.out
    ran = run(*IDLE, "--version", "seed", *words, "-c", "post 00:03.0")
    assert ran.status == 3
    assert (
        "the simulated machine cannot go on: CPU 0: pi_wakeup_interrupt: virtual address 0x100100100100100" in ran.err
    )


def test_a_machine_goes_on_where_it_was_saved(run, tmp_path):
    saved = tmp_path / "machine"
    assert run("sim", "-c", "run 500", "-c", f"checkpoint '{saved}'").status == 0
    ahead = run("sim", "--steps", "500", "step", "20").out
    assert run("sim", "--load", saved, "step", "20").out == ahead
    assert run("sim", "--load", saved, "checkpoint", saved).status == 2

"""The prompt as a person meets it: sessions in a real terminal, on a real capture and on a machine written by hand."""

from __future__ import annotations

import json
import re

import pytest

PRESENT = 1


@pytest.fixture
def lost(golden, terminal):
    """The prompt on the capture of a lost wakeup, ready."""
    return lambda **options: ready(terminal("dump", golden("lost-wakeup"), **options))


def ready(opened):
    """An opened terminal, once its prompt is there and the machine is known."""
    opened.until(lambda screen: re.search(r"stopped │ .*(bug|no findings)", screen), "no prompt")
    return opened


def prompts(screen):
    """How many prompts are on the screen."""
    return len(re.findall(r"^\S+>", screen, re.MULTILINE))


def lines(screen):
    """The lines that are not empty."""
    return [line.rstrip() for line in screen.splitlines() if line.strip()]


def test_live_objects_complete_with_their_state(lost):
    terminal = lost()
    terminal.type("pi d1v")
    screen = terminal.wait("d1v5")
    assert re.search(r"d1v2 +blocked, CPU 0, ON=0 SN=0, PIR 0x52, on the list of CPU 0", screen)
    assert "d0v0" not in screen
    terminal.press("Down", "Down", "Down")
    terminal.until(lambda screen: lines(screen)[0].endswith("pi d1v2"), "not taken")
    terminal.press("Enter", "Enter")
    terminal.wait("PI descriptor", "27bdb680")


@pytest.mark.thorough
def test_entries_devices_registers_and_options_complete(image, terminal):
    image.entry(0x18, PRESENT | 0x31 << 16, 1 << 18 | 0x0018)
    opened = ready(terminal("dump", image.path))
    for text, completion, description in (
        ("irte ", "0x0018", "remapped vector 0x31 to APIC 0x0, device 00:03.0"),
        ("irt --device 0", "00:03.0", "1 entry"),
        ("irt --po", "--posted", "only entries in posted format"),
        ("regs irt", "irta", "0x40000f"),
        ("irt --unit ", "0", "registers at 0xfed90000"),
        ("dm", "dmar", "the ACPI DMAR table"),
        ("help que", "queue", "the invalidation queues"),
        ("expect irte 0x", "0x0018", "remapped vector 0x31"),
        ("route irte 0x0", "0x0018", "remapped vector 0x31"),
        ("route i", "irte", "where to start"),
        ("irt | gr", "grep", "the lines that match"),
    ):
        opened.type(text)
        screen = opened.wait(description)
        assert any(re.search(rf"^ +{re.escape(completion)} +{re.escape(description)}", line) for line in lines(screen))
        opened.press("C-c")
        opened.until(lambda screen, d=description: d not in screen, "the menu is still")


def test_the_bar_and_the_prompt_tell_the_target(lost):
    screen = lines(lost().wait("1 bug"))
    assert screen[0].endswith("lost-wakeup.core> `help` lists the commands, Ctrl-D leaves")
    assert re.match(r" stopped │ Xen 4\.20\.3\+127 │ 1 posted vector │ 1 bug.* │ ELF core /", screen[-1])


@pytest.mark.thorough
def test_history_search_and_suggestion(lost):
    first = lost()
    first.enter("explain D5 | head -1")
    first.until(lambda screen: prompts(screen) == 2, "no prompt")
    assert first.leave() == 0
    again = lost()
    again.type("expl")
    again.wait("explain D5 | head -1")
    again.press("Right")
    again.press("Enter")
    again.until(lambda screen: screen.count("explain D5 | head -1") == 1 and prompts(screen) > 1, "not run")
    again.press("C-r")
    again.type("head")
    again.wait("i-search", "explain D5 | head -1")
    again.press("C-c")
    again.press("Up")
    again.until(lambda screen: screen.count("explain D5 | head -1") >= 2, "the last line is not recalled")


def test_ctrl_c_cancels_the_line_and_the_command(image, terminal):
    opened = ready(terminal("dump", image.path))
    opened.type("irt --po")
    opened.press("C-c")
    opened.enter("irt --all")
    opened.interrupt("interrupted; nothing of the target was changed")
    opened.press("C-c")
    opened.enter("regs irta | head -1")
    opened.wait("IRTA at offset 0xb8 is 0x40000f")
    ready(opened)
    assert opened.leave() == 0


@pytest.mark.thorough
def test_ctrl_d_and_quit_leave(lost):
    assert lost().leave() == 0
    terminal = lost()
    terminal.enter("quit")
    assert terminal.ended() == 0


def test_resize(lost):
    terminal = lost(width=120, height=30)
    terminal.resize(60, 20)
    terminal.enter("vcpus d1v2 | head -1")
    terminal.wait("VCPU")
    terminal.type("pi ")
    screen = terminal.wait("d1v2", "PIR")
    assert all(len(line) <= 60 for line in screen.splitlines())
    terminal.until(lambda screen: lines(screen)[-1].startswith(" stopped │ Xen 4.20.3+127"), "no bar")
    terminal.resize(100, 24)
    terminal.until(lambda screen: "1 bug" in lines(screen)[-1], "the bar does not use the width")


def test_pipes_files_and_json(lost, tmp_path):
    terminal = lost(width=130)
    terminal.enter("vcpus | grep D5")
    screen = terminal.wait("D5 bug")
    assert "d1v2" in screen
    assert "d1v3" not in screen
    terminal.enter(f"vcpus d1v2 --json > '{tmp_path}/a file'")
    terminal.enter(f"vcpus d1v3 > {tmp_path}/text")
    terminal.enter("vcpus | wc -l")
    terminal.until(lambda screen: re.search(r"^8$", screen, re.MULTILINE), "not counted")
    assert json.loads((tmp_path / "a file").read_text())["vcpus"][0]["pi"]["pir"] == [0x52]
    assert "d1v3" in (tmp_path / "text").read_text()
    terminal.enter("vcpus > /nowhere/file")
    terminal.wait("vtdpi: /nowhere/file cannot be written: No such file or directory")
    terminal.enter("vcpus | less")
    terminal.wait("(END)")
    terminal.press("q")
    terminal.until(lambda screen: "(END)" not in screen, "less is still there")
    terminal.enter("vcpus | head -1")
    terminal.until(lambda screen: lines(screen)[-2].endswith(">"), "no prompt after head")


def test_a_long_table_is_paged(image, terminal):
    opened = ready(terminal("dump", image.path, height=20))
    opened.enter("regs")
    screen = opened.wait("VER")
    assert lines(screen)[-1].startswith(":")
    opened.press("q")
    opened.until(lambda screen: "stopped" in lines(screen)[-1], "no prompt after the pager")


def test_help_and_mistakes(lost):
    terminal = lost(height=90)
    terminal.enter("help")
    terminal.wait("what is this target", "leave, with the target as it was found")
    terminal.enter("help irt")
    screen = terminal.wait("irt --device 00:03.0")
    assert "vtdpi live" not in screen
    terminal.enter("irtt --posted")
    terminal.wait("vtdpi: did you mean irt? No command is called 'irtt'")
    terminal.enter("irt 'open")
    terminal.wait("no closing quotation")


def test_aliases_and_settings(golden, terminal, tmp_path):
    (tmp_path / "config/vtdpi").mkdir(parents=True)
    settings = tmp_path / "config/vtdpi/config.toml"
    settings.write_text('bar = false\ncompletion = "tab"\n[aliases]\nlost = "audit D5"\n')
    opened = terminal("dump", golden("lost-wakeup"))
    opened.wait("core>")
    opened.enter("lost | head -2")
    assert "│" not in opened.wait("is blocked with vector 0x52 posted")
    opened.type("lo")
    opened.press("Tab", "Tab")
    opened.wait("lost")
    for text, message in (("bar = 3", "bar is 3; expected a boolean"), ("[colors]\nprompt = 'x y'", "colors: ")):
        settings.write_text(text)
        opened = terminal("dump", golden("lost-wakeup"), width=200)
        opened.wait(f"config.toml: {message}")
        assert opened.ended() == 3


@pytest.mark.thorough
def test_no_color_leaves_marks(lost):
    for environment, coloured in ({}, True), ({"NO_COLOR": "1"}, False):
        terminal = lost(**environment)
        terminal.type("frobnicate --posted")
        terminal.wait("frobnicate --posted")
        typed = next(line for line in terminal.screen(escapes=True).splitlines() if "frobnicate" in line)
        assert bool(re.search(r"\x1b\[(3[1-7]|9[1-7])m", typed)) == coloured
        assert re.search(r"\x1b\[([\d;]*;)?4m(\x1b\[\d+m)*frobnicate", typed), "what is unknown is underlined too"


def test_a_dumb_terminal_gets_plain_lines(golden, terminal):
    opened = terminal("dump", golden("lost-wakeup"), TERM="dumb")
    opened.wait("lost-wakeup.core>")
    opened.enter("vcpus d1v2 | head -2")
    opened.wait("blocked")
    opened.press("C-c")
    opened.wait("interrupted")
    opened.enter("audit D5 | head -1")
    opened.wait("SEVERITY")
    opened.until(lambda screen: prompts(screen) == 4, "no prompt")
    assert "\x1b[" not in opened.screen(escapes=True)
    assert opened.leave() == 0


@pytest.mark.thorough
def test_the_simulation_moves_and_is_looked_at_afresh(terminal, tmp_path):
    opened = ready(terminal())
    opened.wait("sim>")
    seen = set()
    for turn in range(8):
        path = tmp_path / f"{turn}.json"
        path.touch()
        opened.enter(f"vcpus d1v1 --json > {path}")
        opened.until(lambda screen, path=path: path.read_text().endswith("}\n"), "no answer")
        vcpu = json.loads(path.read_text())["vcpus"][0]
        state = f"{vcpu['runstate']}, CPU {vcpu['cpu']}, ON={vcpu['pi']['on']} SN={vcpu['pi']['sn']}"
        opened.type("pi d1v")
        opened.until(lambda screen, state=state: re.search(rf"d1v1 +{re.escape(state)}", screen), f"no {state}")
        opened.press("C-c")
        seen.add(state)
        if len(seen) > 1:
            break
        opened.enter("run 37")
        opened.until(lambda screen, turn=turn: screen.count("37 steps") > turn, "not run")
    assert len(seen) > 1
    opened.until(lambda screen: lines(screen)[-2].endswith("sim>"), "no prompt")
    assert opened.leave() == 0


@pytest.mark.thorough
@pytest.mark.parametrize("words", ["sim --scenario /nowhere.toml", "dump /nowhere.core", "live 127.0.0.1:1"])
def test_a_target_that_cannot_be_opened_is_all_that_is_said(words, terminal):
    opened = terminal(*words.split(), width=200)
    assert opened.ended() in (2, 3)
    assert lines(opened.screen())[0].startswith("vtdpi: ")
    assert len(lines(opened.screen())) == 2


def test_a_lesson_is_taken_there_and_the_next_one_follows(terminal):
    opened = terminal("learn", "1")
    opened.until(lambda screen: "lesson 1>" in screen and "stopped │" in screen, "no prompt")
    opened.type("vcpus")
    opened.press("Enter")
    opened.wait("[2/5] The unit finds the descriptor")
    opened.type("next")
    opened.press("Enter")
    opened.wait("Lesson 2: ON", "lesson 2>")


def test_what_is_set_is_so_at_the_next_line(lost):
    terminal = lost()
    terminal.enter("set bar off")
    terminal.until(lambda screen: prompts(screen) == 2 and "│" not in screen, "the bar is still there")
    terminal.enter("set colors prompt 'no such'")
    terminal.wait("vtdpi: colors: ")
    terminal.enter("set bar on")
    terminal.until(lambda screen: "1 bug" in lines(screen)[-1], "no bar")
    terminal.enter("set aliases lost audit D5 --columns RULE,SUBJECT")
    terminal.enter("lost")
    terminal.until(lambda screen: re.search(r"^D5 +d1v2$", screen, re.MULTILINE), "the alias is not known")
    terminal.type("set ke")
    terminal.wait("keys", "a setting")
    terminal.press("C-c")
    terminal.enter("set width 60")
    terminal.enter("vcpus d1v2")
    terminal.wait("SITUATION   S8 blocked")


def test_another_target_in_the_same_prompt(lost, golden):
    terminal = lost(width=160)
    terminal.enter("open dump nosuch.core")
    terminal.wait("vtdpi: nosuch.core cannot be")
    terminal.enter("snapshot here")
    terminal.enter(f"open dump {golden('xapic-4-cpus')}")
    screen = terminal.wait("closed  ELF core", "xapic-4-cpus.core>")
    ready(terminal)
    assert "vtdpi: nosuch.core" in screen
    terminal.enter("diff here | wc -l")
    terminal.until(lambda screen: re.search(r"^\d+$", screen, re.MULTILINE), "no difference")
    terminal.enter("open sim idle; run 20")
    terminal.wait("sim>")
    terminal.enter("open sim h-a")
    terminal.wait("The simulated machine has moved 20 steps", "(y or n)")
    terminal.enter("n")
    terminal.wait("vtdpi: not confirmed: the target stays")
    terminal.enter("set confirm off; open sim h-a; vcpus d1v1")
    terminal.wait("with 1 CPU", "S4")


def test_a_lesson_goes_on_below_a_long_answer(terminal):
    """A pager would take what is typed next, and hide what the lesson says."""
    opened = terminal("learn", "5", height=24)
    opened.wait("[1/5]")
    opened.enter("vcpus")
    opened.wait("[2/5]")
    opened.enter("preempt d1v0")
    opened.wait("[3/5] Post to the vCPU that does not run", "lesson 5>")
    opened.enter("post 00:03.0 0")
    opened.wait("[4/5]")

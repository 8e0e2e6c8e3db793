"""Store buffers: what a CPU sees of its own stores, what others see, and when they see it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.logic.store_buffers import NOBODY, BufferedMemory
from sim_backend.machine.environment import Move
from sim_backend.machine.history import History
from sim_backend.machine.invariants import applicable, problems
from sim_backend.machine.machine import Machine
from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import Memory
from sim_backend.scenario.bugs import version
from sim_backend.scenario.scenario import BUNDLED, load

DEVICE, CPU, BUFFER = "device 00:03.0", "CPU 0", "store buffer of CPU 0"


class Two:
    """The buffers of two CPUs."""

    def __init__(self):
        self.buffers = [[], []]

    def buffer(self, cpu):
        return self.buffers[cpu]


@pytest.fixture
def memory():
    return BufferedMemory(Memory(0x2000), Two())


def by(memory, cpu):
    memory.cpu = cpu
    return memory


def test_a_cpu_sees_its_own_stores_at_once_and_others_later(memory):
    by(memory, 0).set_u32(0x100, 0x11223344)
    memory.set_u8(0x101, 0xAA)
    assert (memory.u32(0x100), memory.u64(0x0FE), memory.read(0x101, 2)) == (0x1122AA44, 0x1122AA44_0000, b"\xaa\x22")
    assert by(memory, 1).u32(0x100) == by(memory, NOBODY).u32(0x100) == 0
    memory.drain(0)
    assert (memory.u32(0x100), memory.state.buffers[0]) == (0x11223344, [(0x101, 1, 0xAA)])
    assert by(memory, 0).u32(0x100) == 0x1122AA44


@pytest.mark.parametrize(
    "locked",
    [
        lambda m: m.test_and_set_bit(0x200, 3),
        lambda m: m.test_and_clear_bit(0x200, 3),
        lambda m: m.add_u32(0x200, 1),
        lambda m: m.xchg_u64(0x200, 1),
        lambda m: m.cmpxchg_u64(0x200, 1, 1),
        lambda m: m.cmpxchg_u128(0x200, 1, 1),
    ],
)
def test_a_locked_operation_comes_after_all_stores(memory, locked):
    by(memory, 0).set_u64(0x100, 1)
    memory.write(0x110, bytes(range(20)))
    locked(memory)
    assert memory.state.buffers == [[], []]
    assert by(memory, 1).read(0x100, 36) == (1).to_bytes(16, "little") + bytes(range(20))


def test_a_store_to_nowhere_is_refused_at_once(memory):
    for wrong in (lambda m: m.set_u8(0x5000, 1), lambda m: m.set_u8(0x100, 256), lambda m: m.write(0x1FFF, b"12")):
        with pytest.raises(SimError):
            wrong(by(memory, 0))
    assert memory.state.buffers == [[], []]


@given(st.lists(st.tuples(st.integers(0, 24), st.sampled_from((1, 2, 4, 8)), st.integers(0, 255)), max_size=12))
def test_one_cpu_alone_cannot_tell(stores):
    """Whatever it stores and however late that leaves, it reads what it would without a buffer."""
    plain, buffered = Memory(0x1000), BufferedMemory(Memory(0x1000), Two())
    buffered.cpu = 0
    for number, (at, size, byte) in enumerate(stores):
        value = int.from_bytes(bytes([byte]) * size, "little")
        for memory in (plain, buffered):
            getattr(memory, f"set_u{8 * size}")(at, value)
        if number % 3 == 2:
            buffered.drain(0)
        assert buffered.read(0, 64) == plain.read(0, 64)
    buffered.fence()
    assert buffered.memory == plain
    assert buffered.digest() == plain.digest()


@pytest.mark.parametrize("name", [name for name in BUNDLED if name != "idle"])
@pytest.mark.parametrize("logic", ["current", "current with sync-plain-read"])
def test_machines_run_copy_and_are_saved_with_them(tmp_path, name, logic):
    machine = Machine(load(name), logic, seed=3, store_buffers=True)
    chosen = applicable(machine.version, machine.context.workload)
    for _ in range(300):
        machine.run(13)
        assert list(problems(machine, chosen)) == []
    while not any(machine.state.buffers):
        machine.run(1)
    copy = machine.copy()
    assert copy.digest() == machine.digest()
    machine.save(tmp_path / "machine")
    again = Machine.load(tmp_path / "machine")
    assert (again.store_buffers, again.state.buffers, again.digest()) == (True, machine.state.buffers, machine.digest())
    before = machine.digest()
    for other in (copy, again):
        other.run(900)
    assert machine.digest() == before
    machine.run(900)
    assert machine.digest() == copy.digest() == again.digest()


def test_a_store_that_waits_is_a_part_of_the_digest():
    machine = Machine(load("h-l"), store_buffers=True)
    machine.settle()
    machine.state.buffers[0].append((0x1000, 8, 1))
    other = machine.copy()
    assert other.digest() == machine.digest()
    other.state.buffers[0][0] = (0x1000, 8, 2)
    assert other.digest() != machine.digest()


def test_nobody_has_one_unless_asked():
    machine = Machine(load("one-device"))
    assert type(machine.memory) is Memory
    assert machine.state.buffers == machine.context.drains == []


@pytest.mark.parametrize(
    ("logic", "buffers", "asleep"),
    [
        ("current with sync-plain-read", True, True),
        ("current with sync-plain-read", False, False),
        ("current", True, False),
    ],
)
def test_a_plain_load_of_on_overtakes_the_store_of_nv(logic, buffers, asleep):
    """In the model of 4.21: blocked with a vector that nobody delivers. The same turns, as far as they are possible."""
    machine = Machine(load("h-l"), logic, store_buffers=buffers)
    machine.settle()
    machine.block("d1v0")
    _until(machine, CPU, "lets posts send the wakeup vector")
    for _ in range(2):
        # hvm_vcpu_has_pending_irq() calls vmx_sync_pir_to_irr(), and so does the search of IRR.
        _until(machine, CPU, "reads ON" if "plain" in logic else "clears ON")
    machine.post("00:03.0", 0)
    sent = _until(machine, DEVICE, "sends its interrupt")
    assert ("bit 0xf2" in sent) == asleep, "the notification vector, though NV was stored"
    machine.settle()
    v = machine.vcpu("d1v0")
    assert machine.state.buffers in ([], [[]])
    blocked = bool(machine.memory.u32(v + machine.o.pause_flags) & 1)
    assert (blocked, machine.context.guests.highest_virtual(v) >= 0 and blocked) == (asleep, asleep)


def _until(machine, actor, words):
    """Turns of an actor until it did this; returns the event."""
    for _ in range(200):
        event = str(machine.perform(Move(turn=actor)))
        if words in event:
            return event
    raise AssertionError(f"{actor} never: {words}")


def test_a_buffer_lets_go_in_order():
    machine = Machine(load("h-l"), "current with sync-plain-read", store_buffers=True)
    machine.settle()
    machine.block("d1v0")
    _until(machine, CPU, "lets posts send the wakeup vector")
    stores = list(machine.state.buffers[0])
    assert [size for _, size, _ in stores][-2:] == [2, 1], "the lock is released, then NV is stored"
    for left in range(len(stores) - 1, -1, -1):
        event = machine.perform(Move(turn=BUFFER))
        assert f"CPU 0 stores in the buffer {left + 1} -> {left}" in str(event)
    v = machine.vcpu("d1v0")
    assert machine.layout.memory.u8(v + machine.o.nv) == 0xF3
    with pytest.raises(SimError, match="cannot do anything now"):
        machine.perform(Move(turn=BUFFER))


def test_a_history_with_them_is_done_again():
    moves = [Move(order="block", arguments=("d1v0",)), *[Move(turn=CPU)] * 12, *[Move(turn=BUFFER)] * 2]
    history = History(load("h-l"), version("current with sync-plain-read"), tuple(moves), store_buffers=True)
    events = [str(event) for _, event in history.replay()]
    assert events[-1].startswith("store buffer of CPU 0: store buffer: a store of ")
    assert history.at().state.buffers == history.at().state.buffers != [[]]

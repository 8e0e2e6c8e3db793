"""Memory: against a plain dictionary of bytes, its copies and its digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.memory.errors import SimError
from sim_backend.memory.memory import GIB_4, PAGE, Memory

SIZE = 4 * PAGE
ADDRESSES = st.integers(0, SIZE // 8 - 1).map(lambda number: number * 8)
U64 = st.integers(0, (1 << 64) - 1)
BITS = st.integers(0, 255)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("set_u64"), ADDRESSES, U64),
        st.tuples(st.just("xchg_u64"), ADDRESSES, U64),
        st.tuples(st.just("cmpxchg_u64"), ADDRESSES, st.sampled_from([0, 1, 2]), U64),
        st.tuples(st.just("test_and_set_bit"), ADDRESSES.filter(lambda a: a < SIZE - 32), BITS),
        st.tuples(st.just("test_and_clear_bit"), ADDRESSES.filter(lambda a: a < SIZE - 32), BITS),
        st.tuples(st.just("set_u32"), ADDRESSES, st.integers(0, (1 << 32) - 1)),
        st.tuples(st.just("set_u16"), ADDRESSES, st.integers(0, (1 << 16) - 1)),
        st.tuples(st.just("set_u8"), ADDRESSES, st.integers(0, 255)),
        st.tuples(st.just("write"), ADDRESSES.filter(lambda a: a < SIZE - 100), st.binary(max_size=100)),
    ),
    max_size=30,
)


def test_memory_above_4_gib():
    memory = Memory(SIZE, PAGE)
    memory.set_u64(GIB_4 + 8, 5)
    assert (memory.u64(GIB_4 + 8), memory.u64(8), memory.copy().u64(GIB_4 + 8)) == (5, 0, 5)
    assert memory.ram() == ((0, SIZE), (GIB_4, PAGE))
    inside = (0, SIZE - 1, GIB_4, GIB_4 + PAGE - 1)
    assert all(map(memory.is_ram, inside))
    assert not any(map(memory.is_ram, (-1, SIZE, GIB_4 - 1, GIB_4 + PAGE)))
    for nowhere in (SIZE, GIB_4 - 8, GIB_4 + PAGE):
        with pytest.raises(SimError):
            memory.u64(nowhere)
    for size, high in ((0, 0), (PAGE, 1), (PAGE, -PAGE)):
        with pytest.raises(SimError, match="multiples"):
            Memory(size, high)


class Plain:
    """What each action should do, on one flat array of bytes."""

    def __init__(self) -> None:
        self.bytes = bytearray(SIZE)

    def do(self, name: str, address: int, *operands: int | bytes) -> int | bool | None:
        old = int.from_bytes(self.bytes[address : address + 8], "little")
        match name, *operands:
            case ("set_u64" | "set_u32" | "set_u16" | "set_u8", int(value)):
                size = int(name[5:]) // 8
                self.bytes[address : address + size] = value.to_bytes(size, "little")
            case ("xchg_u64", int(value)):
                self.bytes[address : address + 8] = value.to_bytes(8, "little")
                return old
            case ("cmpxchg_u64", expected, int(value)):
                if old == expected:
                    self.bytes[address : address + 8] = value.to_bytes(8, "little")
                return old
            case ("write", bytes(data)):
                self.bytes[address : address + len(data)] = data
            case (_, int(bit)):
                byte, mask = address + bit // 8, 1 << bit % 8
                was = bool(self.bytes[byte] & mask)
                self.bytes[byte] = self.bytes[byte] | mask if "set" in name else self.bytes[byte] & ~mask
                return was
        return None


@given(before=ACTIONS, ours=ACTIONS, theirs=ACTIONS)
def test_behaves_as_plain_bytes_and_copies_go_their_own_way(before, ours, theirs):
    memory, plain = Memory(SIZE), Plain()
    for action, *operands in before:
        assert getattr(memory, action)(*operands) == plain.do(action, *operands)
    memory.digest()
    copy, plain_copy = memory.copy(), Plain()
    plain_copy.bytes[:] = plain.bytes
    for mine, model, actions in ((memory, plain, ours), (copy, plain_copy, theirs)):
        for action, *operands in actions:
            assert getattr(mine, action)(*operands) == model.do(action, *operands)
    assert memory.read(0, SIZE) == bytes(plain.bytes)
    assert copy.read(0, SIZE) == bytes(plain_copy.bytes)
    assert (memory == copy) == (plain.bytes == plain_copy.bytes) == (memory.digest() == copy.digest())


@given(actions=ACTIONS)
def test_the_digest_depends_on_the_bytes_alone(actions):
    memory, fresh = Memory(SIZE), Memory(SIZE)
    for action, *operands in actions:
        getattr(memory, action)(*operands)
        memory.digest()
    fresh.write(0, memory.read(0, SIZE))
    assert fresh.digest() == memory.digest()


@given(actions=ACTIONS)
def test_the_observer_sees_every_store(actions):
    memory, replay, seen = Memory(SIZE), Memory(SIZE), []
    memory.observer = lambda *store: seen.append(store)
    for action, *operands in actions:
        getattr(memory, action)(*operands)
    for address, size, old, new in seen:
        assert replay.read(address, size) == old.to_bytes(size, "little")
        replay.write(address, new.to_bytes(size, "little"))
    assert replay == memory


def test_the_same_page_elsewhere_is_another_memory():
    one, other = Memory(SIZE), Memory(SIZE)
    one.set_u8(0, 7)
    other.set_u8(PAGE, 7)
    assert one.digest() != other.digest()


@pytest.mark.parametrize("access", [lambda m: m.u64(SIZE), lambda m: m.set_u8(SIZE, 1), lambda m: m.read(SIZE - 4, 8)])
def test_an_address_that_is_nowhere_is_named(access):
    with pytest.raises(SimError, match=f"{SIZE:#x}"):
        access(Memory(SIZE))


def test_a_write_that_runs_out_of_memory_changes_nothing():
    memory = Memory(SIZE)
    with pytest.raises(SimError, match="no memory"):
        memory.write(SIZE - 4, bytes(range(1, 9)))
    assert memory == Memory(SIZE)


def test_numbers_do_not_cross_pages_and_must_fit():
    memory = Memory(SIZE)
    with pytest.raises(SimError, match="cross a page"):
        memory.u64(PAGE - 4)
    with pytest.raises(SimError, match="does not fit"):
        memory.set_u32(0, 1 << 32)


def test_device_windows_are_memory_too():
    memory = Memory(SIZE)
    memory.add(0xFED9_0000, PAGE)
    memory.set_u64(0xFED9_00B8, 0x80_000F)
    assert memory.u64(0xFED9_00B8) == 0x80_000F
    assert memory.has(0xFED9_0000, PAGE)
    assert not memory.has(0xFED9_0000, PAGE + 1)
    with pytest.raises(SimError, match="already there"):
        memory.add(0, PAGE)

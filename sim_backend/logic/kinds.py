"""What a value of the machine's state means. Copy, digest, checkpoint, search and symmetry follow from that.

A state is a dataclass with slots whose fields are declared with `held(KIND)`; a procedure declares the kinds of its
frame's variables. There is no second list of either: what has no kind is refused when the first machine is built.

    >>> @dataclass(slots=True, eq=False)
    ... class Queues:
    ...     waiting: list[list[int]] = held(ByCpu(ListOf(PLACE)))
    >>> queues = Queues([[1], [2, 3]])
    >>> other = copied(queues)
    >>> other.waiting[0].append(4)
    >>> queues.waiting, [field.kind.freeze(other.waiting) for field in held_fields(Queues)]
    ([[1], [2, 3]], [((1, 4), (2, 3))])
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import field, fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from structs.frozen import frozen

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")

Plain = object
"""What a checkpoint keeps: plain data for JSON: None, truth values, whole numbers, texts, and lists of these."""
Frame = list[int]
"""Procedure, program counter, variables: see `sim_backend.logic.program`."""
FIRST = 2
"""Where a frame holds its first variable."""
NOT_YET = -1
"""A variable that will name something and does not yet."""


class Renamer(Protocol):
    """A renaming of vCPUs and CPUs, by what a number means. What it does not rename it returns as it is."""

    def place(self, address: int) -> int:
        """A vCPU, its list node or lock, or what belongs to a CPU; physical or virtual."""

    def cpu(self, number: int) -> int:
        """A CPU."""

    def cpus(self, mask: int) -> int:
        """CPUs, a bit each."""

    def apic(self, number: int) -> int:
        """A CPU's APIC ID."""

    def control(self, word: int) -> int:
        """The 64 bits of a descriptor with ON, SN, NV and NDST."""

    def vector(self, v: int, vector: int) -> int:
        """A vector of a vCPU."""

    def vectors(self, v: int, first: int, bits: int) -> int:
        """64 vectors of a vCPU, a bit each, from `first` on."""

    def message(self, address: int, data: int) -> tuple[int, int]:
        """A device's message."""

    def entry(self, entry: int) -> int:
        """What a remapping entry holds."""

    def index(self, unit: int, index: int) -> tuple[int, int]:
        """Which remapping entry."""

    def msi(self, key: int) -> int:
        """Which MSI."""


class Kind(Generic[T]):
    """What a value means. Without more, an immutable value that no renaming changes."""

    immutable: ClassVar[bool] = True
    """Whether values stay what they are, so that they need neither copying nor freezing."""

    def blank(self) -> T:
        """The value of a machine that is switched on."""
        raise NotImplementedError

    def copier(self) -> Callable[[T], T]:
        """What makes a value of its own of a value that is not immutable, with as few calls as can be."""
        raise NotImplementedError

    def freeze(self, value: T) -> Hashable:
        """As a value that can be compared and hashed."""
        return value

    def thaw(self, frozen: Hashable) -> T:
        """What was frozen, to be changed."""
        return frozen  # type: ignore[return-value]

    def plain(self, value: T) -> Plain:
        """For a checkpoint."""
        return value

    def parse(self, plain: Plain) -> T:
        """What `plain` made of a value. Raises ValueError for what it cannot have made."""
        raise NotImplementedError

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        """A frozen value with what it names renamed."""
        return frozen


class Number(Kind[int]):
    """A number; as it stands, one that names nothing: a count, a domain, a source-id, a vector of the host."""

    unset: ClassVar[int] = 0
    """The value of a frame's variable before it is set."""

    def blank(self) -> int:
        return 0

    def parse(self, plain: Plain) -> int:
        if type(plain) is not int:
            raise ValueError(f"{str(plain)[:40]!r} is no whole number")
        return plain

    def rename(self, number: int, by: Renamer) -> int:
        """The number in the other one's place."""
        return number

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, int)
        return self.rename(frozen, by)

    def rename_in(self, frame: Sequence[int], at: int, by: Renamer) -> int:
        """As `rename`, of the frame's number at that place."""
        return self.rename(frame[at], by)


class Flag(Kind[bool]):
    """True or false."""

    def blank(self) -> bool:
        return False

    def parse(self, plain: Plain) -> bool:
        if type(plain) is not bool:
            raise ValueError(f"{str(plain)[:40]!r} is neither true nor false")
        return plain


class Saturating(Number):
    """A count of which a search only tells whether it is 0."""

    def freeze(self, value: int) -> Hashable:
        return min(value, 1)


class Minus(Number):
    """A number that is -1 until something is named."""

    unset = NOT_YET

    def blank(self) -> int:
        return NOT_YET


class Place(Number):
    """The address of a vCPU, of its list node or lock, or of what belongs to a CPU."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.place(number)


class CpuNumber(Minus):
    """A physical CPU's number."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.cpu(number)


class CpuMask(Number):
    """CPUs, a bit each."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.cpus(number)


class ApicId(Minus):
    """A CPU's APIC ID."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.apic(number)


class Control(Number):
    """The control word of a vCPU's descriptor; 0: not read yet."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.control(number) if number else 0


class Entry(Number):
    """What a remapping entry holds."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.entry(number)


class MsiKey(Number):
    """Which MSI."""

    def rename(self, number: int, by: Renamer) -> int:
        return by.msi(number)


class Fixed(Number):
    """What belongs to one MSI or its entry, in what is done only where nothing is renamed."""

    def rename(self, number: int, by: Renamer) -> int:
        if number:
            raise AssertionError(f"{number:#x} is not to be renamed: its events treat vCPUs by number")
        return 0


class VectorOfFirst(Number):
    """A vector of the vCPU that is the frame's first variable."""

    def rename_in(self, frame: Sequence[int], at: int, by: Renamer) -> int:
        return by.vector(frame[FIRST], frame[at])


class PirWord(Number):
    """64 bits of the PIR of the vCPU that is the frame's first variable."""

    def __init__(self, word: int) -> None:
        self.word = word

    def rename_in(self, frame: Sequence[int], at: int, by: Renamer) -> int:
        return by.vectors(frame[FIRST], 64 * self.word, frame[at])


class MessageAddress(Number):
    """The address of a device's message; its data comes next."""

    def rename_in(self, frame: Sequence[int], at: int, by: Renamer) -> int:
        return by.message(frame[at], frame[at + 1])[0]


class MessageData(Number):
    """The data of a device's message; its address comes before."""

    def rename_in(self, frame: Sequence[int], at: int, by: Renamer) -> int:
        return by.message(frame[at - 1], frame[at])[1]


class Text(Kind[str | None]):
    """A text, or none."""

    def blank(self) -> str | None:
        return None

    def parse(self, plain: Plain) -> str | None:
        if plain is not None and type(plain) is not str:
            raise ValueError(f"{str(plain)[:40]!r} is no text")
        return plain


class ListOf(Kind[list[T]]):
    """A list of things of one kind."""

    immutable = False

    def __init__(self, item: Kind[T]) -> None:
        self.item = item

    def blank(self) -> list[T]:
        return []

    def copier(self) -> Callable[[list[T]], list[T]]:
        if self.item.immutable:
            return list.copy
        copy = self.item.copier()
        return lambda value: list(map(copy, value))

    def freeze(self, value: list[T]) -> Hashable:
        return tuple(map(self.item.freeze, value))

    def thaw(self, frozen: Hashable) -> list[T]:
        assert isinstance(frozen, tuple)
        return list(frozen) if self.item.immutable else [self.item.thaw(each) for each in frozen]

    def plain(self, value: list[T]) -> Plain:
        return [self.item.plain(each) for each in value]

    def parse(self, plain: Plain) -> list[T]:
        return [self.item.parse(each) for each in _list(plain)]

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return tuple(self.item.renamed(each, by) for each in frozen)


class ByCpu(ListOf[T]):
    """A list with a place for each CPU."""

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        new = list(frozen)
        for cpu, each in enumerate(frozen):
            new[by.cpu(cpu)] = self.item.renamed(each, by)
        return tuple(new)


class Ascending(ListOf[int]):
    """A list of numbers that is kept in order."""

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return tuple(sorted(self.item.renamed(each, by) for each in frozen))  # type: ignore[type-var]


class Places(ListOf[int]):
    """A list of numbers whose kinds are told by where they stand; it may be shorter."""

    def __init__(self, *kinds: Number) -> None:
        super().__init__(NUMBER)
        self.kinds = kinds

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return tuple(kind.rename(each, by) for kind, each in zip(self.kinds, frozen, strict=False))


class Bindings(Kind[tuple[tuple[int, int], ...]]):
    """vCPUs, each with a vector."""

    def blank(self) -> tuple[tuple[int, int], ...]:
        return ()

    def plain(self, value: tuple[tuple[int, int], ...]) -> Plain:
        return [[v, vector] for v, vector in value]

    def parse(self, plain: Plain) -> tuple[tuple[int, int], ...]:
        return tuple(_pair(each) for each in _list(plain))

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return tuple((by.place(v), by.vector(v, vector)) for v, vector in frozen)


class EntryIndex(Kind[tuple[int, int]]):
    """A unit, and the index of an entry of its table."""

    def blank(self) -> tuple[int, int]:
        return 0, 0

    def plain(self, value: tuple[int, int]) -> Plain:
        return list(value)

    def parse(self, plain: Plain) -> tuple[int, int]:
        return _pair(plain)

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return by.index(*frozen)


class Store(Kind[tuple[int, int, int]]):
    """A store that waits in a store buffer: address, size, value. Machines with store buffers are never renamed."""

    def blank(self) -> tuple[int, int, int]:
        return 0, 1, 0

    def plain(self, value: tuple[int, int, int]) -> Plain:
        return list(value)

    def parse(self, plain: Plain) -> tuple[int, int, int]:
        address, size, value = map(NUMBER.parse, _list(plain))
        return address, size, value


class Table(Kind[dict[K, V]]):
    """A table; its order is no part of a frozen one."""

    immutable = False

    def __init__(self, key: Kind[K], item: Kind[V]) -> None:
        self.key = key
        self.item = item

    def blank(self) -> dict[K, V]:
        return {}

    def copier(self) -> Callable[[dict[K, V]], dict[K, V]]:
        if self.item.immutable:
            return dict.copy
        copy = self.item.copier()
        return lambda value: {key: copy(each) for key, each in value.items()}

    def freeze(self, value: dict[K, V]) -> Hashable:
        return tuple(sorted((self.key.freeze(key), self.item.freeze(each)) for key, each in value.items()))

    def thaw(self, frozen: Hashable) -> dict[K, V]:
        assert isinstance(frozen, tuple)
        return {self.key.thaw(key): self.item.thaw(each) for key, each in frozen}

    def plain(self, value: dict[K, V]) -> Plain:
        return [[self.key.plain(key), self.item.plain(each)] for key, each in value.items()]

    def parse(self, plain: Plain) -> dict[K, V]:
        pairs = [_list(each) for each in _list(plain)]
        return {self.key.parse(key): self.item.parse(each) for key, each in pairs}

    def renamed(self, frozen: Hashable, by: Renamer) -> Hashable:
        assert isinstance(frozen, tuple)
        return tuple(sorted((self.key.renamed(key, by), self.item.renamed(each, by)) for key, each in frozen))


def _list(plain: Plain) -> list[Plain]:
    if not isinstance(plain, list):
        raise ValueError(f"{str(plain)[:40]!r} is no list")
    return plain


def _pair(plain: Plain) -> tuple[int, int]:
    one, other = map(NUMBER.parse, _list(plain))
    return one, other


NUMBER, FLAG, TEXT = Number(), Flag(), Text()
PLACE, CPU_ID, CPU_MASK, APIC_ID, CONTROL = Place(), CpuNumber(), CpuMask(), ApicId(), Control()
ENTRY_VALUE, ENTRY_INDEX, MSI_KEY, FIXED, STORE = Entry(), EntryIndex(), MsiKey(), Fixed(), Store()
VECTOR_OF_FIRST, MESSAGE_ADDRESS, MESSAGE_DATA = VectorOfFirst(), MessageAddress(), MessageData()


# States.


@frozen
class Held:
    """A declared field of a state.

    Attributes:
        kind: what its value means.
        saved: whether a checkpoint has it; else it follows from what one has.
        digested: whether it tells one state from another.
        searched: whether a search has it: else it never changes there, or does not matter.
        each: whether a search tells its items apart, so that who reads one does not read all.
        part: fields of one part belong together in a search; by default a field is a part of its own.
    """

    name: str
    kind: Kind[object]
    saved: bool
    digested: bool
    searched: bool
    each: bool
    part: str


def held(
    kind: Kind[T],
    *,
    saved: bool = True,
    digested: bool = True,
    searched: bool = True,
    each: bool = False,
    part: str = "",
) -> T:
    """Declare a field of a state. See `Held`."""
    made: T = field(
        default_factory=kind.blank,
        metadata={"held": (kind, saved, digested, searched, each, part)},
    )
    return made


IDENTITY = {"held": None}
"""The metadata of a dataclass field that is no state: what something is, which never changes."""


def held_fields(kind: type) -> tuple[Held, ...]:
    """The fields of a state, in order. Raises TypeError if one is declared without `held`."""
    known = _HELD.get(kind)
    if known is None:
        known = _HELD[kind] = tuple(_declared(kind))
    return known


_HELD: dict[type, tuple[Held, ...]] = {}
_DIGESTED: dict[type, tuple[str, ...]] = {}
_COPIERS: dict[type, Callable[[Any], Any]] = {}


def _declared(kind: type) -> Iterator[Held]:
    for each in fields(kind):
        if "held" not in each.metadata:
            raise TypeError(f"{kind.__name__}.{each.name} has no kind: declare it with held(...)")
        if each.metadata["held"] is not None:
            what, saved, digested, searched, by_item, part = each.metadata["held"]
            yield Held(each.name, what, saved, digested, searched, by_item, part or each.name)


def copied(state: T) -> T:
    """A state of the same values that goes its own way."""
    kind = type(state)
    copier = _COPIERS.get(kind)
    if copier is None:
        copier = _COPIERS[kind] = _copier(kind)
    copy: T = copier(state)
    return copy


def _copier(kind: type) -> Callable[[Any], Any]:
    """What copies a state of this class: all fields, those that are no state too.

    It is written for the class, as `dataclasses` writes constructors: a loop over the names takes twice as long, and a
    search copies machines all the time.
    """
    copiers = {each.name: each.kind.copier() for each in held_fields(kind) if not each.kind.immutable}
    lines = ["def copy(state):", " other = new(kind)"]
    for each in fields(kind):
        value = f"state.{each.name}"
        lines.append(f" other.{each.name} = {f'copy_{each.name}({value})' if each.name in copiers else value}")
    known: dict[str, Any] = {"new": kind.__new__, "kind": kind, **{f"copy_{name}": c for name, c in copiers.items()}}
    exec("\n".join([*lines, " return other"]), known)
    made: Callable[[Any], Any] = known["copy"]
    return made


def digested(state: object) -> list[object]:
    """What tells a state from another, in an order that is always the same."""
    return [getattr(state, name) for name in _digested_names(type(state))]


def _digested_names(kind: type) -> tuple[str, ...]:
    known = _DIGESTED.get(kind)
    if known is None:
        known = _DIGESTED[kind] = tuple(each.name for each in held_fields(kind) if each.digested)
    return known


def saved(state: object) -> dict[str, Plain]:
    """A state for a checkpoint."""
    return {each.name: each.kind.plain(getattr(state, each.name)) for each in held_fields(type(state)) if each.saved}


def restore(state: object, document: Mapping[str, object]) -> None:
    """Put what `saved` made into a state. Raises ValueError if it is not that."""
    wanted = [each for each in held_fields(type(state)) if each.saved]
    if odd := document.keys() ^ {each.name for each in wanted}:
        raise ValueError(f"{', '.join(sorted(odd))[:100]}: of another vtdpi's state")
    for each in wanted:
        try:
            setattr(state, each.name, each.kind.parse(document[each.name]))
        except ValueError as error:
            raise ValueError(f"{each.name}: {error}") from None

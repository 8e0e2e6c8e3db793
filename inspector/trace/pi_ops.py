"""A domain's posting hooks, `pi_ops`: read again after every store to them."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.model.snapshot import Domain
from inspector.targets.watchpoint import Write
from inspector.trace.functions import Functions
from inspector.trace.lists import with_word
from inspector.trace.trace_event import Value
from inspector.xen.xen import Xen
from structs.xen import variants

WORD = 8
FLAGS = "flags"


class PiOps:
    """The hooks of these HVM domains; a PV domain has none, and other things there.

    Attributes:
        known: by domain, `d1`, its hooks as last read: `pi_ops.flags` as Xen has them, and for each pointer the
            function, None for none. Names are Xen's since 4.12, whatever this build calls them.
        writes: where they are.
    """

    def __init__(self, xen: Xen, domains: Sequence[Domain]) -> None:
        paths = variants.hooks(xen.profile)
        self._target = xen.memory.target
        self._functions = Functions(xen.profile)
        self._selection = xen.profile.selection("domain", *paths) if paths else None
        self.writes: dict[str, Write] = {}
        self.known: dict[str, dict[str, Value]] = {}
        self._raw: dict[str, bytes] = {}
        if not self._selection:
            return
        self._paths = {path: f"pi_ops.{path.rpartition('.')[2].removeprefix('pi_')}" for path in paths}
        start = self._selection.offset & -WORD
        self._shift = self._selection.offset - start
        size = -(-(self._shift + self._selection.record.size) // WORD) * WORD
        for domain in domains:
            if domain.hvm:
                at = domain.address + start
                self.writes[f"d{domain.domain}"] = Write(at, xen.memory.translate(at), size)
        self.follow(list(self.writes))

    def follow(self, domains: Sequence[str]) -> None:
        """Only these, as they are now."""
        self.writes = {name: self.writes[name] for name in domains}
        parts = self._read(list(self.writes))
        self._raw = {name: part for name, part in parts.items() if part is not None}
        self.known = {name: self._decoded(raw) for name, raw in self._raw.items()}

    def owner(self, address: int) -> str | None:
        """The domain whose hooks are at a physical address."""
        return next((n for n, at in self.writes.items() if at.physical <= address < at.physical + at.size), None)

    def changed(self, name: str, address: int, word: int | None) -> dict[str, tuple[Value, Value]]:
        """What a store changed in a domain's hooks.

        Args:
            address, word: where it was and what it left, see StopEvent.
        """
        if word is None:
            raw = self._read([name])[name]
        else:
            raw = with_word(self._raw.get(name, b""), address - self.writes[name].physical, word)
        if raw is None or name not in self.known:
            return {}
        before, now = self.known[name], self._decoded(raw)
        self._raw[name], self.known[name] = raw, now
        return {field: (old, now[field]) for field, old in before.items() if old != now[field]}

    def _read(self, names: Sequence[str]) -> dict[str, bytes | None]:
        parts = self._target.read_parts([(self.writes[name].physical, self.writes[name].size) for name in names])
        return dict(zip(names, parts, strict=True))

    def _decoded(self, raw: bytes) -> dict[str, Value]:
        assert self._selection
        record = self._selection.record
        number = int.from_bytes(raw[self._shift : self._shift + record.size], "little")
        values = {name: record[path].extract(number) for path, name in self._paths.items()}
        return {name: value if name.endswith(FLAGS) else self._function(value) for name, value in values.items()}

    def _function(self, address: int) -> str | None:
        return self._functions.at(address) if address else None

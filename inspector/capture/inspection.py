"""One look at a machine: what the commands ask for, read once and shared by what asks again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from inspector.base.errors import UNREADABLE, NotHere, VtdpiError
from inspector.model.absence import NOT_PRINTED, Absence, unreadable
from inspector.profiles import symbol_map
from inspector.targets.recorded.recorded import RecordedTarget
from inspector.targets.target import Control, Target
from structs.xen.named import is_file_name

if TYPE_CHECKING:
    from inspector.kernels.host import Host, HostUnit
    from inspector.model.interrupts import Msi, Pin
    from inspector.model.snapshot import Snapshot
    from inspector.model.vtd import Dmar
    from inspector.vtd.units import UnitReader
    from inspector.xen.find import XenNotFound
    from inspector.xen.xen import Xen
    from structs.xen.profile import Profile

T = TypeVar("T")


class Inspection:
    """Everything that one stop of a target can tell. Make a new one when the machine has run.

    Args:
        target: where to read.
        symbols: the xen-syms that the user named, if any.
        profile: the profile that the user named, if any.
        before: the last look at the same target: where its Xen was is where this one looks first.
        expected: its Xen, as it was found before there was any look.
        kept: snapshots with the names that the user gave them, of this target or another; those of `before` else.

    Attributes:
        notes: what the reader should know, such as that no Xen was found.
        kept: these snapshots, to which the user adds.
    """

    def __init__(
        self,
        target: Target,
        symbols: str | None = None,
        profile: str | None = None,
        before: Inspection | None = None,
        expected: Xen | None = None,
        kept: dict[str, Snapshot] | None = None,
    ) -> None:
        self.target = target
        self._symbols = symbols
        self._profile = profile
        self._xen_before: Xen | None = before.__dict__.get("xen") if before else expected
        self._linux_before: Host | None = before.__dict__.get("linux") if before else None
        self.kept: dict[str, Snapshot] = kept if kept is not None else before.kept if before else {}
        self.notes: list[str] = []
        self._absent: dict[str, list[Absence]] = {}
        """By the member of the snapshot that lacks it; under the empty name what is of all."""
        self._asked: Snapshot | None = None
        self._no_xen = ""
        """The note that no Xen was found, of which a Linux that is there is the reason."""

    def again(self) -> Inspection:
        """A look at the same target, which has run since."""
        return Inspection(self.target, self._symbols, self._profile, before=self)

    def of_file(self, path: str) -> Inspection:
        """A look at a dump of the same machine, which is closed again. Raises TargetError if it cannot be opened."""
        from inspector.targets.open_file import open_file

        with open_file(path) as target:
            inspection = Inspection(target, self._symbols, self._profile)
            inspection.snapshot  # noqa: B018 - read while the file is open
        return inspection

    @property
    def snapshot(self) -> Snapshot:
        """All that commands read: what the target recorded, or else what it holds, read at once and of one moment."""
        return self.deferred.complete()

    def machine(self, member: str = "vcpus") -> Snapshot:
        """The snapshot, where CPUs or vCPUs are known. Raises VtdpiError, with the reason, where none are.

        Args:
            member: what of them is asked for; it may be known that this source never tells it.
        """
        snapshot = self.snapshot
        for each in snapshot.absences:
            if each.kind == NOT_PRINTED and each.member == member != "vcpus":
                raise NotHere(f"{snapshot.target} tells of no {each.subject}: {each.why}")
        if snapshot.vcpus or snapshot.cpus:
            return snapshot
        if snapshot.page_table is None and not self.notes and not self.absent:
            why = next((f": {each.why}" for each in snapshot.absences if each.member == "vcpus"), "")
            raise NotHere(f"{snapshot.target} tells of no vCPU{why}")
        raise VtdpiError([*snapshot.problems, *self.notes, f"no Xen found in {snapshot.target}"][0])

    @property
    def deferred(self) -> Snapshot:
        """The same snapshot, each part of it read when first asked for, by commands that show a part only.

        Its `absent` tells of the parts that the command at hand has asked for. Asking for a part raises StaleError once
        the machine has run.
        """
        if self._asked is None:
            self._asked = self._all.afresh()
        return self._asked

    def begin_answer(self) -> None:
        """Another command begins: what an earlier one found absent is told again only if this one meets it too."""
        self._asked = None

    @property
    def absent(self) -> list[Absence]:
        """What could not be read of Xen, though it should be there."""
        return [absence for of_member in self._absent.values() for absence in of_member]

    def absent_of(self, *members: str) -> list[Absence]:
        """The same, of some members of the snapshot only, with what is of all."""
        return [absence for member in ("", *members) for absence in self._absent.get(member, ())]

    @property
    def lacking(self) -> Sequence[Absence]:
        """What the target as a whole lacks, as far as it is known by now, whatever is asked of it."""
        if isinstance(self.target, RecordedTarget):
            return self.target.snapshot.absences
        return self._absent.get("", ())

    @cached_property
    def _all(self) -> Snapshot:
        if isinstance(self.target, RecordedTarget):
            if named := self._symbols or self._profile:
                self.notes.append(f"{self.target.description} holds no memory, so {named} is not used")
            return self.target.snapshot
        from inspector.capture.capture import capture

        return capture(self)

    @cached_property
    def xen(self) -> Xen | None:
        """The Xen in memory, as it was before it crashed if it has; None if there is none of a known build.

        That is no problem, only a note: registers and ACPI tell a lot without. It is one if the user named symbols and
        they do not fit; a known profile then serves in their place.
        """
        if isinstance(self.target, RecordedTarget):
            return None
        xen = self._found()
        if xen is None or self.target.crash is None:
            return xen
        from inspector.xen.crash import corrected

        xen, notes = corrected(xen)
        self.notes += notes
        return xen

    @cached_property
    def host(self) -> Host | None:
        """What owns the machine's interrupts: its Xen, or, where none is, its Linux; None if neither is known."""
        if self.xen is None:
            return self.linux
        from inspector.xen.host import XenHost

        return XenHost(self.xen)

    @cached_property
    def linux(self) -> Host | None:
        """The Linux in memory: the machine's own, or domain 0's above a Xen; None if there is none.

        What is wrong with one that is there is a note.
        """
        if isinstance(self.target, RecordedTarget):
            return None
        from inspector.linux.find import find
        from inspector.linux.host import LinuxHost

        above = self.xen is not None
        before = self._linux_before.linux if isinstance(self._linux_before, LinuxHost) else None
        try:
            # No CPU of a live machine need have Linux's page tables: all may be in guests of KVM's.
            found = find(self.target, self._domains_tables() if above else (), search=not above, before=before)
        except UNREADABLE as error:
            self.notes.append(f"{self.target.description} holds {error}")
            return None
        if found is None:
            return None
        if not above and self._no_xen in self.notes:
            self.notes.remove(self._no_xen)
        return LinuxHost(found, above)

    def _domains_tables(self) -> Iterator[int]:
        """Page tables that may be domain 0's, if there is one: Xen has each map itself."""
        from inspector.xen.locate import roots_by_scan

        if not isinstance(self.target, Control) and any(not domain.domain for domain in self.deferred.domains):
            yield from roots_by_scan(self.target)

    def _found(self) -> Xen | None:
        from inspector.xen.find import XenNotFound, find

        named = self._symbols or self._profile
        if named:
            try:
                if self._symbols and self._symbols.endswith(symbol_map.SUFFIX):
                    return self._by_map(Path(self._symbols))
                return self._checked(find(self.target, self.wanted, self._xen_before))
            except UNREADABLE as error:
                self._absent.setdefault("", []).append(unreadable("the symbols", error))
        try:
            xen = find(self.target, before=self._xen_before)
        except XenNotFound as error:
            return self._unknown_xen(error, named is not None)
        except UNREADABLE as error:
            self.notes += [] if named else [str(error)]
            return None
        if named:
            self.notes.append(f"going on with the known profile of Xen {xen.profile.version}, which this target holds")
        self._say_how_well_known(xen)
        return xen

    def _say_how_well_known(self, xen: Xen) -> None:
        if xen.knowledge:
            self.notes.append(f"Xen {xen.profile.version} is of no known build: {xen.knowledge}; see `info`")

    def _by_map(self, path: Path) -> Xen:
        """The Xen in memory, with a file of its symbols. Raises VtdpiError if there is none, or of another build."""
        from inspector.xen.locate import locate
        from inspector.xen.unknown import recognise

        located = locate(self.target)
        if located is None:
            raise VtdpiError(f"no Xen found in {self.target.description} that {path} could be of")
        xen = recognise(located, path)
        self._say_how_well_known(xen)
        return xen

    def _checked(self, xen: Xen) -> Xen:
        """The Xen that was found by what the user named. A file may hold anything: what memory or Xen's code
        contradicts in it is not believed.

        Raises:
            DoesNotFit: too much of it is contradicted.
        """
        from inspector.xen.locate import mapped
        from inspector.xen.unknown import refuse_misfit, without

        if self._symbols or not self._profile or not is_file_name(self._profile):
            refuse_misfit(xen)
            return xen
        if not (wrong := refuse_misfit(xen, mapped(xen.memory))):
            return xen
        self.notes.append(f"the profile's {' and '.join(wrong)} contradict the Xen in memory and are not used")
        return without(xen, wrong)

    def _unknown_xen(self, error: XenNotFound, named: bool) -> Xen | None:
        """The Xen of which no profile is known, by what its image tells."""
        from inspector.profiles.places import installed
        from inspector.xen.find import find
        from inspector.xen.unknown import recognise

        if error.located is not None:
            try:
                if profile := installed(error.located.image.build_id or ""):
                    return find(self.target, [profile])
                xen = recognise(error.located)
            except UNREADABLE as why:
                self.notes.append(str(why))
            else:
                self._say_how_well_known(xen)
                return xen
        if not named:
            if error.located is None:
                self._no_xen = str(error)
            self.notes.append(str(error))
        return None

    @property
    def wanted(self) -> list[Profile] | None:
        """The profiles that the user asked for, the newest first. Raises VtdpiError if there are none."""
        from inspector.profiles import store as profiles

        if self._symbols:
            return [profiles.of_symbols(Path(self._symbols))]
        return profiles.all_named(self._profile) if self._profile else None

    @property
    def raw_dmar(self) -> Dmar:
        """The ACPI DMAR table as it lies in memory. Raises VtdpiError."""
        if isinstance(self._dmar, VtdpiError):
            raise self._dmar
        return self._dmar

    @cached_property
    def _dmar(self) -> Dmar | VtdpiError:
        """The table, or why there is none: what may be a long search is done once."""
        from inspector.vtd.acpi import find

        try:
            if self.host is None:
                return find(self.target)
            roots, areas = self.host.acpi_roots(), self.host.acpi_areas()
            # No search of all memory where the kernel has told what units there are, if any.
            told = bool(self.host_units) or not any(absence.member == "units" for absence in self.absent_of("units"))
            return find(self.target, roots, areas, search=not told)
        except VtdpiError as error:
            return error

    @cached_property
    def host_units(self) -> list[HostUnit]:
        """The host's own list of units, empty without a host; what is wrong with it is told in `absent`."""
        what = self.host.origin if self.host else ""
        units, absent = self._from_host(lambda host: host.units(), what, "units") or ([], [])
        self._absent.setdefault("units", []).extend(absent)
        return units

    @cached_property
    def host_msis(self) -> list[Msi]:
        """The MSIs that the host has set up, empty without one."""
        return self._from_host(lambda host: host.msis(), "MSI descriptors", "msis") or []

    @cached_property
    def host_pins(self) -> list[Pin]:
        """The IO-APICs' pins that have a remapping index, empty without a host."""
        return self._from_host(lambda host: host.pins(), "IO-APIC pin table", "pins") or []

    def _from_host(self, walk: Callable[[Host], T], what: str, member: str) -> T | None:
        if self.host is None:
            return None
        try:
            return walk(self.host)
        except UNREADABLE as error:
            subject = what if member == "units" else f"{self.host.name}'s {what}"
            self._absent.setdefault(member, []).append(unreadable(subject, error, member))
            return None

    @cached_property
    def unit_readers(self) -> list[UnitReader]:
        """The VT-d units that the DMAR table or the host names, in the host's order where one is
        known, else in the table's.

        Raises:
            VtdpiError: neither names any.
        """
        from inspector.vtd.acpi import Described, described_units, parsed
        from inspector.vtd.units import UnitReader

        try:
            described = described_units(parsed(self.raw_dmar))
        except VtdpiError as error:
            if not self.host_units:
                raise VtdpiError(f"no VT-d unit found: {error}") from None
            described = {}
        known = {unit.register_base: unit for unit in self.host_units}
        bases = [*known, *(base for base in described if base not in known)]
        x2apic = self.host.x2apic() if self.host else None
        units = []
        for position, base in enumerate(bases):
            host_unit = known.get(base)
            unit = described.get(base) or Described(host_unit.segment if host_unit else 0)
            index = host_unit.index if host_unit else position
            every = unit.include_all
            units.append(UnitReader(self.target, index, base, unit.segment, unit.scopes, host_unit, x2apic, every))
        if not units:
            raise VtdpiError("no VT-d unit found: the DMAR table describes none")
        return sorted(units, key=lambda unit: unit.index)

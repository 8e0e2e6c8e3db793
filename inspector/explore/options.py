"""What a user says of an exploration: the typed options of `vtdpi explore`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from inspector.base.arguments import FileName, Integer, argument, flag, json_flag, option, section
from structs.frozen import frozen

AT_MOST = "so many at most; -1: any number"


@frozen
class BoundOptions:
    """The size of what is explored, and how often each kind of event happens; None is what the scenario says."""

    cpus: int | None = option("CPUs")
    vcpus: int | None = option("vCPUs of the first guest")
    posts: Integer | None = option(AT_MOST)
    blocks: Integer | None = option(AT_MOST)
    hypercalls: Integer | None = option(AT_MOST)
    ipis: Integer | None = option(AT_MOST)
    preemptions: Integer | None = option(AT_MOST)
    migrations: Integer | None = option(AT_MOST)
    upcalls: Integer | None = option(AT_MOST)
    emulated: Integer | None = option(AT_MOST)
    pauses: Integer | None = option(AT_MOST)
    unpauses: Integer | None = option(AT_MOST)
    attaches: Integer | None = option(AT_MOST)
    detaches: Integer | None = option(AT_MOST)
    retargets: Integer | None = option(AT_MOST)
    nmis: Integer | None = option(AT_MOST)
    swaps: Integer | None = option(AT_MOST)
    offlines: Integer | None = option(AT_MOST)
    onlines: Integer | None = option(AT_MOST)
    saves: Integer | None = option(AT_MOST)
    suspends: Integer | None = option(AT_MOST)
    rewrites: Integer | None = option(AT_MOST)
    unroutes: Integer | None = option(AT_MOST)
    loads: Integer | None = option(AT_MOST)
    timers: Integer | None = option(AT_MOST)
    broadcasts: Integer | None = option(AT_MOST)
    disables: Integer | None = option(AT_MOST)
    moves: Integer | None = option(AT_MOST)

    def events(self) -> Mapping[str, int | None]:
        """How often at most each kind of event happens."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("cpus", "vcpus")}


@frozen
class SearchOptions:
    """How a scenario is searched."""

    first: bool = flag("stop when a property is broken (the default with --bug)")
    all: bool = flag("go on until every state was visited")
    states: int | None = option("visit so many states at most")
    depth: int | None = option("histories of so many actions at most")
    memory: int = option("take so much at most (default: 4096)", 4096, metavar="MIB")
    disk: FileName | None = option("keep the states in a file there, which memory caches", metavar="DIR")
    threads: int = option("work in so many threads", 1)
    no_symmetry: bool = flag("tell identical vCPUs and CPUs apart")
    store_buffers: bool = flag("stores wait in their CPU's buffer, as on x86")

    @property
    def memory_bytes(self) -> int | None:
        """What a search may take, in bytes; None if it may take any."""
        return self.memory << 20 if self.memory else None


@frozen
class SwarmOptions:
    """Many searches."""

    swarm: int | None = option("make so many, each begun elsewhere or bounded otherwise")
    processes: int | None = option("work in so many (default: one each processor)")
    dask: str | None = option("have a Dask cluster do it (tcp://HOST:PORT)", metavar="ADDRESS")


@frozen
class ReadOptions:
    """How a history is shown, and what is written of it."""

    read: FileName | None = option("explore nothing: show a history that was written before")
    every_step: bool = flag("a row for each step, also where nothing is seen")
    audit_steps: bool = flag("audit each step: when does a rule fire first")
    html: FileName | None = option("write the history as a page")
    graph: FileName | None = option("write the states around the history, as a page to click through")
    perfetto: FileName | None = option("write the history for ui.perfetto.dev")
    promela: FileName | None = option("write the model that was explored, for SPIN")


@frozen
class ExploreOptions:
    """An exploration."""

    scenario: str | None = argument(
        "a bundled scenario or a TOML file (default: the bug's, or h-a)", None, metavar="scenario"
    )
    list: bool = flag("what bugs, repairs, scenarios and properties there are")
    version: str | None = option(
        "the logic of Xen 4.7 (seed), 4.20 (current) or 4.21, or of KVM (kvm, kvm-preempt); by default that of the "
        "bug, or current",
        metavar="V",
    )
    bug: tuple[str, ...] = option("with this bug; may be repeated", (), metavar="NAME")
    repair: tuple[str, ...] = option("with this repair, likewise", (), metavar="NAME")
    property: FileName | None = option("a Python file with properties of your own, which is run")
    show: str | None = option("whose history to show (default: the shortest)", metavar="PROPERTY")
    save: FileName | None = option("write that history, for `sim --replay` and --read")
    bounds: BoundOptions = section(BoundOptions, "bounds (default: the scenario's)")
    search: SearchOptions = section(SearchOptions, "search")
    many: SwarmOptions = section(SwarmOptions, "many searches, of what is too large for one")
    reading: ReadOptions = section(ReadOptions, "reading a history")
    json: bool = json_flag()

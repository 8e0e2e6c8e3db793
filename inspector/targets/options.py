"""What a user says of a target: the typed options of `vtdpi sim`, `live` and `dump`."""

from __future__ import annotations

from typing import ClassVar

from inspector.base.arguments import FileName, Integer, argument, flag, option
from structs.frozen import frozen

STDIN = "-"
"""As a file's name: standard input."""


@frozen
class SimOptions:
    """A simulated machine."""

    scenario: str | None = option("a bundled scenario or a TOML file (default: one-device)", metavar="F")
    seed: Integer = option("of the order in which things happen (default: 0)", 0)
    version: str = option(
        "the logic of Xen 4.7 (seed), 4.20 (current) or 4.21, or of KVM (kvm, kvm-preempt)", "current", metavar="V"
    )
    build: str | None = option(
        "which Xen's layout: a version or its beginning, the start of a build-id, a file",
        flags=["--profile"],
        metavar="P",
    )
    load: FileName | None = option("go on with a saved machine")
    steps: int = option("let it take N steps first", 0)
    replay: FileName | None = option("the machine at the end of a history that `explore` wrote")
    at: Integer | None = option("with --replay: at that step of it", metavar="STEP")
    serve: str | None = option("serve gdb's remote protocol there (127.0.0.1:PORT) until Ctrl-C", metavar="ADDRESS")
    campaign: str | None = option("random runs of these scenarios, audited after each step", metavar="F,F,...")
    seeds: str = option("of a campaign: from A to B (default: 0..9)", "0..9", metavar="A..B")
    keep: FileName = option("of a campaign: where failures go (default: campaign)", "campaign", metavar="DIR")
    processes: int | None = option("of a campaign: work in so many (default: one each processor)")
    dask: str | None = option("of a campaign: have a Dask cluster do it (tcp://HOST:PORT)", metavar="ADDRESS")
    scenarios: bool = flag("list the bundled scenarios")

    NOT_OPENED: ClassVar[frozenset[str]] = frozenset(
        {"serve", "campaign", "seeds", "keep", "processes", "dask", "scenarios"}
    )
    """The options that are about something else than a machine to look at."""

    @property
    def is_more(self) -> bool:
        """Whether it asks for something else than a machine to look at."""
        return self.serve is not None or self.campaign is not None or self.scenarios


@frozen(kw_only=True)
class Symbols:
    """Which Xen it is, where its memory does not tell."""

    symbols: FileName | None = option("the xen-syms of this Xen (default: by build-id)", metavar="XEN_SYMS")
    profile: str | None = option("a profile: a version or its beginning, the start of a build-id, a file", metavar="P")


@frozen
class LiveOptions(Symbols):
    """A Xen that runs under QEMU."""

    address: str = argument(
        "QEMU's -gdb, HOST:PORT or unix:PATH (default: its -s); bochs:NAME for an HVM lab",
        "127.0.0.1:1234",
        metavar="HOST:PORT",
    )
    qmp: FileName | None = option("QEMU's -qmp unix socket: faster bulk reads", metavar="SOCK")
    gdb: str = option("the gdb to run (default: gdb)", "gdb", metavar="GDB")


@frozen
class DumpOptions(Symbols):
    """A memory dump, a saved snapshot or a console log."""

    file: FileName = argument(
        "a core, kdump, raw image, snapshot, or a log, also packed (gzip, tar, zip, ...); - is stdin"
    )
    boot: int | None = option("of a log that holds several boots, from 1 (default: last)")
    hole: str | None = option(
        "of a raw image without the PCI hole: how much of it lies below 4 GiB, such as 2G (0: no hole)",
        metavar="SIZE",
    )
    more: tuple[FileName, ...] = argument("the other parts of a split kdump (default: found beside it)", ())


Options = SimOptions | LiveOptions | DumpOptions

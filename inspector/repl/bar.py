"""The bar below the prompt: running or stopped, Xen's version, posted vectors, findings, and the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from inspector.base.foreign_text import one_line
from inspector.targets.target import Target, is_running

if TYPE_CHECKING:
    from inspector.capture.inspection import Inspection


def version(inspection: Inspection) -> str:
    """Which Xen it is, or which Linux where there is none."""
    if inspection.xen:
        return f"Xen {inspection.xen.profile.version.partition('-')[0]}"
    kernel = inspection.deferred.kernel
    return f"Linux {kernel.release.partition('-')[0]}" if kernel else "no Xen known"


def posted(inspection: Inspection) -> str:
    """How many vectors wait in descriptors."""
    described = [vcpu.pi for vcpu in inspection.snapshot.vcpus if vcpu.pi]
    if not described:
        return "no PI descriptors"
    count = sum(len(pi.pir) for pi in described)
    return f"{count} posted {'vector' if count == 1 else 'vectors'}"


def findings(inspection: Inspection) -> str:
    """What the audit finds."""
    from inspector.audit import BUG, WARNING, audit

    severities = [finding.severity for finding in audit(inspection.snapshot)]
    counts = [(severities.count(BUG), "bug"), (severities.count(WARNING), "warning")]
    return ", ".join(f"{count} {word}{'s' * (count > 1)}" for count, word in counts if count) or "no findings"


READERS: dict[str, Callable[[Inspection], str]] = {"version": version, "posted": posted, "findings": findings}
"""What the bar shows, each as it is read from a look."""


def text(target: Target | None, known: Mapping[str, Any], reading: bool) -> str:
    """The bar's text, from what is known by now."""
    if target is None:
        return " opening…"
    parts = ["running" if is_running(target) else "stopped", *filter(None, known.values())]
    return one_line(" " + " │ ".join([*parts, *(["reading…"] if reading else []), target.description]))

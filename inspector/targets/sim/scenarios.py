"""The scenarios that come with the simulated machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sim_backend.scenario.scenario import BUNDLED, load


def titles(names: Sequence[str] = BUNDLED) -> Mapping[str, str]:
    """What happens in each, by name: by default of those to run."""
    return {name: load(name).title for name in names}

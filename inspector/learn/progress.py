"""Which lessons the user has finished, kept in the XDG state directory."""

from __future__ import annotations

from inspector.base import new_file, xdg


def finished() -> frozenset[str]:
    """The names of the lessons that were finished; none where nothing can be kept or read."""
    try:
        return frozenset((xdg.state() / "lessons").read_text("utf-8").split())
    except (OSError, UnicodeDecodeError, xdg.NoHome):
        return frozenset()


def finish(name: str) -> None:
    """Note that a lesson is finished.

    Raises:
        UsageError: it cannot be kept.
        NoHome: there is nowhere to keep it.
    """
    every = sorted({*finished(), name})
    file = xdg.state() / "lessons"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new_file.write(file, "".join(f"{each}\n" for each in every))

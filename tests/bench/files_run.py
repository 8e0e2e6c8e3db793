"""In how many of our files a function runs for a command: the way that a reader has to walk. Run by hand.

Module and class bodies do not count, nor what they call: that a file is imported says nothing of the way.

    $ python tests/bench/files_run.py explore h-a
    $ python tests/bench/files_run.py --root ../old-worktree explore h-a      the same of another checkout
    $ python tests/bench/files_run.py --list explore h-a                      and which
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

PACKAGES = ("inspector", "sim_backend", "structs")


def executed(root: Path, words: list[str]) -> set[Path]:
    """The files, below the checkout's root, that executed anything for a command line of vtdpi."""
    sys.path.insert(0, str(root))
    seen: set[str] = set()

    def called(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and not _in_a_body(frame):
            seen.add(frame.f_code.co_filename)

    sys.setprofile(called)
    threading.setprofile(called)
    try:
        try:
            from inspector.frontends import cli
        except ImportError:
            from inspector import cli  # type: ignore[attr-defined, no-redef]

        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            cli.main(words)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    paths = (Path(name) for name in seen if name.startswith(str(root)))
    return {path.relative_to(root) for path in paths if path.relative_to(root).parts[0] in PACKAGES}


def _in_a_body(frame: FrameType | None) -> bool:
    """Whether a module is being imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    found = executed(options.root.resolve(), options.words)
    parts = Counter(path.parts[0] for path in found)
    print(f"{len(found)} files for `vtdpi {' '.join(options.words)}`: {dict(sorted(parts.items()))}")
    if options.list:
        print("\n".join(sorted(map(str, found))))


if __name__ == "__main__":
    main()

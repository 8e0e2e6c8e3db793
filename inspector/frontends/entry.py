"""Where the program begins and ends: signals, streams that do not take what is printed, and what nobody foresaw.

Exit status 1 is the audit's and `expect`'s alone, so nothing here ends with it.
"""

from __future__ import annotations

import sys

from inspector.base import signals

INTERRUPTED = "interrupted; the target was left as it was found"


def main() -> int:
    """Run the command line of this process; its exit status."""
    signals.install()
    status = _run()
    signals.ignore()
    return status


def _run() -> int:
    from inspector.base import streams

    streams.prepare()
    try:
        from inspector.frontends.cli import main

        return main()
    except KeyboardInterrupt:
        return _ended(INTERRUPTED, 130)
    except signals.Ended as error:
        return _ended(f"ended by {error.name}; the target was left as it was found", int(str(error.code)))
    except SystemExit as error:
        return streams.finish(error.code if isinstance(error.code, int) else 0 if error.code is None else 2)
    except Exception as error:
        return _ended(_unforeseen(error), 3)


def _ended(message: str, status: int) -> int:
    from inspector.frontends import failure

    return failure.tell_end(message, status, sys.argv[1:])


def _unforeseen(error: Exception) -> str:
    """A line about a bug of ours; with it the place, by which it can be found."""
    import os
    import traceback

    if os.environ.get("VTDPI_TRACEBACK"):
        traceback.print_exc()
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"
    return f"a bug of vtdpi itself: {type(error).__name__}: {error} ({place}; VTDPI_TRACEBACK=1 shows all of it)"


if __name__ == "__main__":
    sys.exit(main())

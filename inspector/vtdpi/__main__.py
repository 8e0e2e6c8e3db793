"""`python -m vtdpi`: the command line."""

from __future__ import annotations

import sys

from inspector.frontends.entry import main

if __name__ == "__main__":
    sys.exit(main())

"""Pages as a browser sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

BROWSER = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --dump-dom"
)


@pytest.fixture
def browse(tmp_path: Path, unavailable: Callable[[object], NoReturn]) -> Callable[..., tuple[str, list[str]]]:
    """Call it with a page's path, and a width, for what Chromium makes of it and what it has to say of it."""
    program = shutil.which("chromium")
    if not program:
        unavailable("chromium is missing: install the package chromium")

    def open_page(path: Path, width: int = 1200) -> tuple[str, list[str]]:
        # A user's directory of its own, and new, or Chromium looks for what an earlier run left.
        words = [program, *BROWSER.split(), f"--user-data-dir={tmp_path / 'browser'}", f"--window-size={width},900"]
        done = subprocess.run([*words, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, re.findall(r".*:CONSOLE.*", done.stderr)

    return open_page

"""The manual: `sphinx-build -W docs docs/_build`. Command, glossary and API pages are made from the code."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "vtdpi"
version = release = version_of("vtdpi")
copyright = "the vtdpi authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
exclude_patterns = ["_build"]
napoleon_use_ivar = True
html_theme = "furo"
html_title = f"vtdpi {version}"
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

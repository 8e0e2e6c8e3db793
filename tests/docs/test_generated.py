"""The pages that are made from the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from inspector.analysis.glossary import entries
from inspector.audit import rules

GENERATED = Path(__file__).parents[2] / "docs" / "generated.py"


def test_every_short_name_has_a_place_that_a_link_leads_to() -> None:
    """`inspector.views.links` makes `glossary.html#d5` of D5."""
    spec = importlib.util.spec_from_file_location("generated", GENERATED)
    assert spec
    assert spec.loader
    generated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generated)
    page = generated.glossary_page()
    for name in (*entries(), *(rule.id for rule in rules())):
        assert f"\n({name.lower()})=\n### {name}" in page

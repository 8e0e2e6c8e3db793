"""The manual's notebook: its cells run one after the other, and what each ends in prints itself."""

from __future__ import annotations

import ast
import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "docs/examples/first-look.ipynb"


def test_its_cells_run_and_what_they_end_in_is_html():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    names: dict[str, object] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"]))
        last = body.body[-1]
        value = isinstance(last, ast.Expr)
        exec(compile(ast.Module(body.body[:-1] if value else body.body, []), NOTEBOOK.name, "exec"), names)
        found = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names) if value else None
        if found is not None:
            shown.append(found._repr_html_())
    assert len(shown) == 6
    assert all("<table" in html or "<p" in html or "<pre" in html for html in shown)
    assert "d1v0" in shown[1]
    assert "no lost wakeup" in shown[-1]

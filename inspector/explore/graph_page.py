"""The state graph around a history as one HTML file to click through: what can be done in each state, the descriptors,
the situation of each vCPU, and what the audit says there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from inspector.audit import BUG, audit
from inspector.base.errors import UsageError
from inspector.base.foreign_text import visible
from inspector.capture.inspection import Inspection
from inspector.targets.sim.simulation import Simulation
from sim_backend.explore.graph import Graph, Node, around
from sim_backend.explore.materialise import materialised, values
from sim_backend.explore.result import UNKNOWN
from sim_backend.explore.situations import situation

if TYPE_CHECKING:
    from inspector.model.snapshot import Snapshot
    from sim_backend.explore import Exploration
    from sim_backend.explore.result import Verdict
    from sim_backend.machine.boot import AnyMachine

HISTORY, OTHER, WRONG = "#2b6cb0", "#a0aec0", "#c53030"
"""Colours: of the history, of what else could have been done, of states in which the audit finds a bug."""
PIXELS = 90
"""For one action."""


def page(explored: Exploration, verdict: Verdict) -> str:
    """The file's text.

    Raises:
        UsageError: there is no Bokeh here, or no history leads to the verdict.
    """
    require_bokeh()
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    graph = around(explored.search, verdict.name)
    if graph is None:
        raise UsageError(f"no history leads to {verdict.name!r}: there is no graph around it")
    title = visible(f"{explored.scenario.name}: {verdict.name}, {verdict.verdict}")
    drawn: str = file_html(_drawn(explored, graph, title), INLINE, title)
    return drawn


def require_bokeh() -> None:
    """Raises UsageError if there is no Bokeh here: nobody is to learn that after a long search."""
    try:
        import bokeh  # noqa: F401
    except ImportError:
        raise UsageError("--graph needs Bokeh: `pip install 'vtdpi[graph]'`") from None


def _drawn(explored: Exploration, graph: Graph, title: str) -> Any:
    from bokeh.layouts import column, row
    from bokeh.models import Div

    told = [_told(explored, node) for node in graph.nodes]
    shown = Div(text=told[0][1], width=560)
    legend = (
        "Click a state. Left to right: one action each; the history is the line in the middle,"
        " what else could have been done goes off from it. Red: the audit finds a bug there."
    )
    plot = _plot(graph, told, shown)
    heading = Div(text=f"<h2>{escape(title)}</h2><p>{escape(legend)}</p>")
    return column(heading, row(plot, shown), Div(text=_coverage(explored)))


def _plot(graph: Graph, told: list[tuple[bool, str]], shown: Any) -> Any:
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool, TapTool
    from bokeh.plotting import figure

    lanes = list(_lanes(graph))
    nodes = ColumnDataSource(
        {
            "x": [node.depth for node in graph.nodes],
            "y": lanes,
            "color": [
                WRONG if wrong else HISTORY if node.on_history else OTHER
                for node, (wrong, _) in zip(graph.nodes, told, strict=True)
            ],
            "told": [text for _, text in told],
        }
    )
    edges = ColumnDataSource(
        {
            "xs": [[graph.nodes[edge.start].depth, graph.nodes[edge.end].depth] for edge in graph.edges],
            "ys": [[lanes[edge.start], lanes[edge.end]] for edge in graph.edges],
            "action": [edge.action for edge in graph.edges],
            "color": [HISTORY if edge.on_history else OTHER for edge in graph.edges],
        }
    )
    plot = figure(
        width=900, height=600, tools="pan,wheel_zoom,reset", active_scroll="wheel_zoom", toolbar_location="above"
    )
    plot.axis.visible = plot.grid.visible = False
    plot.x_range.start, plot.x_range.end = -0.5, 900 / PIXELS
    lines = plot.multi_line("xs", "ys", source=edges, color="color", line_width=2)
    circles = plot.scatter("x", "y", source=nodes, size=16, color="color", nonselection_alpha=0.6)
    plot.add_tools(HoverTool(renderers=[lines], tooltips=[("action", "@action")], line_policy="interp"))
    plot.add_tools(TapTool(renderers=[circles]))
    code = "const at = nodes.selected.indices; if (at.length) { shown.text = nodes.data['told'][at[0]] }"
    nodes.selected.js_on_change("indices", CustomJS(args={"nodes": nodes, "shown": shown}, code=code))
    return plot


def _lanes(graph: Graph) -> Iterator[int]:
    """Where each node stands across: the history in the middle, others on both sides of it in turn."""
    taken: Counter[int] = Counter()
    for node in graph.nodes:
        if node.on_history:
            yield 0
        else:
            taken[node.depth] += 1
            nth = taken[node.depth]
            yield (nth + 1) // 2 * (1 if nth % 2 else -1)


def _told(explored: Exploration, node: Node) -> tuple[bool, str]:
    """Whether the audit finds a bug in a state, and all that is told of it."""
    machine = materialised(explored.machine, values(explored.search.fields, node.row))
    snapshot = Inspection(Simulation(machine)).snapshot
    findings = audit(snapshot)
    lines = [f"{each.severity} {each.rule} {each.subject}: {each.message}" for each in findings] or ["nothing found"]
    parts = [
        f"<h3>State after {node.depth} actions{'' if node.on_history else ', not of the history'}</h3>",
        _table(("vCPU", "situation", "runs on", "PIR", "ON", "SN", "NV", "NDST"), _vcpus(machine, snapshot)),
        _table(("CPU", "where"), [(str(cpu), machine.where(cpu)) for cpu in range(len(machine.cpus))]),
        _list("The audit", lines),
        _list("What can be done", node.enabled or ("nothing, or the search did not look",)),
    ]
    return any(finding.severity == BUG for finding in findings), "".join(parts)


def _vcpus(machine: AnyMachine, snapshot: Snapshot) -> Iterator[tuple[str, ...]]:
    for address in machine.names:
        name = machine.vcpu_name(address)
        vcpu = snapshot.by_name.get(name)
        if vcpu is None or vcpu.pi is None:
            yield (name, situation(machine, address), *("not readable",) * 6)
            continue
        pi, runs = vcpu.pi, "" if vcpu.cpu is None else f"CPU {vcpu.cpu}"
        vectors = " ".join(f"{vector:#x}" for vector in pi.pir) or "none"
        yield name, situation(machine, address), runs, vectors, str(pi.on), str(pi.sn), f"{pi.nv:#x}", f"{pi.ndst:#x}"


def _coverage(explored: Exploration) -> str:
    """Which of the logic's functions and of the situations were seen, and what became of the properties."""
    rows = [(verdict.name, verdict.kind, verdict.verdict) for verdict in explored.result.verdicts if verdict.name]
    how = "all states were visited" if explored.result.exhausted else f"not all states were visited; {UNKNOWN}: may be"
    return f"<h3>Coverage: {escape(how)}</h3>{_table(('what', 'kind', 'verdict'), rows)}"


def _table(heads: tuple[str, ...], rows: Any) -> str:
    head = "".join(f"<th align=left>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(visible(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table cellpadding=3><tr>{head}</tr>{body}</table>"


def _list(title: str, lines: Any) -> str:
    items = "".join(f"<li>{escape(visible(line))}</li>" for line in lines)
    return f"<h4>{escape(title)}</h4><ul>{items}</ul>"

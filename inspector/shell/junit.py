"""Lines that were run, as the JUnit XML that CI servers read: one test case a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from inspector.base import new_file
from inspector.base.foreign_text import visible

if TYPE_CHECKING:
    from inspector.shell.script import Ran

WRONG = 1
"""The exit status of an expectation that failed, and of an audit that found a bug: a failure. Others are errors."""


def write(path: str, ran: Sequence[Ran], left: Sequence[tuple[str, str]] = ()) -> None:
    """Write the report. Raises NotWritten.

    Args:
        path: where to.
        ran: the lines that were run.
        left: where those stand that were not, though nobody left, and what they say.
    """
    failed = sum(each.status == WRONG for each in ran)
    counts = {
        "tests": str(len(ran) + len(left)),
        "failures": str(failed),
        "errors": str(sum(each.status != 0 for each in ran) - failed),
        "skipped": str(len(left)),
        "time": f"{sum(each.seconds for each in ran):.3f}",
    }
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": "vtdpi", **counts})
    for each in ran:
        words = {"classname": visible(each.where), "name": visible(each.text.strip()), "time": f"{each.seconds:.3f}"}
        case = ElementTree.SubElement(suite, "testcase", words)
        if each.status:
            message = visible(each.said or f"exit status {each.status}")
            ElementTree.SubElement(case, "failure" if each.status == WRONG else "error", {"message": message})
    for where, text in left:
        words = {"classname": visible(where), "name": visible(text.strip()), "time": "0.000"}
        case = ElementTree.SubElement(suite, "testcase", words)
        ElementTree.SubElement(case, "skipped", {"message": "the script ended before"})
    ElementTree.indent(suites)
    new_file.write(path, ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n")

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


def write(path: str, ran: Sequence[Ran]) -> None:
    """Write the report. Raises NotWritten."""
    failed = sum(each.status == WRONG for each in ran)
    counts = {
        "tests": str(len(ran)),
        "failures": str(failed),
        "errors": str(sum(each.status != 0 for each in ran) - failed),
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
    ElementTree.indent(suites)
    new_file.write(path, ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n")

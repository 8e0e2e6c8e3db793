"""A report that CI servers can read, whatever the lines are. Made by a run: tests/inspector/shell/test_script.py."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from inspector.shell import junit
from inspector.shell.script import Ran


@given(text=st.text(), said=st.text(), status=st.sampled_from([0, 1, 2, 3]))
def test_it_is_xml_whatever_is_in_the_lines(tmp_path_factory, text, said, status):
    path = tmp_path_factory.mktemp("junit") / "report.xml"
    junit.write(str(path), [Ran("-c", text, status, said)], [("-c", text)])
    suite = ElementTree.parse(path).getroot()[0]
    assert [each.tag for each in suite[1]] == ["skipped"]
    assert [each.tag for each in suite[0]] == [[], ["failure"], ["error"], ["error"]][status]

"""The explorer from a Python program."""

from __future__ import annotations

import pytest

from inspector.base.errors import UsageError
from inspector.explore.checking import PropertyBroken, check


@pytest.fixture(scope="module")
def stranded():
    return check("h-a", properties=["no lost wakeup", "Xen does not crash"])


def test_what_holds_and_what_is_broken(stranded):
    assert stranded.exhausted
    assert stranded.states > 1000
    assert (stranded.holds, stranded.broken) == (False, ("no lost wakeup",))
    stranded.assert_holds("Xen does not crash")
    with pytest.raises(PropertyBroken, match="no lost wakeup: broken") as caught:
        stranded.assert_holds()
    assert (caught.value.name, caught.value.verdict) == ("no lost wakeup", "broken")
    assert caught.value.moves > 10
    assert "broken   no lost wakeup" in str(stranded)
    assert "<td>no lost wakeup</td><td>broken</td>" in stranded._repr_html_()


def test_its_history_is_replayed(stranded, run, tmp_path):
    stranded.save("no lost wakeup", tmp_path / "history.json")
    (finding,) = run("sim", "--replay", tmp_path / "history.json", "audit", "--json").json["findings"]
    assert (finding["rule"], finding["subject"]) == ("D30", "d1v0")
    with pytest.raises(UsageError, match="there is no history of it"):
        stranded.save("Xen does not crash", tmp_path / "none.json")


def test_a_bug_of_its_own_scenario():
    asked = ["no stranded interrupt", "delivered at least once"]
    check("zoo-03", properties=asked).assert_holds()
    assert check("zoo-03", bugs=["ZOO-03"], properties=asked).broken == ("no stranded interrupt",)


def test_what_was_not_all_seen_is_not_proved():
    found = check("h-a", states=100, properties=["Xen does not crash"])
    assert not found.exhausted
    with pytest.raises(PropertyBroken, match="Xen does not crash: unknown"):
        found.assert_holds()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"model": "nonsense"}, "nonsense"),
        ({"model": "h-a", "properties": ["x"]}, "no property 'x'"),
        ({"model": "h-a", "bugs": ["x"]}, "x"),
    ],
)
def test_what_there_is_not(words, message):
    with pytest.raises(UsageError, match=message):
        check(**words)

"""The page shows all that the JSON has, part by part, and what is held beside evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from ingest.dead_letters import DeadLetter
from kinfold.held.beside import Letter, beside
from kinfold.held.page import _BASES, _KEPT_BY_NAME, _KINDS, _RULES
from profiles.requests import Step, Taken
from tests.support.asking import AT_US, SAID, request
from tests.support.everything_held import AROUND, EVIL, gathering, somebody, told
from tests.support.profile_parts import new_sealer

PARTS = {
    "person": "identifiers", "identifiers": "identifiers", "attributes": "attributes",
    "records": "records", "devices": "devices", "behaviour": "behaviour", "purchases": "purchases",
    "affinities": "affinities", "consents": "consents", "links": "links", "scored_links": "links",
    "decisions_of_staff": "links", "recipients": "recipients", "retention": "retention",
    "sources": "retention", "dead_letters": "letters", "requests": "requests", "holds": "holds",
}  # fmt: skip
"""Where on the page each part of the JSON is."""
LETTER = DeadLetter(
    "a" * 26, "time", "event_time", "write RFC 3339", "crm", "json", "p", b"", AT_US, b"sealed"
)
ASKED = replace(
    request(),
    place="US-CA",
    said=SAID._replace(values=(("given_name", EVIL),), retract=(("crm", "s-1"),)),
    steps=(*request().steps, Taken(Step.REFUSE, AT_US + 1, "b", "asked for the third time")),
)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """All that is held of somebody of whom everything is."""
    sealer = new_sealer()
    ada = somebody(sealer)
    around = beside(ada, [Letter(LETTER, EVIL)], [ASKED], {"legal_hold": True})
    return {**gathering(sealer).everything(ada, AROUND), **around}


def sections(page: str) -> dict[str, str]:
    """The words of each part of the page, without its tags, by the part's name."""
    parts = re.findall(r'<section id="(\w+)">(.*?)</section>', page, re.DOTALL)
    return {name: unescape(re.sub(r"<[^>]*>", " ", body)) for name, body in parts}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in some JSON, and every name that is not a field's, with its path."""
    if isinstance(value, dict):
        for name, one in value.items():
            if path.endswith((".values", ".counted", ".hours_utc", ".corrections")):
                yield f"{path}.name", name
            yield from leaves(one, f"{path}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            is_hours = path == "behaviour.hours_utc"
            yield from leaves(one, f"{path}.{number}" if is_hours else path)
    elif value is not None and value != "":
        yield path, value


def shown_as(path: str, value: Any) -> set[str]:
    """How the page may write a value; nothing where it shows it in another way."""
    if isinstance(value, bool):
        return set()
    if isinstance(value, int):
        return {f"{value:,}"} if value else set()
    if isinstance(value, float):
        return {f"{value:g}", f"{value:.1f}", f"{value:.2f}", f"{value:.4f}", f"{value:+.1f}"}
    name = path.rpartition(".")[2]
    if name == "assurance":
        return {_BASES[value]}
    if name == "rule":
        return {_RULES[value]}
    if path == "retention.kind":
        part, _, of = value.partition(".")
        return {_KEPT_BY_NAME[part].format(of)} if part in _KEPT_BY_NAME else {_KINDS[value]}
    if path.endswith(".hours_utc.name"):
        return {f"{int(value):02}:00"}
    if path.endswith((".under.token", ".left.token", ".right.token")):
        return set()  # it stands beside its value among the identifiers
    moment = value.replace("T", " ").replace(":00Z", "").removesuffix("Z")
    return {value, moment, moment[:10], value.replace("_", " ").replace(".", " ")}


ONE_SEEN = {"links.count": {"once"}, "attributes.other_values": {"other values lost"}}
"""Numbers that stand as words."""
BY_OTHER_WORDS = {
    "links.basis", "scored_links.basis", "decisions_of_staff.basis", "consents.now.purpose",
}  # fmt: skip
"""Left to the words around them: how it was joined, and a purpose's id beside its words."""


def test_the_page_shows_all_that_the_json_has(found: dict[str, Any]) -> None:
    """Every value of every part is in its section, in one of the ways in which a page writes it."""
    page = sections(told(found))
    assert found.keys() - PARTS.keys() == {"unreadable"}
    missing = set()
    for part, held in found.items():
        if part not in PARTS:
            continue
        text = re.sub(r"\s+", " ", page[PARTS[part]])
        for path, value in leaves(held, part):
            ways = shown_as(path, value) | ONE_SEEN.get(path, set())
            if (
                path not in BY_OTHER_WORDS
                and ways
                and not any(re.sub(r"\s+", " ", way) in text for way in ways)
            ):
                missing.add((path, str(value)))
    assert missing == set()
    for day in found["behaviour"]["days"]:
        hours = [f"{int(hour):02}:00 {signals}" for hour, signals in day["hours_utc"].items()]
        assert ", ".join(hours) in page["behaviour"]


def test_every_part_holds_something(found: dict[str, Any]) -> None:
    """Else the test above would compare nothing with nothing."""
    assert all(found[part] for part in PARTS)
    assert all(found["behaviour"].values())


def test_why_somebody_is_held_is_withheld_and_said_to_be(found: dict[str, Any]) -> None:
    """That there is a reason is told, and where none is kept, that too."""
    (hold,) = found["holds"]
    assert (hold["purpose"], hold["reason_withheld"]) == ("legal_hold", True)
    assert "A reason is kept and is not part of this" in sections(told(found))["holds"]
    none = {**found, "holds": [{**hold, "reason_withheld": False}]}
    assert "No reason is kept." in sections(told(none))["holds"]


def test_what_is_beside_nobody_is_shown_as_well() -> None:
    """Of whoever is not known there may be requests and letters, and no other part."""
    around = beside(None, [Letter(LETTER, None)], [ASKED], {})
    page = told({"person": None, "unreadable": 1, **around})
    assert set(sections(page)) == {"requests", "letters"}
    assert "Nobody is known by what the request names" in page
    assert "Nothing is held" not in page
    assert "1 records, purchases or pieces of input cannot be opened" in page
    nothing = told({"person": None, **beside(None, [], [], {})})
    assert "Nothing is held" in nothing

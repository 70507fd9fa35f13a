"""Everything held about a person is there, in one order, and nothing of it breaks its page."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from html.parser import HTMLParser

import orjson
import pytest

from identity.model import EvidenceKind, PersonEvidence
from kinfold.held.gather import Around, provided
from profiles.sealing import Sealer
from tests.support.everything_held import AROUND, PURPOSES, gathering, somebody, told
from tests.support.profile_parts import new_sealer, sample


@pytest.fixture
def sealer() -> Sealer:
    """Seals what the evidence holds."""
    return new_sealer()


@pytest.fixture
def ada(sealer: Sealer) -> PersonEvidence:
    """Somebody with something in every field."""
    return somebody(sealer)


def test_everything_is_there(sealer: Sealer, ada: PersonEvidence) -> None:
    """Every node, fact, day, link and recipient of the evidence is in what is told."""
    found = gathering(sealer).everything(ada, AROUND)
    text = orjson.dumps(found).decode()
    for node in ada.nodes:
        assert node.key.rpartition(":")[2] in text
    assert len(found["records"]) == 2
    assert len(found["links"]) == len(ada.links)
    days = sum(len(days) for days in ada.activity.values())
    assert len(found["behaviour"]["days"]) == days
    kinds = [kept.fact.kind for kept in ada.facts]
    assert len(found["purchases"]) == kinds.count(EvidenceKind.PURCHASE)
    assert len(found["decisions_of_staff"]) == 1
    assert found["scored_links"][0]["evidence"][0]["weight_bits"] == 9.25
    assert [one["purpose"] for one in found["consents"]["set_apart"]] == ["legal_hold"]
    link = next(one for one in found["retention"] if one["kind"] == "link")
    assert (link["kept_for_days"], bool(link["kept_since"])) == (730, True)
    assert "for 730 days; nothing from before " in told(found)
    assert found["recipients"]["systems"] == [
        {"system": "local", "purposes": [one.name for one in PURPOSES.purposes]}
    ]


def test_the_order_of_the_evidence_changes_nothing(sealer: Sealer, ada: PersonEvidence) -> None:
    """Shuffled in every part, the same is told, byte for byte."""
    drawn = random.Random(7)
    first = orjson.dumps(gathering(sealer).everything(ada, AROUND))
    for _ in range(5):
        nodes, links, facts = list(ada.nodes), list(ada.links), list(ada.facts)
        activity = list(ada.activity.items())
        for part in (nodes, links, facts, activity):
            drawn.shuffle(part)
        shuffled = replace(
            ada, nodes=tuple(nodes), links=tuple(links), facts=tuple(facts), activity=dict(activity)
        )
        assert orjson.dumps(gathering(sealer).everything(shuffled, AROUND)) == first


def test_what_may_serve_and_what_is_allowed_are_told_apart(sealer: Sealer) -> None:
    """A purpose that was withdrawn may still be served, and is not in use."""
    found = gathering(sealer).everything(sample(sealer, grants=False), Around())
    given = next(one for one in found["attributes"] if one["name"] == "given_name")
    assert given["may_serve"] == ["service", "personalisation", "marketing"]
    assert given["in_use_for"] == ["service"]


def test_what_cannot_be_opened_is_told_as_such(ada: PersonEvidence) -> None:
    """With its key gone a record is shown without its values, and counted."""
    found = gathering(new_sealer()).everything(ada, Around())
    assert found["unreadable"] == 3
    assert found["purchases"][0].keys().isdisjoint({"value", "item"})
    assert all(one["values"] is None for one in found["records"])
    assert "cannot be opened any more" in told(found)


def test_portability_is_a_part_of_access(sealer: Sealer, ada: PersonEvidence) -> None:
    """What was provided is word for word what access shows, and nothing that was inferred."""
    found = gathering(sealer).everything(ada, AROUND)
    handed = provided(found)
    assert handed.items() <= found.items()
    assert found.keys() - handed.keys() == {
        "affinities", "attributes", "links", "scored_links", "decisions_of_staff", "recipients",
        "retention", "sources", "unreadable",
    }  # fmt: skip


class _Tags(HTMLParser):
    """Counts tags, and keeps what they may not have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Scripts, handlers and links that lead away are wrong."""
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag in ("script", "img", "iframe", "link", "form"):
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or (name == "href" and not str(value).startswith("#")):
                self.wrong.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        """Every tag is closed in its place."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag}")


def test_nothing_said_can_break_out_of_the_page(sealer: Sealer, ada: PersonEvidence) -> None:
    """HTML in names, values, sources, recipients and levels stays text; tags match; nothing is
    loaded from anywhere.
    """
    text = told(gathering(sealer).everything(ada, AROUND))
    tags = _Tags()
    tags.feed(text)
    assert (tags.open, tags.wrong) == ([], [])
    assert text.count("alert(&#x27;x&#x27;)") >= 5
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text
    assert not re.search(r"(src|url)\s*[=(]", text.partition("</style>")[2])


def test_nobody_known_is_a_page_as_well() -> None:
    """It says that nothing is held."""
    assert "Nothing is held" in told({"person": None})

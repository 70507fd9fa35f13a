"""docs/compliance.md says where everything rests, and asks of requests what the policy asks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import kinfold
from identity.model import EvidenceKind
from kinfold.holdings import HOLDINGS
from profiles import privacy_policy
from profiles.deadlines import RequestKind
from profiles.privacy_policy import LEVELS

PAGE = (Path(kinfold.__file__).parents[1] / "docs" / "compliance.md").read_text("utf-8")
ELSEWHERE = "handed out"
"""The rows of what is nobody's holding any more, since it left."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    second = [number for number, row in enumerate(cells) if set(row[0]) == {"-"}][:2]
    return cells[2 : second[1] - 1] if len(second) > 1 else cells[2:]


def kept() -> dict[str, list[list[str]]]:
    """What the page says of each holding: what, where, how long, why."""
    found: dict[str, list[list[str]]] = {}
    for row in rows("What is kept, where, how long, why"):
        name = re.match(r"\*\*([a-z ]+)\*\*", row[0])
        assert name is not None, row
        found.setdefault(name[1], []).append(row)
    return found


def test_every_holding_has_a_row() -> None:
    """In order, with all four cells, and none of what is not a holding but what left."""
    told = kept()
    assert list(told) == [*(one.name for one in HOLDINGS), ELSEWHERE]
    assert all(len(row) == 4 and all(row) for table in told.values() for row in table)


def test_every_file_is_named_where_it_rests() -> None:
    """The files of the home folder that a holding claims stand in its rows."""
    told = kept()
    for one in HOLDINGS:
        where = " ".join(row[1] for row in told[one.name])
        assert all(f"`{pattern.rstrip('*')}" in where for pattern in one.files), one


def test_every_kind_of_evidence_says_what_makes_it_expire() -> None:
    """Of what the graph keeps, each entry of `[retention]` that sets its days is named."""
    lasts = " ".join(row[2] for row in kept()["graph"])
    assert all(f"`{kind.name.lower()}`" in lasts for kind in EvidenceKind)


def test_every_kind_of_request_says_how_sure_it_must_be() -> None:
    """As the policy that ships has it, and no other kind."""
    policy = Path(kinfold.__file__).with_name("default_policy.toml").read_text("utf-8")
    asked = privacy_policy.parse(tomllib.loads(policy)).levels
    words = {level: name for name, level in LEVELS.items()}
    told = {row[0].strip("`"): row[1] for row in rows("Requests")}
    assert told == {kind.value: words[asked[kind]] for kind in RequestKind}


def test_links_within_the_page_lead_somewhere() -> None:
    """Each to one of its headings."""
    titles = re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    places = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in titles}
    wanted = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert wanted
    assert wanted <= places

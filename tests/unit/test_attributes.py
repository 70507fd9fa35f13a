"""Survivorship: one value stands, by a rule that can be told, whatever order records came in."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from profiles.attributes import Asserted, Survivor, Survivorship, parse, survivors, verify

RULES = Survivorship(trust=("crm", "shop"))


def said(source: str, at_us: int, digest: bytes = b"d", **values: str) -> Asserted:
    """What a record says; `address_city` stands for `address.city`."""
    named = {name.replace("address_", "address."): value for name, value in values.items()}
    return Asserted(source, at_us, digest, named)


def only(found: list[Survivor]) -> Survivor:
    """The one survivor."""
    (survivor,) = found
    return survivor


def test_the_most_trusted_source_wins_over_a_newer_one() -> None:
    """What the source named first says stands, and the answer tells why and how many lost."""
    found = survivors(
        [said("shop", 9, city="Bern"), said("crm", 1, city="Basel"), said("web", 10, city="Zug")],
        RULES,
    )
    assert only(found) == Survivor("city", "Basel", "crm", 1, "most_trusted", 2)


def test_among_equally_trusted_the_latest_wins() -> None:
    """Two records of one source: the newer one stands."""
    found = survivors([said("crm", 1, city="Basel"), said("crm", 2, city="Bern")], RULES)
    assert only(found) == Survivor("city", "Bern", "crm", 2, "most_recent", 1)


def test_among_as_recent_ones_the_most_frequent_wins() -> None:
    """Three records at one moment: what two of them say stands."""
    found = survivors(
        [said("crm", 1, bytes([n]), city=city) for n, city in enumerate(("Bern", "Zug", "Zug"))],
        RULES,
    )
    assert only(found) == Survivor("city", "Zug", "crm", 1, "most_frequent", 1)


def test_what_no_rule_decides_the_order_of_values_decides() -> None:
    """A full tie still has one outcome."""
    found = survivors([said("crm", 1, city="Zug"), said("crm", 1, city="Bern")], RULES)
    assert only(found) == Survivor("city", "Bern", "crm", 1, "order_of_values", 1)


def test_a_value_without_rivals_says_so() -> None:
    """Said by several but always the same, it is the only value, from the most trusted."""
    found = survivors([said("crm", 1, city="Bern"), said("web", 5, city="Bern")], RULES)
    assert only(found) == Survivor("city", "Bern", "crm", 1, "only_value", 0)


def test_an_address_survives_in_one_piece() -> None:
    """No town of one record with the street of another."""
    found = survivors(
        [
            said("crm", 1, address_city="Bern", address_street="Marktgasse"),
            said("crm", 2, address_city="Basel"),
        ],
        RULES,
    )
    assert found == [Survivor("address.city", "Basel", "crm", 2, "most_recent", 1)]


def test_rules_per_attribute() -> None:
    """An attribute with a chain of its own goes by it, all others by the default chain."""
    rules = parse(
        {
            "survivorship": {
                "trust": ["crm"],
                "rules": ["most_recent"],
                "rules.city": ["most_frequent"],
            }
        }
    )
    records = [said("crm", 9, b"1", city="Bern", job="b")]
    records += [said("web", at, bytes([at]), city="Zug", job="z") for at in (1, 2)]
    assert [(one.value, one.rule) for one in survivors(records, rules)] == [
        ("Zug", "most_frequent"),
        ("b", "most_recent"),
    ]


def test_empty_values_say_nothing() -> None:
    """An empty field does not win over a filled one, nor stand alone."""
    found = survivors([said("crm", 9, city="", job=""), said("web", 1, city="Bern")], RULES)
    assert only(found).value == "Bern"


records = st.lists(
    st.builds(
        said,
        st.sampled_from(["crm", "shop", "web", "app"]),
        st.integers(0, 3),
        st.binary(min_size=1, max_size=1),
        city=st.sampled_from(["Bern", "Zug", ""]),
        address_street=st.sampled_from(["Marktgasse", "Seeweg", ""]),
        address_unit=st.sampled_from(["1", "2", ""]),
    ),
    max_size=6,
)


@given(made=records, seed=st.integers())
def test_order_makes_no_difference(made: list[Asserted], seed: int) -> None:
    """Any order of records gives the same survivors with the same provenance."""
    shuffled = made[:]
    random.Random(seed).shuffle(shuffled)
    assert survivors(made, RULES) == survivors(shuffled, RULES)


def test_every_problem_of_the_policy_is_told_at_once() -> None:
    """Each problem names its key."""
    problems = verify(
        {"survivorship": {"trust": "crm", "rules": ["newest"], "rules.city": [1], "else": ["x"]}}
    )
    assert [problem.split(":")[0] for problem in problems] == [
        "survivorship.trust",
        "survivorship.rules",
        "survivorship.rules.city",
        "survivorship.else",
    ]
    kept = {"attributes": {"Phone": 5, "phone": 5, "address.city": 5}, "link": 5}
    (problem,) = verify({"retention": kept})
    assert problem.startswith("retention.attributes.Phone: unknown (did you mean phone?)")
    assert verify({"survivorship": 3}) == ["survivorship: must be a table with trust and rules"]
    assert verify({}) == []

"""Purposes: every problem told at once, and each part of a profile serving what policy says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from profiles.purposes import FIELDS, Rule, parse
from profiles.purposes_verify import verify

SHIPPED = Path(__file__).parents[2] / "kinfold" / "default_policy.toml"
SOUND = """
[purposes.service]
words = "Run it"
basis = "contract"
opt = "out"
[purposes.marketing]
words = "Write to you"
basis = "consent"
opt = "in"
[serves]
attributes = ["service"]
"attributes.email" = ["service", "marketing"]
"attributes.address" = ["marketing"]
"attributes.address.country" = ["service", "marketing"]
"attributes.passport" = []
affinities = ["marketing"]
"affinities.religion" = []
"identifiers.external" = ["marketing"]
"identifiers.external:crm" = ["service"]
"""
WRONG = {
    "purposes": {
        "Bad Name": {"words": "x", "basis": "contract", "opt": "out"},
        "quiet": {"words": " ", "basis": "whim", "opt": "maybe", "colour": "red"},
        "sly": {"words": "x", "basis": "consent", "opt": "out"},
        "flat": "yes",
        "odd": {
            "words": "x",
            "basis": "contract",
            "opt": "out",
            "minimum_age": -1,
            "unknown_age": True,
            "tcf": [0],
            "tcf_features": [1, 1],
            "gpc": "yes",
            "places": "US",
        },
        "lax": {
            "words": "x",
            "basis": "legitimate_interest",
            "opt": "out",
            "places": {
                "usa": {"basis": "contract"},
                "US": {"basis": "consent"},
                "DE": {"opt": "in"},
                "FR": {"minimum_age": 15},
                "CH": {"words": "x"},
                "AT": 3,
            },
        },
    },
    "tcf": {"vendor_id": 0, "colour": "red"},
    "serves": {
        "shoes": ["quiet"],
        "hours.night": ["quiet"],
        "devices": "quiet",
        "attributes.email": ["quiet", "unheard", ["odd"]],
        "selling": ["quiet"],
    },
}


def test_bits_follow_the_order_of_appearance() -> None:
    """The first purpose is bit 0, and what needs consent is told."""
    policy = parse(tomllib.loads(SOUND))
    assert [(one.name, one.bit) for one in policy.purposes] == [("service", 1), ("marketing", 2)]
    assert policy.needs_consent == 2
    assert policy.bits(["marketing", "service", "marketing"]) == 3
    assert policy.bits([]) == 0
    assert policy.bits(["marketing", "else"]) is None


def test_finer_entries_go_before_their_field() -> None:
    """An attribute with an entry of its own has that, the others their field's, the rest none."""
    policy = parse(tomllib.loads(SOUND))
    assert policy.served("attributes", "email") == 3
    assert policy.served("attributes", "city") == 1
    assert policy.served("identifiers", "external:crm") == 1
    assert policy.served("identifiers", "external:shop") == 2
    assert policy.served("identifiers", "email") == 0
    assert policy.served("attributes", "address.city") == 2
    assert policy.served("attributes", "address.country") == 3
    assert policy.served("affinities", "sport/running/trail") == 2
    assert policy.served("channels") == 0


def test_what_names_no_purpose_is_served_to_no_one() -> None:
    """An empty list withholds an item whose field is served, and all that lies below it."""
    policy = parse(tomllib.loads(SOUND))
    assert policy.served("attributes", "passport") == 0
    assert policy.served("affinities", "religion") == 0
    assert policy.served("affinities", "religion/feasts") == 0


def test_a_use_beyond_serving_needs_a_purpose_as_well() -> None:
    """Linking devices and exporting are allowed by a granted purpose that covers them, or not."""
    policy = parse(
        tomllib.loads(SOUND.replace("[serves]", '[serves]\ndevice_linking = ["marketing"]'))
    )
    assert [policy.allows("device_linking", granted) for granted in (0, 1, 2, 3)] == [
        False,
        False,
        True,
        True,
    ]
    assert not policy.allows("export", 3)
    assert policy.covered(policy.by_name["service"]) == [
        "attributes",
        "attributes.email",
        "attributes.address.country",
        "identifiers.external:crm",
    ]


def test_a_place_loosens_the_rule_and_the_strictest_place_counts() -> None:
    """California may opt out, elsewhere nothing goes without a yes; both at once: the stricter."""
    sale = parse(
        {
            "purposes": {
                "sale": {
                    "words": "Sell it",
                    "basis": "consent",
                    "opt": "in",
                    "minimum_age": 18,
                    "places": {
                        "US": {"minimum_age": 16},
                        "US-CA": {"basis": "legitimate_interest", "opt": "out"},
                        "CH": {"minimum_age": 14},
                    },
                }
            }
        }
    ).by_name["sale"]
    assert sale.rule_in([]) == Rule(True, False, 18) == sale.rule_in(["DE"])
    assert sale.rule_in(["US-NY"]) == Rule(True, False, 16)
    assert sale.rule_in(["US-CA"]) == Rule(False, True, 18)
    assert sale.rule_in(["US-CA", "CH-ZH"]) == Rule(True, False, 18)
    assert sale.rule_in(["CH", "US-NY"]) == Rule(True, False, 16)
    assert sale.rule_in(["CH", ""]) == Rule(True, False, 18)


def test_every_problem_is_told_at_once_with_its_key() -> None:
    """One reading shows all there is to mend."""
    problems = verify(WRONG)
    assert [problem.split(": ")[0] for problem in problems] == [
        "purposes.Bad Name",
        "purposes.quiet.words",
        "purposes.quiet.basis",
        "purposes.quiet.opt",
        "purposes.quiet.colour",
        "purposes.sly.opt",
        "purposes.flat",
        "purposes.odd.minimum_age",
        "purposes.odd.unknown_age",
        "purposes.odd.tcf",
        "purposes.odd.tcf_features",
        "purposes.odd.gpc",
        "purposes.odd.places",
        "purposes.lax.places.usa",
        "purposes.lax.places.US.opt",
        "purposes.lax.places.US",
        "purposes.lax.places.DE",
        "purposes.lax.places.FR",
        "purposes.lax.places.CH.words",
        "purposes.lax.places.AT",
        "serves.shoes",
        "serves.hours.night",
        "serves.devices",
        "serves.attributes.email",
        "serves.attributes.email",
        "serves.selling",
        "tcf.vendor_id",
        "tcf.colour",
    ]
    assert len(verify({"purposes": 1, "serves": 2, "tcf": 3})) == 3
    assert verify(tomllib.loads(SOUND)) == []


def test_a_mask_has_room_for_64() -> None:
    """The sixty-fifth purpose has no bit left."""
    body = {"words": "x", "basis": "contract", "opt": "out"}
    assert verify({"purposes": {f"p{n}": body for n in range(64)}}) == []
    assert verify({"purposes": {f"p{n}": body for n in range(65)}}) == [
        "purposes: at most 64, here are 65"
    ]


def test_the_shipped_policy_is_sound_and_names_every_field() -> None:
    """What ships serves every part of a profile to somebody."""
    document = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert verify(document) == []
    policy = parse(document)
    assert [field for field in FIELDS if not policy.served(field)] == []


def test_the_shipped_policy_holds_every_purpose_of_the_tcf() -> None:
    """The framework's eleven purposes and two special features each have a purpose here."""
    policy = parse(tomllib.loads(SHIPPED.read_text("utf-8")))
    assert {number for purpose in policy.purposes for number in purpose.tcf} == set(range(1, 12))
    assert {number for one in policy.purposes for number in one.tcf_features} == {1, 2}
    assert {purpose.name for purpose in policy.purposes if purpose.gpc} == {
        "sale",
        "personalised_ads",
    }

"""A policy is refused for every name that nothing knows, told by its path and the nearest known."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ingest.v1.signal_pb2 import PostalAddress, RecordAsserted
from kinfold.policy_file import verify
from profiles import declared, purposes
from profiles.build import SEEN_ATTRIBUTES

SHIPPED = (Path(__file__).parents[2] / "kinfold" / "default_policy.toml").read_text("utf-8")
DECLARES = """
[declares]
attributes = ["shoe_size", "crm.score"]
channels = ["kiosk"]
"""
MISSPELLED = [
    ("", "[tfc]\nvendor_id = 3", "tfc", "tcf"),
    ("", "[caller.x]\nmay = ['reads profiles']", "caller", "callers"),
    ("", "[retentions]\nlink = 3", "retentions", "retention"),
    ("", "[purpose.x]\nwords = 'x'", "purpose", "purposes"),
    ("half_life_days", "half_lif_days", "affinities.half_lif_days", "half_life_days"),
    ("[kinds.email]\n", "[kinds.email]\npriorty = 1\n", "kinds.email.priorty", "priority"),
    (
        "shared_beside = { customer_id = 1 }",
        "shared_beside = { custmer_id = 1 }",
        "kinds.login.shared_beside.custmer_id",
        "customer_id",
    ),
    ("others = 2 }", "other = 2 }", "kinds.email.shared_beside.other", "others"),
    (
        "[sources.iot]\n",
        "[sources.iot]\nmay_decid = true\n",
        "sources.iot.may_decid",
        "may_decide",
    ),
    ("", "[retention]\nlinks = 3", "retention.links", "link"),
    ("", "[retention.identifiers]\ncookies = 3", "retention.identifiers.cookies", "cookie"),
    (
        "",
        "[retention.attributes]\nbrith_date = 3",
        "retention.attributes.brith_date",
        "birth_date",
    ),
    (
        "",
        "[retention.attributes]\n'address.cty' = 3",
        "retention.attributes.address.cty",
        "address.city",
    ),
    ("", "[retention.purposes]\nmarketin = 3", "retention.purposes.marketin", "marketing"),
    ("gpc = true", "gcp = true", "purposes.sale.gcp", "gpc"),
    (
        "[purposes.sale.places.US]\n",
        "[purposes.sale.places.US]\nbases = 'x'\n",
        "purposes.sale.places.US.bases",
        "basis",
    ),
    (
        'attributes = ["service"]',
        'atributes = ["service"]',
        "serves.atributes",
        "attributes",
    ),
    ('"attributes.passport"', '"attributes.pasport"', "serves.attributes.pasport", "passport"),
    ('"identifiers.email"', '"identifiers.emial"', "serves.identifiers.emial", "email"),
    (
        '"attributes.passport"',
        '"channels.emial"',
        "serves.channels.emial",
        "email",
    ),
    ('networks = ["service"]', 'networks = ["servce"]', "serves.networks", "service"),
    ("device_linking =", "device_linkin =", "serves.device_linkin", "device_linking"),
    ("", "[tcf]\nvendor = 3", "tcf.vendor", "vendor_id"),
    ("trust =", "trsut =", "survivorship.trsut", "trust"),
    (
        "[survivorship]\n",
        '[survivorship]\n"rules.birthdate" = ["most_recent"]\n',
        "survivorship.rules.birthdate",
        "birth_date",
    ),
    (
        "[survivorship]\n",
        '[survivorship]\nrules = ["most_recnt"]\n',
        "survivorship.rules",
        "most_recent",
    ),
    ('law = "gdpr"', 'lav = "gdpr"', "privacy.lav", "law"),
    ('portability = "', 'portabilty = "', "privacy.verification.portabilty", "portability"),
    ('roles = ["agent"]', 'role = ["agent"]', "staff.desk.role", "roles"),
    ('may = ["*"]', 'mai = ["*"]', "callers.local.mai", "may"),
    ('may = ["*"]', 'may = ["read profiles"]', "callers.local.may", "reads profiles"),
    ('fields = ["*"]', 'fields = ["atributes"]', "callers.local.fields", "attributes"),
    ('kinds = ["*"]', 'kinds = ["logn"]', "callers.local.kinds", "login"),
    ('kinds = ["*"]', 'kinds = ["extern:crm"]', "callers.local.kinds", "external"),
    ("", "[declares]\nattribute = ['x']", "declares.attribute", "attributes"),
]
"""What is written in the shipped policy in place of what; the path told; what was meant."""


def problems(was: str = "", now: str = "") -> list[str]:
    """What is wrong with the shipped policy once this is written in place of that."""
    assert SHIPPED.count(was) >= 1
    return verify(tomllib.loads(SHIPPED.replace(was, now, 1) if was else SHIPPED + now))


def test_the_shipped_policy_is_sound() -> None:
    """Nothing in it is unknown."""
    assert problems() == []


@pytest.mark.parametrize(("was", "now", "path", "meant"), MISSPELLED)
def test_what_nothing_knows_is_refused(was: str, now: str, path: str, meant: str) -> None:
    """Each by its path, with the nearest name that is known: a misspelled one grants nothing."""
    found = [problem for problem in problems(was, now) if problem.startswith(f"{path}: ")]
    assert len(found) == 1, problems(was, now)
    assert f"did you mean {meant}?" in found[0]


def test_far_from_anything_known_nothing_is_guessed() -> None:
    """What is like nothing is told with what there is."""
    (found,) = problems("", "[weather]\nsun = 1")
    assert "did you mean" not in found
    assert found.startswith("weather: unknown; known are kinds, sources, ")


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ('"attributes.passport"', '"attributes."', "serves.attributes."),
        ('"affinities.religion"', '"affinities."', "serves.affinities."),
        ('"affinities.religion"', '"affinities./religion"', "serves.affinities./religion"),
        ('"affinities.religion"', '"affinities.health//x"', "serves.affinities.health//x"),
        ("half_life_days = 30", "half_life_days = true", "affinities.half_life_days"),
        ("half_life_days = 30", "half_life_days = 0", "affinities.half_life_days"),
        ('"attributes.passport" = []', '"attributes.Email" = []', "serves.attributes.Email"),
        ('blocked = ["null"', 'blocked = [0, "null"', "kinds.customer_id.blocked"),
        ("", "[declares]\nattributes = 'x'", "declares.attributes"),
        ("", "[declares]\nattributes = ['passport']", "declares.attributes"),
        ("", "[declares]\nchannels = ['']", "declares.channels"),
    ],
)
def test_what_would_mean_nothing_is_refused(was: str, now: str, path: str) -> None:
    """Names of no form, numbers that are none, names said twice: each is told by its path."""
    found = [problem for problem in problems(was, now) if problem.startswith(f"{path}: ")]
    assert len(found) == 1, problems(was, now)


@pytest.mark.parametrize(
    "table",
    "kinds sources retention purposes serves tcf survivorship affinities".split()
    + "privacy staff issuers callers declares".split(),
)
@pytest.mark.parametrize("value", [3, [1], "x", {"a": 3}, {"a": {"b": 3}}, {"a": [["c"]]}])
def test_a_table_of_another_form_is_told(table: str, value: object) -> None:
    """Whatever stands in place of a table, it is refused by its name, and nothing breaks."""
    document: dict[str, Any] = {**tomllib.loads(SHIPPED), table: value}
    assert any(problem.partition(":")[0].startswith(table) for problem in verify(document))


def test_every_problem_is_told_at_once() -> None:
    """One reading shows all there is to mend, in every table."""
    text = SHIPPED.replace("trust =", "trsut =").replace("gpc = true", "gcp = true", 1)
    found = verify(tomllib.loads(text + "[tfc]\n[retention]\nlinks = 3"))
    assert {problem.partition(":")[0] for problem in found} == {
        "tfc",
        "retention.links",
        "purposes.sale.gcp",
        "survivorship.trsut",
    }


def test_what_the_policy_declares_is_known() -> None:
    """Attributes and channels of the sources' own may be told apart once they are declared."""
    served = '"attributes.shoe_size" = []\n"attributes.crm" = []\n"channels.kiosk" = []\n'
    served += '"channels.web" = []\n"attributes.address.city" = []\n"identifiers.external:x" = []\n'
    ruled = '[survivorship]\n"rules.shoe_size" = ["most_recent"]\n"rules.address" = []\n'
    text = SHIPPED.replace("[serves]\n", "[serves]\n" + served).replace("[survivorship]\n", ruled)
    kept = "[retention.attributes]\nshoe_size = 30\naddress = 30\n"
    assert verify(tomllib.loads(text + kept + DECLARES)) == []
    undeclared = verify(tomllib.loads(text + kept))
    assert {problem.partition(": ")[0] for problem in undeclared} == {
        "serves.attributes.shoe_size",
        "serves.attributes.crm",
        "serves.channels.kiosk",
        "survivorship.rules.shoe_size",
        "retention.attributes.shoe_size",
    }


def test_attributes_that_a_profile_can_have_are_known() -> None:
    """Whatever a record says, part by part, and what is seen of somebody."""
    said = {field.name for field in RecordAsserted.DESCRIPTOR.fields} - {"other"}
    parts = {f"address.{field.name}" for field in PostalAddress.DESCRIPTOR.fields}
    seen = {name for name, _ in SEEN_ATTRIBUTES}
    assert set(declared.ATTRIBUTES) == said | parts | seen


def test_the_case_of_an_item_makes_no_difference() -> None:
    """What a source writes in capitals is withheld by the entry that is not."""
    document = tomllib.loads(SHIPPED)
    policy = purposes.parse(document)
    assert policy.served("affinities", "Religion/Feasts") == 0
    assert policy.served("affinities", "RELIGION") == 0
    assert policy.served("affinities", "Sport") == policy.served("affinities") != 0
    document["serves"] = {"affinities": ["service"], "affinities.Religion": []}
    assert purposes.parse(document).served("affinities", "religion") == 0
    (found,) = verify({**document, "serves": {"affinities.A": [], "affinities.a": []}})
    assert found.startswith("serves.affinities.a: ")

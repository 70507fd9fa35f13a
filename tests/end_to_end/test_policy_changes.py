"""A policy that changed holds for everybody: withheld first, then built anew by whoever starts."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kinfold.settings import load
from kinfold.wiring import open_lookup, open_policies, open_vault, open_view
from profiles.access import unlimited
from profiles.v1.profile_service_pb2 import GetProfileRequest, GetProfileResponse
from tests.support.command_line import CommandLine, as_lines, login

SHIPPED = Path(__file__).parents[2] / "kinfold" / "default_policy.toml"
ANN = ("login", "ann")
FIRST = """[purposes.espionage]
words = "Spy on you"
basis = "consent"
opt = "in"

[purposes.service]"""
"""A purpose before all others, so that the bits of every one of them move."""


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The program, and Ann, who looked at shoes, wants personalisation and not the service."""
    made = CommandLine(tmp_path, {"KINFOLD_HOME_POLICY": "policy.toml", "KINFOLD_HOME_DIR": "home"})
    policy(made)
    said = {"personalisation": True, "service": False}
    decisions = [{"purpose": name, "granted": granted} for name, granted in said.items()]
    signals = [
        login(1, ANN, behaviour={"type": "BEHAVIOUR_TYPE_PAGE_VIEW", "category": "shoes"}),
        login(2, ANN, consentDecided={"decisions": decisions, "textVersion": "1"}),
    ]
    assert made.does("ingest", "-", "--json", given=as_lines(*signals)).json["counted"] == 2
    return made


def policy(line: CommandLine, was: str = "", now: str = "") -> None:
    """The shipped policy, but for this."""
    text = SHIPPED.read_text("utf-8")
    assert was in text
    (line.folder / "policy.toml").write_text(text.replace(was, now, 1) if was else text, "utf-8")


def told(line: CommandLine, purpose: str, *more: str) -> tuple[set[str], set[str]]:
    """The fields that are answered about Ann for a purpose, and those that are withheld."""
    where = more or ("--local",)
    answer: dict[str, Any] = line.does("get", "login:ann", "--json", "--for", purpose, *where).json
    return set(answer.get("profile", {})), set(answer.get("withheld", ()))


def at_rest(line: CommandLine, purpose: str) -> tuple[set[str], set[str]]:
    """As `told`, by a replica over what rests in the home folder: nobody builds anything."""
    flags = {"home.dir": str(line.folder / "home"), "home.policy": str(line.folder / "policy.toml")}
    settings = load(flags, {})
    policies = open_policies(settings)
    with closing(open_vault(settings)) as vault, closing(open_view(settings)) as view:
        lookup = open_lookup(settings, policies, vault, view)
        request = GetProfileRequest(purposes=[purpose])
        request.subject.identifier.kind, request.subject.identifier.value = ANN
        grant = unlimited(policies.purposes).callers[0].grant
        answer = lookup.get(request, view.heard_ms() * 1_000, grant)
    assert isinstance(answer, bytes)
    response = GetProfileResponse.FromString(answer)
    return {field.name for field, _ in response.profile.ListFields()}, set(response.withheld)


def test_bits_that_moved_grant_nothing_until_everybody_is_built_anew(line: CommandLine) -> None:
    """What was granted for one purpose never opens what another may have."""
    shown, withheld = at_rest(line, "personalisation")
    assert "affinities" in shown
    assert not at_rest(line, "service")[0]
    policy(line, "[purposes.service]", FIRST)
    for purpose in ("service", "personalisation", "espionage"):
        assert at_rest(line, purpose) == (set(), shown | withheld)
    line.does("ingest", "-")
    assert at_rest(line, "personalisation") == told(line, "personalisation") == (shown, withheld)
    for purpose in ("service", "espionage"):
        assert at_rest(line, purpose) == (set(), shown | withheld)


def test_a_server_serves_by_the_policy_it_was_started_with(line: CommandLine) -> None:
    """Once it is ready, nothing is served any more for what may not have it now, all else is."""
    shown, withheld = told(line, "personalisation")
    policy(line, '\naffinities = ["personalisation", ', "\naffinities = [")
    with line.serving() as address:
        now = told(line, "personalisation", "--serve-listen", address)
        assert now == (shown - {"affinities"}, withheld | {"affinities"})


def test_what_else_profiles_are_folded_by_reaches_everybody(line: CommandLine) -> None:
    """A half-life, which no lookup depends on, is in everybody's profile after the next start."""
    policy(line, "half_life_days = 30", "half_life_days = 7")
    get = ("get", "login:ann", "--json", "--local", "--for", "personalisation")
    assert line.does("ingest", "-", "--json").json["profiles_published"] == 1
    assert line.does(*get).json["profile"]["affinities"][0]["half_life_days"] == 7
    assert line.does("ingest", "-", "--json").json["profiles_published"] == 0

"""A place is of a country that there is."""

from __future__ import annotations

import pytest

from profiles import privacy_policy
from profiles.places import countries, is_place


@pytest.mark.parametrize("place", ["CH", "US-CA", "GB", "DE-BY", "FR-75", "ES-MD", "XK", "GB-ENG"])
def test_countries_and_regions_are_places(place: str) -> None:
    """By their codes."""
    assert is_place(place)


@pytest.mark.parametrize("place", ["XX-ZZ", "UK", "EU", "ch", "US-", "US-CALI", "USA", "", "US CA"])
def test_what_no_country_has_is_none(place: str) -> None:
    """Codes that ISO 3166 gave to nobody, and other forms."""
    assert not is_place(place)


def test_every_country_is_there() -> None:
    """ISO 3166-1 has 249, and Kosovo uses a code of its own."""
    assert len(countries()) == 250


def test_a_policy_names_places_that_there_are() -> None:
    """A law for nobody's country would be nobody's."""
    (problem,) = privacy_policy.verify({"privacy": {"places": {"UK": "gdpr"}}, "sources": {
        "staff": {"may_decide": True}
    }})  # fmt: skip
    assert problem == "privacy.places.UK: name a country or region, US or US-CA"

"""Identifiers said in two ways get one canonical form, or a rule that says why not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.normalize import Unusable, identifier, tidy

FORMS = [
    "device",
    "cookie",
    "login",
    "customer_id",
    "loyalty_card",
    "advertising_id",
    "external:crm",
]


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("email", " Anna.Muster@Kinfold.IO ", "anna.muster@kinfold.io"),
        ("email", "anna@münchen.de", "anna@xn--mnchen-3ya.de"),
        ("phone", "044 668 18 00", "+41446681800"),
        ("phone", "+41 (0)44 668-18-00", "+41446681800"),
        ("phone", "0041446681800", "+41446681800"),
        ("login", "  Straße ", "strasse"),
        ("login", "\uff21nna", "anna"),
        ("device", " AbC ", "AbC"),
        ("loyalty_card", "ab-12 34.5", "AB12345"),
        (
            "advertising_id",
            "38400000-8CF0-11BD-B23E-10B96E40000D",
            "38400000-8cf0-11bd-b23e-10b96e40000d",
        ),
        ("external:crm", "K 17", "K 17"),
    ],
)
def test_one_form_for_what_means_the_same(kind: str, value: str, form: str) -> None:
    """Known pairs of what was said and its canonical form."""
    assert identifier(kind, value, "CH") == form


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("email", "anna", "email"),
        ("email", "anna@localhost", "email"),
        ("phone", "123", "phone"),
        ("phone", "call me", "phone"),
        ("device", "", "required"),
        ("device", " \t ", "required"),
        ("device", "a\0b", "printable"),
        ("device", "x" * 513, "length"),
        ("loyalty_card", "- -", "required"),
    ],
)
def test_what_cannot_be_of_its_kind_is_unusable(kind: str, value: str, rule: str) -> None:
    """The rule is named; the value is not repeated."""
    found = identifier(kind, value, "CH")
    assert isinstance(found, Unusable)
    assert found.rule == rule
    assert len(value.strip()) < 3 or value not in found.hint


def test_without_a_region_a_phone_needs_its_countrys_code() -> None:
    """No country is guessed."""
    assert isinstance(identifier("phone", "044 668 18 00"), Unusable)
    assert identifier("phone", "+41 44 668 18 00") == "+41446681800"


@settings(deadline=None)
@given(st.sampled_from(FORMS), st.text())
def test_a_form_is_its_own_form(kind: str, value: str) -> None:
    """Normalising twice gives what normalising once gives."""
    form = identifier(kind, value)
    if not isinstance(form, Unusable):
        assert identifier(kind, form) == form


@settings(deadline=None)
@given(st.emails())
def test_an_addresss_form_is_its_own_form(value: str) -> None:
    """The same for e-mail addresses, whatever is valid in them."""
    form = identifier("email", value)
    if not isinstance(form, Unusable):
        assert identifier("email", form) == form
        assert form == form.lower()


@settings(deadline=None)
@given(st.text())
def test_tidy_leaves_no_blanks_around_or_doubled(value: str) -> None:
    """Single spaces inside, none outside, and tidying again changes nothing."""
    form = tidy(value)
    assert form == form.strip()
    assert "  " not in form
    assert tidy(form) == form

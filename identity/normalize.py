"""Canonical forms of identifiers: the same thing said in two ways gets one value, so one token.

Pure: no clock, no network, no file. A form is idempotent: normalising a
normalised value gives it back. What cannot be an identifier of its kind is an
`Unusable`, whose words never hold the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from unicodedata import normalize

import phonenumbers
from email_validator import EmailNotValidError, validate_email

EMAIL_KIND = "email"
PHONE_KIND = "phone"
MAX_VALUE_CHARS = 512
_EXTERNAL = re.compile(r"external:[a-z0-9][a-z0-9_.-]{0,63}")
_CARD_SEPARATORS = re.compile(r"[\s./_-]+")
_PHONE_SEPARATORS = re.compile(r"[\s().\u2010-\u2015/-]+")


class Unusable(NamedTuple):
    """Why a value cannot be an identifier of its kind: the rule's name, and the way out."""

    rule: str
    hint: str


def identifier(kind: str, value: str, region: str | None = None) -> str | Unusable:
    """The canonical form of a kind's value.

    - email: lower case, its domain in ASCII (IDNA); syntax only, no DNS.
    - phone: E.164; `region` (ISO 3166-1 alpha-2) is where a number without a
      country's code is taken to be from, None: such numbers are unusable.
    - login: NFKC and case folded. advertising_id: NFKC, lower case.
    - loyalty_card: NFKC, upper case, without separators.
    - every other kind: NFKC without blanks around it; case counts.
    """
    if len(value) > MAX_VALUE_CHARS:
        return Unusable("length", f"send at most {MAX_VALUE_CHARS} characters")
    form = tidy(value)
    if not form:
        return Unusable("required", "send a value, or leave the identifier out")
    if not form.isprintable():
        return Unusable("printable", "send the value without control characters")
    if kind == PHONE_KIND:
        return phone(form, region)
    special = _FORMS.get(kind)
    return form if special is None else special(form)


def bare(kind: str, value: str) -> str:
    """A value as far as it can be read without knowing whether it is valid.

    Placeholders (`null`, `000 000`) are recognised in this form, since most of
    them are not valid values of their kind.
    """
    form = tidy(value[: MAX_VALUE_CHARS + 1])
    return _PHONE_SEPARATORS.sub("", form) if kind == PHONE_KIND else form


def is_external(kind: str) -> bool:
    """Whether a kind is `external:NAME` with a name of letters, digits, dots, - and _."""
    return _EXTERNAL.fullmatch(kind) is not None


def tidy(text: str) -> str:
    """NFKC without blanks around it; inner runs of blanks become one space.

    Printable ASCII without doubled blanks, which is nearly everything, is
    recognised first.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join(normalize("NFKC", text).split())


def email(value: str) -> str | Unusable:
    """An address in lower case with its domain in ASCII, if its syntax allows it to exist."""
    try:
        found = validate_email(value, check_deliverability=False)
    except EmailNotValidError:
        return Unusable("email", "send one address like name@domain.org, or leave it out")
    return f"{found.local_part.lower()}@{(found.ascii_domain or found.domain).lower()}"


def phone(value: str, region: str | None = None) -> str | Unusable:
    """A number in E.164, if its country's numbering plan has it (libphonenumber's data)."""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        return Unusable(
            "phone", "send a valid number with + and the country's code, or set a region"
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _login(value: str) -> str:
    """Folded twice: some characters fold into what is not yet in NFKC, and back again."""
    for _ in range(2):
        value = tidy(normalize("NFKC", value.casefold()))
    return value


def _advertising_id(value: str) -> str:
    return tidy(value.lower())


def _loyalty_card(value: str) -> str | Unusable:
    return _CARD_SEPARATORS.sub("", tidy(value.upper())) or Unusable(
        "required", "send the card's number, or leave the identifier out"
    )


_FORMS: dict[str, Callable[[str], str | Unusable]] = {
    EMAIL_KIND: email,
    "login": _login,
    "advertising_id": _advertising_id,
    "loyalty_card": _loyalty_card,
}

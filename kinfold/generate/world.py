"""The people of a cohort: who they are, what they own, and with whom they share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kinfold.generate.words import Place

Wire = dict[str, Any]
"""A piece of proto JSON. Pieces are shared between signals: read them, never change them."""

EVERYBODY = -1
"""The owner of what more than one person uses."""


class Tag:
    """One identifier of the made-up world.

    `owner` is a person's number or EVERYBODY; `beside` the people whose own
    identifiers were seen with one of EVERYBODY's. Tags of one owner that were
    seen together form a tree by `parent`: what exact links can join at best.
    """

    __slots__ = ("beside", "kind", "owner", "parent", "seen", "value", "wire")

    def __init__(self, kind: str, value: str, owner: int) -> None:
        self.kind = kind
        self.value = value
        self.owner = owner
        self.wire: Wire = {"kind": kind, "value": value}
        self.beside: set[int] = set()
        self.parent = self
        self.seen = False

    def root(self) -> Tag:
        """The tag that stands for all that are tied to this one."""
        tag = self
        while tag.parent is not tag:
            tag.parent = tag.parent.parent
            tag = tag.parent
        return tag


@dataclass(slots=True)
class Device:
    """Something signals come from. `tags` ride on each; a cookie is replaced when it is cleared.

    `contexts` has the context at home and the one under way, ready made.
    """

    tags: list[Tag]
    contexts: tuple[Wire, Wire]
    source: str
    channel: str
    churn: float = 0.0


@dataclass(slots=True)
class Person:
    """One person. An identifier that the person lacks is None; `decided`: staff had their say."""

    number: int
    given_name: str
    family_name: str
    female: bool
    birth_date: str
    national_id: str
    occupation: str
    habit: tuple[int, ...]
    interests: tuple[str, ...]
    lively: float
    login: Tag | None = None
    customer: Tag | None = None
    old_customer: Tag | None = None
    email: Tag | None = None
    second_email: Tag | None = None
    phone: Tag | None = None
    card: Tag | None = None
    social: Tag | None = None
    devices: list[Device] = field(default_factory=list)
    watch: Device | None = None
    consented: bool = False
    decided: bool = False

    @property
    def full_name(self) -> str:
        """Given and family name."""
        return f"{self.given_name} {self.family_name}"


@dataclass(slots=True)
class Household:
    """Those who share an address, and with it some things."""

    number: int
    people: list[Person]
    place: Place
    street: str
    street_number: str
    tablet: Device | None = None
    tv: Device | None = None
    speaker: Device | None = None
    thermostat: Device | None = None
    family_email: Tag | None = None
    landline: Tag | None = None
    keeper: Person | None = None
    decided: bool = False

    def address(self) -> Wire:
        """The postal address as records give it."""
        return {
            "streetNumber": self.street_number,
            "street": self.street,
            "city": self.place.city,
            "region": self.place.region,
            "postcode": self.place.postcode,
            "country": self.place.country,
        }


@dataclass(slots=True)
class Kiosk:
    """A public machine, as in a library, on which dozens of people log in."""

    device: Device
    visitors: list[Person]

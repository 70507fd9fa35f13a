"""Context, behaviour and record values in one form each, with the field's libraries.

Pure functions; the caller caches. What identifies a person is in
`identity.normalize`.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Final
from urllib.parse import urlsplit

import ua_parser

from identity.forgetting import remembered
from identity.normalize import EMAIL_KIND, PHONE_KIND, Unusable, identifier, tidy
from ingest.raw import Behaviour, Context, PostalAddress, RecordAsserted
from ingest.rejected import Rejected
from ingest.v1 import signal_pb2

MAX_AGENT_CHARS = 2_048
MAX_NETWORK_CHARS = 256
MAX_SITE_CHARS = 2_048
DEVICE_TYPES: Final = frozenset(
    {"phone", "tablet", "desktop", "tv", "speaker", "watch", "car", "sensor", "other"}
)
BEHAVIOURS: Final[dict[int, str]] = {
    number: name.removeprefix("BEHAVIOUR_TYPE_").lower()
    for name, number in signal_pb2.BehaviourType.items()
}
PURCHASE: Final = int(signal_pb2.BEHAVIOUR_TYPE_PURCHASE)
_CHANNEL_OF: Final = {
    "email_opened": "email",
    "push_opened": "push",
    "voice_query": "voice",
    "sensor_reading": "sensor",
    "social_interaction": "social",
}
# language, then script, region, variants, extensions: the shape of RFC 5646, not its registry.
_LOCALE = re.compile(
    r"([a-z]{2,3}|[a-z]{5,8})(-[a-z]{4})?(-(?:[a-z]{2}|\d{3}))?((?:-[a-z0-9]{1,8})*)",
    re.ASCII | re.IGNORECASE,
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}", re.ASCII)
_HOST = re.compile(r"[^\s/@]+")
_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)
_PRODUCTS: Final = (
    "Mozilla AppleWebKit KHTML Gecko Chrome Chromium CriOS Safari Mobile Version Firefox FxiOS"
    " Edge Edg EdgA OPR Opera MSIE Trident Android Linux Windows Macintosh Intel iPhone iPad iPod"
    " CrOS Ubuntu SamsungBrowser Silk Dalvik Tablet TV SmartTV Build NT CPU OS Mac"
).split()
_PRODUCT_CASE: Final = {product.lower(): product for product in _PRODUCTS}
_WORD = re.compile(r"[a-z]+")
_DESKTOPS: Final = frozenset(
    {"Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD"}
)


def context_cells(
    context: Context, network_cell: Callable[[str], str]
) -> tuple[str, ...] | Rejected:
    """What a context counts as, a cell ``dimension:value`` each; or the field that is wrong.

    `network_cell` turns a normalised network name into its cell: the name
    itself must go no further.
    """
    cells: list[str] = []
    given = tidy(context.device_type).lower()
    if context.network_address:
        if len(context.network_address) > MAX_NETWORK_CHARS:
            return _too_long("network_address", MAX_NETWORK_CHARS)
        cells.append(network_cell(network(context.network_address)))
    if context.user_agent:
        if len(context.user_agent) > MAX_AGENT_CHARS:
            return _too_long("user_agent", MAX_AGENT_CHARS)
        browser, system, derived = agent(context.user_agent)
        given = given or derived
        cells += [f"{name}:{v}" for name, v in (("browser", browser), ("system", system)) if v]
    if given:
        if given not in DEVICE_TYPES:
            known = ", ".join(sorted(DEVICE_TYPES))
            return Rejected("context.device_type", "enum", f"send one of {known}")
        cells.append(f"device_type:{given}")
    places = _place_cells(context)
    return places if isinstance(places, Rejected) else (*cells, *places)


def _too_long(name: str, max_chars: int) -> Rejected:
    return Rejected(f"context.{name}", "length", f"send at most {max_chars} characters")


def _place_cells(context: Context) -> list[str] | Rejected:
    cells = []
    if context.locale:
        form = locale(context.locale)
        if form is None:
            return Rejected("context.locale", "shape", "send BCP 47, for example de-CH")
        cells.append(f"locale:{form}")
    if context.time_zone:
        if not is_zone(context.time_zone):
            return Rejected("context.time_zone", "zone", "send an IANA name like Europe/Zurich")
        cells.append(f"zone:{context.time_zone.strip()}")
    if context.coarse_place:
        if not is_place(context.coarse_place):
            return Rejected("context.coarse_place", "shape", "send ISO 3166-2, for example CH-ZH")
        cells.append(f"place:{context.coarse_place.strip().upper()}")
    return cells


def site(address: str) -> str:
    """The host of an address or host name, in lower case and without `www.`; "" without one."""
    name = address.strip()
    try:
        host = urlsplit(name if "//" in name else f"//{name}").hostname or ""
    except ValueError:
        return ""
    host = host.rstrip(".").removeprefix("www.")
    return host if _HOST.fullmatch(host) is not None else ""


def network(address: str) -> str:
    """The network an address belongs to: IPv4 as it is, IPv6 as its /64; other names verbatim.

    One household's devices share the first 64 bits of IPv6, and change the rest.
    """
    name = address.strip()
    if _IPV4.fullmatch(name) is not None:
        return name
    try:
        found = IPv6Address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return name
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


@remembered(16_384)
def agent(user_agent: str) -> tuple[str, str, str]:
    """Browser family, system family and device type of a user agent; "" where unknown.

    Agents that were logged in lower case are read as well.
    """
    if user_agent.islower():
        user_agent = _WORD.sub(_with_case, user_agent).replace("Mac OS x", "Mac OS X")
    found = ua_parser.parse(user_agent)
    browser = found.user_agent.family if found.user_agent is not None else ""
    system = found.os.family if found.os is not None else ""
    device = found.device.family if found.device is not None else ""
    return _known(browser), _known(system), _device_type(system, device, user_agent)


def _with_case(word: re.Match[str]) -> str:
    return _PRODUCT_CASE.get(word.group(), word.group())


def _known(family: str) -> str:
    return "" if family == "Other" else family


def _device_type(system: str, device: str, user_agent: str) -> str:
    if system in _DESKTOPS:
        return "desktop"
    if system == "iOS":
        return "tablet" if device.startswith("iPad") else "phone"
    if "TV" in system or "TV" in device or "SmartTV" in user_agent:
        return "tv"
    if system == "Android":
        return "phone" if "Mobile" in user_agent else "tablet"
    return ""


def locale(value: str) -> str | None:
    """A BCP 47 tag with its parts in their usual case (`de-CH`, `zh-Hant-TW`); None: no tag."""
    found = _LOCALE.fullmatch(value.strip().replace("_", "-")[:64])
    if found is None:
        return None
    language, script, region, rest = found.groups(default="")
    return language.lower() + script.title() + region.upper() + rest.lower()


def is_zone(value: str) -> bool:
    """Whether it is a name of the IANA time zone database."""
    return value.strip() in _zones()


def is_place(value: str) -> bool:
    """Whether it has the shape of a country or region of ISO 3166-2."""
    return _PLACE.fullmatch(value.strip().upper()) is not None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def behaviour_cells(kind: int, category: str, channel: str, campaign: str) -> tuple[str, ...]:
    """What a behaviour counts as; the channel follows from the type where it is left out."""
    name = BEHAVIOURS[kind]
    channel = text(channel).lower() or _CHANNEL_OF.get(name, "")
    parts = ("category", text(category)), ("channel", channel), ("campaign", text(campaign))
    return (f"type:{name}", *(f"{dimension}:{value}" for dimension, value in parts if value))


def text(value: str) -> str:
    """NFKC, single blanks, and no control characters."""
    form = tidy(value)
    return form if form.isprintable() else "".join(filter(str.isprintable, form))


def purchase(content: Behaviour) -> bytes:
    """A purchase, normalised and serialized as `ingest.v1.Behaviour`."""
    return signal_pb2.Behaviour(
        type=signal_pb2.BEHAVIOUR_TYPE_PURCHASE,
        category=text(content.category),
        item=text(content.item),
        value=content.value,
        unit=text(content.unit).upper(),
        channel=text(content.channel).lower(),
        campaign=text(content.campaign),
    ).SerializeToString(deterministic=True)


def record(content: RecordAsserted, region: str | None) -> RecordAsserted:
    """The record with tidy values; e-mail and phone canonical where valid, else as said."""
    address = content.address
    texts: dict[str, Any] = {name: text(value) for name, value in said(content).items()}
    tidied = RecordAsserted(**texts)
    return tidied._replace(
        email=_or_said(EMAIL_KIND, tidied.email, region),
        phone=_or_said(PHONE_KIND, tidied.phone, region),
        address=_address(address) if address is not None else None,
        other=tuple((name, text(value)) for name, value in content.other),
    )


def said(content: RecordAsserted) -> dict[str, str]:
    """The attributes by name that are there, `address` and `other` left aside."""
    return {
        name: value
        for name, value in zip(content._fields, content, strict=True)
        if isinstance(value, str) and value
    }


def _address(address: PostalAddress) -> PostalAddress:
    tidied = PostalAddress._make(map(text, address))
    return tidied._replace(country=tidied.country.upper())


def _or_said(kind: str, value: str, region: str | None) -> str:
    if not value:
        return ""
    form = identifier(kind, value, region)
    return value if isinstance(form, Unusable) else form


def serialized(content: RecordAsserted) -> bytes:
    """A record as `ingest.v1.RecordAsserted`, the same bytes every time."""
    message = signal_pb2.RecordAsserted(other=dict(content.other))
    for name, value in said(content).items():
        setattr(message, name, value)
    if content.address is not None:
        message.address.CopyFrom(signal_pb2.PostalAddress(**content.address._asdict()))
    return message.SerializeToString(deterministic=True)

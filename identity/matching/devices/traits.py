"""What a device says of itself, read from the texts that browsers send."""

from __future__ import annotations

import re

from identity.matching.devices.device import Traits

_ENCODINGS = re.compile(
    r"^(?:(?:gzip|deflate|compress|identity|sdch|br|zstd)(?:;q=[\d.]+)?[,\s]*)+"
)
_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE)
_MAKERS = (
    ("apple", ("iphone", "ipad", "ios", "mac os", "macos", "macintosh", "tvos")),
    ("google", ("android", "chrome os", "chromeos", "cros ")),
    ("microsoft", ("windows", "xbox")),
    ("linux", ("linux", "unix", "x11", "ubuntu")),
)
_BROWSERS = ("edge", "edg/", "opera", "opr/", "firefox", "fxios", "chrome", "crios", "safari")
_FAMILY = {"edg/": "edge", "opr/": "opera", "fxios": "firefox", "crios": "chrome"}
UNKNOWN_LANGUAGES = frozenset({"und", "mul", "zxx"})


def languages_of(*texts: str) -> frozenset[str]:
    """Base languages of language tags and Accept-Language lists, in lower case.

    A list may follow the other Accept headers without anything between them,
    as some collectors write it: what is before its encodings is left out.
    """
    found: set[str] = set()
    for text in texts:
        start = max(text.rfind("gzip"), 0)
        tail = text[start:].removeprefix("lang=").strip()
        for part in _ENCODINGS.sub("", tail).split(","):
            match = _LANGUAGE.fullmatch(part.partition(";")[0].strip())
            if match is not None:
                found.add(match[1].lower())
    return frozenset(found - UNKNOWN_LANGUAGES)


def maker_of(*texts: str) -> str:
    """Who makes the system that the first telling text names; "" when none does."""
    for text in texts:
        for maker, names in _MAKERS:
            if any(name in text.lower() for name in names):
                return maker
    return ""


def browser_of(*texts: str) -> str:
    """The family of browsers that the first telling text names; "" when none does."""
    for text in texts:
        for name in _BROWSERS:
            if name in text.lower():
                return _FAMILY.get(name, name)
    return ""


def traits_of(
    *,
    system: str = "",
    browser: str = "",
    user_agent: str = "",
    languages: tuple[str, ...] = (),
    zone: str = "",
    place: str = "",
) -> Traits:
    """Traits from texts as they were sent, empty where nothing was."""
    return Traits(
        languages=languages_of(*languages),
        zone=zone.strip(),
        place=place.strip(),
        maker=maker_of(system, user_agent),
        browser=browser_of(browser, user_agent),
    )

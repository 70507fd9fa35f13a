"""Names that a policy may use: those that are known by themselves, and those that it declares.

What sources call attributes under `other`, and channels, is theirs to say. A
policy that tells these apart declares their names in `[declares]`, so that a
misspelled one is refused instead of withholding nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from identity.nearest import unknown

ATTRIBUTES: Final = tuple(
    """
full_name given_name middle_name family_name birth_date gender occupation birth_place email phone
address address.line address.street_number address.street address.unit address.city address.region
address.postcode address.country national_id passport driving_licence
coarse_place locale time_zone
""".split()
)
"""Attributes of records, and what is seen of somebody."""
CHANNELS: Final = tuple("web app email push voice store social sensor call".split())
"""Channels that signals name, or that follow from what was done."""
_KNOWN: Final[Mapping[str, tuple[str, ...]]] = {"attributes": ATTRIBUTES, "channels": CHANNELS}
_ATTRIBUTE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def known(document: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """The names of `attributes` or of `channels` that the document may use, its own included."""
    told = document.get("declares", {})
    named = told.get(what) if isinstance(told, Mapping) else None
    own = (one for one in named if isinstance(one, str)) if isinstance(named, list) else ()
    return tuple(dict.fromkeys((*_KNOWN[what], *own)))


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's `[declares]`, each naming its key; [] when sound."""
    told = document.get("declares", {})
    if not isinstance(told, Mapping):
        return ["declares: must be a table with attributes and channels"]
    problems = []
    for what, names in told.items():
        where = f"declares.{what}"
        if what not in _KNOWN:
            problems.append(unknown(where, what, _KNOWN))
        elif not isinstance(names, list):
            problems.append(f"{where}: must be a list of names")
        else:
            problems += [
                f"{where}: {one!r} {wrong}" for one in names if (wrong := _wrong(what, one))
            ]
    return problems


def _wrong(what: str, name: object) -> str:
    """What is wrong with a name; "" when nothing is."""
    if not isinstance(name, str) or not name:
        return "is no name"
    if what == "attributes" and not _ATTRIBUTE.fullmatch(name):
        return "is no name that records can have"
    if what == "channels" and name != " ".join(name.lower().split()):
        return "is written in lower case, with single blanks"
    return "is known without it" if name in _KNOWN[what] else ""

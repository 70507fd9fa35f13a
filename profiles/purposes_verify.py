"""Every problem of a policy's purposes at once, each naming its key and the way out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from identity.nearest import meant, unknown
from identity.policy import unknown_kind
from profiles import declared
from profiles.consent import RESERVED
from profiles.purposes import FIELDS, FINER, ITEM_PARTS, USES, rule_of

MAX_PURPOSES: Final = 64
TCF_PURPOSES: Final = 24
TCF_FEATURES: Final = 12
TCF_VENDORS: Final = 65_535
OLDEST: Final = 120
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")
_BASES = ("consent", "contract", "legal_obligation", "legitimate_interest")
_Problem = Callable[[object], str | None]


def verify(document: Mapping[str, Any]) -> list[str]:
    """Every problem of the document's purposes, each naming its key; [] when sound."""
    purposes = document.get("purposes", {})
    serves = document.get("serves", {})
    problems = []
    if not isinstance(purposes, Mapping):
        problems.append("purposes: must be tables, for example [purposes.marketing]")
        purposes = {}
    if not isinstance(serves, Mapping):
        problems.append("serves: must be a table of lists of purposes")
        serves = {}
    if len(purposes) > MAX_PURPOSES:
        problems.append(f"purposes: at most {MAX_PURPOSES}, here are {len(purposes)}")
    for name, body in purposes.items():
        problems += _purpose_problems(f"purposes.{name}", str(name), body)
    said: set[str] = set()
    for part, names in serves.items():
        where, folded = f"serves.{part}", str(part).casefold()
        found = _part_problems(where, str(part), document)
        if not found and folded in said:
            found = [f"{where}: said twice: the case of letters makes no difference"]
        said.add(folded)
        problems += found or _served_problems(where, names, purposes)
    return problems + _tcf_problems(document.get("tcf", {}))


def _purpose_problems(where: str, name: str, body: object) -> list[str]:
    if not isinstance(body, Mapping):
        return [f"{where}: must be a table with words, basis and opt"]
    problems = []
    if not _ID.fullmatch(name):
        problems.append(f"{where}: a purpose's id is lower case letters, digits and _")
    if name in RESERVED:
        problems.append(f"{where}: {', '.join(RESERVED)} are kept for staff; take another id")
    required = ("words", "basis", "opt")
    told = {**dict.fromkeys(required), **body}
    problems += _told(where, told, _PURPOSE_KEYS)
    if told["basis"] == "consent" and told["opt"] == "out":
        problems.append(f"{where}.opt: must be in: consent is nothing that one has until a no")
    places = body.get("places", {})
    if isinstance(places, Mapping):
        for place, own in places.items():
            problems += _place_problems(f"{where}.places.{place}", str(place), own, body)
    return problems


def _place_problems(where: str, place: str, own: object, body: Mapping[str, Any]) -> list[str]:
    if not isinstance(own, Mapping):
        return [f"{where}: must be a table with some of basis, opt, minimum_age"]
    problems = []
    if not _PLACE.fullmatch(place):
        problems.append(f"{where}: name a country or a region of it by ISO 3166, US or US-CA")
    problems += _told(where, own, _RULE_KEYS)
    if problems or _told("", body, _PURPOSE_KEYS) or not {"basis", "opt"} <= body.keys():
        return problems
    rule, general = rule_of(own, body), rule_of(body, {})
    if rule.needs_consent and rule.opt_out:
        problems.append(f"{where}.opt: must be in: consent is nothing that one has until a no")
    if general.stricter(rule) != general:
        problems.append(
            f"{where}: stricter than the purpose itself, which holds where the place is unknown;"
            " put the stricter rule there and the laxer ones under places"
        )
    return problems


def _told(where: str, body: Mapping[str, Any], keys: Mapping[str, _Problem]) -> list[str]:
    problems = []
    for key, value in body.items():
        check = keys.get(key)
        if check is None:
            problems.append(unknown(f"{where}.{key}", key, keys))
        elif (problem := check(value)) is not None:
            problems.append(f"{where}.{key}: {problem}")
    return problems


def _words(value: object) -> str | None:
    if isinstance(value, str) and value.strip():
        return None
    return "missing; say what it is for in words people understand"


def _one_of(names: tuple[str, ...], meaning: str = "") -> _Problem:
    words = f"must be one of {', '.join(names)}{meaning}"
    return lambda value: None if value in names else words


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _number(least: int, most: int) -> _Problem:
    def check(value: object) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return None
        return f"must be a whole number from {least} to {most}"

    return check


def _numbers(most: int) -> _Problem:
    each = _number(1, most)

    def check(value: object) -> str | None:
        if not isinstance(value, list) or any(each(one) for one in value):
            return f"must be a list of whole numbers from 1 to {most}"
        return "names one twice" if len(set(value)) < len(value) else None

    return check


def _table(value: object) -> str | None:
    return None if isinstance(value, Mapping) else "must be tables, one per place"


_RULE_KEYS: Final[dict[str, _Problem]] = {
    "basis": _one_of(_BASES),
    "opt": _one_of(("in", "out"), ": a yes is needed, or it holds until a no"),
    "minimum_age": _number(0, OLDEST),
}
_PURPOSE_KEYS: Final[dict[str, _Problem]] = {
    "words": _words,
    **_RULE_KEYS,
    "unknown_age": _one_of(("no", "yes"), ": whether somebody of unknown age is old enough"),
    "places": _table,
    "tcf": _numbers(TCF_PURPOSES),
    "tcf_features": _numbers(TCF_FEATURES),
    "gpc": _flag,
    "direct_marketing": _flag,
}


def _part_problems(where: str, part: str, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with the name of a part: an entry for what there is not would serve as none."""
    field, dot, item = part.partition(".")
    if part in USES or (part in FIELDS and not dot):
        return []
    known = (*FIELDS, *USES)
    if field not in FIELDS:
        near = meant(field, known)
        return [f"{where}: no field of a profile and no use{near}; there are {', '.join(known)}"]
    if field not in FINER:
        return [f"{where}: only {', '.join(FINER)} may be told apart by item"]
    if any(not each or each != each.strip() for each in ITEM_PARTS.split(item)):
        return [f"{where}: write {field}, or {field}.NAME"]
    if field == "identifiers":
        wrong = unknown_kind(document, item)
        return [] if wrong is None else [f"{where}: {wrong}"]
    if field == "affinities":
        return []
    names = declared.known(document, field)
    if item in names or any(_is_above(item, name) for name in names):
        return []
    return [f"{unknown(where, item, names)}; declare others under declares.{field}"]


def _is_above(item: str, name: str) -> bool:
    """Whether an entry of `item` is that of `name`, too, where it has none of its own."""
    return name.startswith(item) and ITEM_PARTS.match(name, len(item)) is not None


def _served_problems(where: str, names: object, purposes: Mapping[str, Any]) -> list[str]:
    if not isinstance(names, list):
        return [f"{where}: must be a list of purposes"]
    there_are = f"there are {', '.join(purposes) or 'none'}"
    return [
        f"{where}: {name!r} is no purpose{meant(name, purposes)}; {there_are}"
        for name in names
        if not isinstance(name, str) or name not in purposes
    ]


def _tcf_problems(body: object) -> list[str]:
    if not isinstance(body, Mapping):
        return ["tcf: must be a table with vendor_id, or left out"]
    return _told("tcf", body, {"vendor_id": _number(1, TCF_VENDORS)})

"""Everything held about a person as one page they can read: no network, no script, all escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

from profiles.consent import RESERVED

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_BASES: Final = {
    "none": "nothing checked",
    "claimed": "somebody said so",
    "authenticated": "checked, for example by password",
}
_KINDS: Final = {
    "link": "Which identifiers were seen together",
    "activity": "What was done, by day",
    "record": "Records that sources hold",
    "purchase": "Purchases",
    "consent": "Decisions on purposes",
    "decision": "Decisions of staff on who is who",
}
_KEPT_BY_NAME: Final = {
    "identifiers": "Identifiers of kind {}: what they did and were seen with",
    "attribute": "The attribute {} of records",
    "purpose": "Whatever is used for {}",
}
_APART: Final = {True: "ended", False: "put in force"}
_RULES: Final = {
    "only_value": "nothing else was said",
    "most_trusted": "of several, from the most trusted source",
    "most_recent": "of several, the latest",
    "most_frequent": "of several, the most frequent",
    "order_of_values": "of several alike, the first in order",
}


class _Part(NamedTuple):
    """One part of the page: place, heading, what it is in a sentence, how many there are."""

    name: str
    heading: str
    told: str
    held: int
    body: str


def page(found: Mapping[str, Any]) -> str:
    """The page of what `Gathering.everything` found, with `request` and `made_at` beside it."""
    request = found["request"]
    parts = [] if found.get("person") is None else list(_parts(found))
    style = files("kinfold.held").joinpath("page.css").read_text("utf-8")
    controller = f" by {_text(found['controller'])}" if found["controller"] else ""
    menu = "".join(
        f'<li><a href="#{part.name}">{part.heading} <span>{part.held:,}</span></a></li>'
        for part in parts
    )
    unreadable = found.get("unreadable", 0)
    missing = (
        f'<p class="told">{unreadable:,} records cannot be opened any more: their keys are'
        " destroyed.</p>"
        if unreadable
        else ""
    )
    body = "".join(map(_section, parts)) or (
        "<section><h2>Nothing is held</h2>"
        '<p class="told">Nobody is known by what the request names.</p></section>'
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">'
        f"<title>What is held about you</title><style>{style}</style></head><body>"
        f'<header><h1>What is held about you</h1><p class="lead">Held{controller} on '
        f"{_text(_short(found['made_at']))} UTC, in answer to request {_text(request['id'])}, "
        f"received {_text(request['received'])}. Everything is here: what it says, who said so, "
        "what it may be used for, and who was given it. Purposes in italics would be served "
        "only if you allowed them.</p>"
        f'<nav aria-label="Parts"><ul>{menu}</ul></nav></header>'
        f"<main>{missing}{body}</main><footer>{_RIGHTS}</footer></body></html>\n"
    )


_RIGHTS: Final = (
    "<p>You may have what is wrong corrected, have all of it erased, have its use restricted, "
    "object to it, withdraw each consent at any time, and complain to a supervisory authority.</p>"
)


def _parts(found: Mapping[str, Any]) -> Iterable[_Part]:
    yield _identifiers(found["identifiers"])
    yield _attributes(found["attributes"])
    yield _records(found["records"])
    yield _consents(found["consents"])
    yield _devices(found["devices"])
    yield _behaviour(found["behaviour"])
    yield _purchases(found["purchases"])
    yield _affinities(found["affinities"])
    yield _links(found)
    yield _recipients(found["recipients"])
    yield _retention(found["retention"], found["sources"])


def _identifiers(held: Sequence[Mapping[str, Any]]) -> _Part:
    rows = [[_words(one["kind"]), _named(one), _use(one)] for one in held]
    told = "How you are recognised. Where no value is kept there is a code made of it, which cannot be turned back."  # noqa: E501  a sentence
    table = _table(("Kind", "Value", "May be used for"), rows)
    return _Part("identifiers", "Identifiers", told, len(rows), table)


def _attributes(held: Sequence[Mapping[str, Any]]) -> _Part:
    rows = [[_words(one["name"]), _text(one["value"]), _whence(one), _use(one)] for one in held]
    told = "What is taken to be true of you, of all that was said, and why."
    table = _table(("What", "Value", "Who said so", "May be used for"), rows)
    return _Part("attributes", "About you", told, len(rows), table)


def _whence(one: Mapping[str, Any]) -> str:
    whom = _text(one["source"] or "seen in use")
    others = f", {one['other_values']} other values lost" if one["other_values"] else ""
    rule = _RULES.get(one["rule"], _words(str(one["rule"])))
    return f'{whom}<span class="use">{_text(_short(one["observed_at"]))}; {rule}{others}</span>'


def _records(held: Sequence[Mapping[str, Any]]) -> _Part:
    blocks = []
    for one in held:
        values = one["values"]
        title = f"<h3>{_text(one['source'])}, {_text(_short(one['at']))}</h3>"
        if values is None:
            blocks.append(f'{title}<p class="none">It cannot be opened any more.</p>')
            continue
        rows = [[_words(name), _text(value)] for name, value in values.items()]
        blocks.append(title + _table(("What", "Value"), rows))
    told = "Every record as its source gave it."
    return _Part("records", "Records", told, len(held), "".join(blocks) or _NONE)


def _consents(held: Mapping[str, Any]) -> _Part:
    now = [[_text(one["words"]), _yes(one["granted"]), _text(one["why"])] for one in held["now"]]
    past = [
        [
            _words(one["purpose"]),
            _APART[one["granted"]] if one["purpose"] in RESERVED else _yes(one["granted"]),
            _text(_short(one["since"])),
            _text(one["source"]) + f'<span class="use">{_text(_proof(one))}</span>',
            _text(one["standing"]),
        ]
        for one in held["history"]
    ]
    apart = "".join(
        f"<p>{_text(one['purpose'].replace('_', ' '))} in force since "
        f"{_text(_short(one['since']))}: nobody is served your data.</p>"
        for one in held["set_apart"]
    )
    body = apart + _table(("Purpose", "Allowed", "Why"), now) + "<h3>Every decision</h3>"
    body += _table(("Purpose", "Said", "Since", "By", "Counts"), past)
    told = "What your data may be used for now, and everything that was ever decided on it."
    allowed = sum(one["granted"] for one in held["now"])
    return _Part("consents", "What you allow", told, allowed, body)


def _proof(one: Mapping[str, Any]) -> str:
    text = f"text {one['text_version']}" if one["text_version"] else ""
    return ", ".join(word for word in (text, one["place"]) if word)


def _devices(held: Sequence[Mapping[str, Any]]) -> _Part:
    rows = [
        [
            _text(" ".join(filter(None, (one["device_type"], one["system"], one["browser"])))
                  or one["kind"])
            + f' <span class="token">{_text(one["token"])}</span>',
            f"{_text(_short(one['first_seen']))} to {_text(_short(one['last_seen']))}",
            f"{one['signals']:,}",
            _use(one),
        ]
        for one in held
    ]  # fmt: skip
    head = ("Device", "Seen", "Signals", "May be used for")
    told = "Devices and browsers that are taken to be yours."
    return _Part("devices", "Devices", told, len(rows), _table(head, rows))


def _behaviour(held: Mapping[str, Any]) -> _Part:
    channels = [
        [_text(one["channel"]), f"{one['signals']:,}", _text(one["last_day"]), _use(one)]
        for one in held["channels"]
    ]
    networks = [
        [
            f'<span class="token">{_text(one["token"])}</span>',
            f"{one['signals']:,}",
            f"{_text(one['first_day'])} to {_text(one['last_day'])}",
            _use(one),
        ]
        for one in held["networks"]
    ]
    days = [
        [
            _text(one["day"]),
            _named(one["under"]),
            f"{one['signals']:,}",
            _text(", ".join(f"{cell} {n}" for cell, n in one["counted"].items())),
        ]
        for one in held["days"]
    ]
    body = "<h3>Channels</h3>" + _table(("Channel", "Signals", "Last", "May be used for"), channels)
    body += "<h3>Networks, as codes</h3>"
    body += _table(("Network", "Signals", "Used", "May be used for"), networks)
    table = _table(("Day", "Under", "Signals", "Counted"), days)
    body += f"<details><summary>Day by day, {len(days):,}</summary>{table}</details>"
    told = "What you did, as counts by day."
    return _Part("behaviour", "What you did", told, held["signals"], body)


def _purchases(held: Sequence[Mapping[str, Any]]) -> _Part:
    rows = [
        [
            _text(_short(one["at"])),
            _text(" ".join(filter(None, (one.get("item"), one.get("category"))))),
            _text(f"{one.get('value', 0):g} {one.get('unit', '')}".strip()),
            _text(one["source"]),
            _use(one),
        ]
        for one in held
    ]
    head = ("When", "What", "Price", "Who said so", "May be used for")
    return _Part("purchases", "Purchases", "What you bought.", len(rows), _table(head, rows))


def _affinities(held: Sequence[Mapping[str, Any]]) -> _Part:
    rows = [
        [
            _text(one["category"]),
            f"{one['score']:.2f}",
            f"{one['count']:,}",
            _text(one["last_day"]),
            _use(one),
        ]
        for one in held
    ]
    told = "Worked out from what you did: a sum that halves with time."
    head = ("Category", "Score", "Signals", "Last", "May be used for")
    return _Part("affinities", "Interests", told, len(rows), _table(head, rows))


def _links(found: Mapping[str, Any]) -> _Part:
    rows = [
        [
            f"{_named(one['left'], True)}<br>{_named(one['right'], True)}",
            "<br>".join(_sighting(day) for day in one["evidence"]),
        ]
        for one in found["links"]
    ]
    rows += [
        [
            f"{_named(one['left'], True)}<br>{_named(one['right'], True)}",
            f"alike, {one['weight_bits']:.1f} bits, probability {one['probability']:.4f}, by model "
            f'<span class="token">{_text(one["model"])}</span><br>'
            + "<br>".join(_bar(bar) for bar in one["evidence"]),
        ]
        for one in found["scored_links"]
    ]
    rows += [
        [
            f"{_named(one['left'], True)}<br>{_named(one['right'], True)}",
            (
                f"staff decided {'the same' if one['same_person'] else 'not the same'}, "
                f"{_text(_short(one['at']))}"
            ),
        ]
        for one in found["decisions_of_staff"]
    ]
    told = "Why these identifiers and records are taken to be one person: you."
    return _Part("links", "How it was joined", told, len(rows), _table(("Both", "Because"), rows))


def _sighting(day: Mapping[str, Any]) -> str:
    times = "once" if day["count"] == 1 else f"{day['count']:,} times"
    how = _text(_BASES[day["assurance"]])
    return f"{_text(day['day'])}: {times}, by {_text(day['source'])} ({how})"


def _bar(bar: Mapping[str, Any]) -> str:
    return f"{_text(bar['comparison'])}: {_text(bar['level'])}, {bar['weight_bits']:+.1f} bits"


def _recipients(held: Mapping[str, Any]) -> _Part:
    handed = [
        [
            _text(one["recipient"]),
            _text(one["what"]),
            _text(one["purpose"]),
            _text(_short(one["at"])),
            _text(one["to_be_deleted_by"][:10]),
        ]
        for one in held["exports"]
    ]
    systems = [
        [_text(one["system"]), ", ".join(map(_words, one["purposes"]))] for one in held["systems"]
    ]
    body = "<h3>Handed out in files</h3>"
    body += _table(("To", "What", "For", "When", "To be deleted by"), handed)
    body += "<h3>Systems that may look you up, as far as you allow</h3>"
    body += _table(("System", "For"), systems)
    told = "Who was given your data, and who may look it up."
    return _Part("recipients", "Who gets it", told, len(handed), body)


def _retention(held: Sequence[Mapping[str, Any]], sources: Sequence[str]) -> _Part:
    rows = [
        [
            _text(_what_is_kept(one["kind"])),
            _how_long(one),
        ]
        for one in held
    ]
    told = f"How long each part is kept. All came from: {_text(', '.join(sources)) or 'nobody'}."
    return _Part("retention", "How long", told, len(rows), _table(("What", "How long"), rows))


def _what_is_kept(kind: str) -> str:
    part, _, name = kind.partition(".")
    told = _KEPT_BY_NAME.get(part)
    return _KINDS.get(kind, kind) if told is None else told.format(name)


def _how_long(one: Mapping[str, Any]) -> str:
    days, since = one["kept_for_days"], one["kept_since"]
    told = f"for {days:,} days" if days else "until it is erased"
    return f"{told}; nothing from before {_text(since)} is kept" if since else told


_NONE: Final = '<p class="none">Nothing is held.</p>'


def _section(part: _Part) -> str:
    return (
        f'<section id="{part.name}"><h2>{part.heading}</h2><p class="told">{part.told}</p>'
        f"{part.body}</section>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are escaped already; on a phone each cell tells what it is."""
    if not rows:
        return _NONE
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-of="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _use(one: Mapping[str, Any]) -> str:
    """Purposes that a part may serve; in italics those that the person does not allow."""
    used = set(one["in_use_for"])
    names = [
        _words(name) if name in used else f"<i>{_words(name)}</i>" for name in one["may_serve"]
    ]
    return ", ".join(names) or "nothing"


def _named(one: Mapping[str, str], with_kind: bool = False) -> str:
    kind = f"{_words(one['kind'])} " if with_kind else ""
    if one["value"]:
        return kind + _text(one["value"])
    return f'{kind}<span class="token">{_text(one["token"])}</span>'


def _yes(granted: bool) -> str:
    return '<span class="yes">yes</span>' if granted else '<span class="no">no</span>'


def _short(moment: str) -> str:
    """A moment as people write it; a day stays as it is."""
    return moment.replace("T", " ").replace(":00Z", "").removesuffix("Z")


def _words(name: str) -> str:
    """A name of the policy or of an attribute as people write it: `address.city`: address city."""
    return _text(name.replace("_", " ").replace(".", " "))


def _text(value: object) -> str:
    return escape(str(value), quote=True)

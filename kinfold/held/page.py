"""Everything held about a person as one page they can read: no network, no script, all escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from kinfold.held.markup import NONE, Part, named, short, small, table, text, use, words, yes
from kinfold.held.page_beside import beside
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


def page(found: Mapping[str, Any]) -> str:
    """The page of what `Gathering.everything` found, with `request` and `made_at` beside it."""
    request = found["request"]
    parts = [] if found.get("person") is None else list(_parts(found))
    parts += beside(found)
    style = files("kinfold.held").joinpath("page.css").read_text("utf-8")
    controller = f" by {text(found['controller'])}" if found["controller"] else ""
    menu = "".join(
        f'<li><a href="#{part.name}">{part.heading} <span>{part.held:,}</span></a></li>'
        for part in parts
    )
    unreadable = found.get("unreadable", 0)
    missing = (
        f'<p class="told">{unreadable:,} records, purchases or pieces of input cannot be opened'
        " any more: their keys are destroyed.</p>"
        if unreadable
        else ""
    )
    nobody = "<section><h2>Nothing is held</h2>" if not parts else "<section><h2>Nobody</h2>"
    nobody += '<p class="told">Nobody is known by what the request names.</p></section>'
    body = (nobody if found.get("person") is None else "") + "".join(map(_section, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">'
        f"<title>What is held about you</title><style>{style}</style></head><body>"
        f'<header><h1>What is held about you</h1><p class="lead">Held{controller} on '
        f"{text(short(found['made_at']))} UTC, in answer to request {text(request['id'])}, "
        f"received {text(request['received'])}. Everything is here: what it says, who said so, "
        "what it may be used for, and who was given it. Purposes in italics would be served "
        "only if you allowed them.</p>"
        f'<nav aria-label="Parts"><ul>{menu}</ul></nav></header>'
        f"<main>{missing}{body}</main><footer>{_RIGHTS}</footer></body></html>\n"
    )


_RIGHTS: Final = (
    "<p>You may have what is wrong corrected, have all of it erased, have its use restricted, "
    "object to it, withdraw each consent at any time, and complain to a supervisory authority.</p>"
)


def _parts(found: Mapping[str, Any]) -> Iterable[Part]:
    yield _identifiers(found["person"], found["identifiers"])
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


def _identifiers(person: Mapping[str, Any], held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [[words(one["kind"]), _value(one), use(one)] for one in held]
    earlier = ", ".join(map(_code, person["earlier_ids"]))
    ids = f"<p>You are kept as {_code(person['id'])}{f', before as {earlier}' * bool(earlier)}.</p>"
    told = "How you are recognised. Where no value is kept there is a code made of it, which cannot be turned back."  # noqa: E501  a sentence
    return Part(
        "identifiers",
        "Identifiers",
        told,
        len(rows),
        ids + table(("Kind", "Value", "May be used for"), rows),
    )


def _value(one: Mapping[str, str]) -> str:
    return named(one) + (small(_code(one["token"])) if one["value"] else "")


def _code(token: str) -> str:
    return f'<span class="token">{text(token)}</span>'


def _attributes(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [[words(one["name"]), text(one["value"]), _whence(one), use(one)] for one in held]
    told = "What is taken to be true of you, of all that was said, and why."
    head = ("What", "Value", "Who said so", "May be used for")
    return Part("attributes", "About you", told, len(rows), table(head, rows))


def _whence(one: Mapping[str, Any]) -> str:
    whom = text(one["source"] or "seen in use")
    others = f", {one['other_values']} other values lost" if one["other_values"] else ""
    rule = _RULES.get(one["rule"], words(str(one["rule"])))
    return whom + small(f"{text(short(one['observed_at']))}; {rule}{others}")


def _records(held: Sequence[Mapping[str, Any]]) -> Part:
    blocks = []
    for one in held:
        values = one["values"]
        title = f"<h3>{text(one['source'])}, {text(short(one['at']))}</h3>"
        title += f"<p>{_code(one['token'])}, {_BASES[one['assurance']]}</p>"
        if values is None:
            blocks.append(f'{title}<p class="none">It cannot be opened any more.</p>')
            continue
        rows = [[words(name), text(value)] for name, value in values.items()]
        blocks.append(title + table(("What", "Value"), rows))
    told = "Every record as its source gave it."
    return Part("records", "Records", told, len(held), "".join(blocks) or NONE)


def _consents(held: Mapping[str, Any]) -> Part:
    now = [[text(one["words"]), yes(one["granted"]), text(one["why"])] for one in held["now"]]
    past = [
        [
            words(one["purpose"]),
            _APART[one["granted"]] if one["purpose"] in RESERVED else yes(one["granted"]),
            text(short(one["since"])),
            text(one["source"]) + small(_proof(one)),
            text(one["standing"]),
        ]
        for one in held["history"]
    ]
    apart = "".join(
        f"<p>{text(one['purpose'].replace('_', ' '))} in force since "
        f"{text(short(one['since']))}: nobody is served your data.</p>"
        for one in held["set_apart"]
    )
    body = apart + table(("Purpose", "Allowed", "Why"), now) + "<h3>Every decision</h3>"
    body += table(("Purpose", "Said", "Since", "By", "Counts"), past)
    told = "What your data may be used for now, and everything that was ever decided on it."
    allowed = sum(one["granted"] for one in held["now"])
    return Part("consents", "What you allow", told, allowed, body)


def _proof(one: Mapping[str, Any]) -> str:
    under = "under " + ", ".join(named(key, True) for key in one["under"])
    sent = f"sent {short(one['sent_at'])}" if one["sent_at"] != one["since"] else ""
    version = f"text {one['text_version']}" if one["text_version"] else ""
    said = [text(word) for word in (version, one["place"], sent) if word]
    return ", ".join([*said, under])


def _devices(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        [
            text(" ".join(filter(None, (one["device_type"], one["system"], one["browser"])))
                 or one["kind"])
            + small(f"{words(one['kind'])} {_code(one['token'])}"),
            f"{text(short(one['first_seen']))} to {text(short(one['last_seen']))}",
            f"{one['signals']:,}",
            use(one),
        ]
        for one in held
    ]  # fmt: skip
    head = ("Device", "Seen", "Signals", "May be used for")
    told = "Devices and browsers that are taken to be yours."
    return Part("devices", "Devices", told, len(rows), table(head, rows))


def _behaviour(held: Mapping[str, Any]) -> Part:
    channels = [
        [text(one["channel"]), f"{one['signals']:,}", text(one["last_day"]), use(one)]
        for one in held["channels"]
    ]
    networks = [
        [
            _code(one["token"]),
            f"{one['signals']:,}",
            f"{text(one['first_day'])} to {text(one['last_day'])}",
            use(one),
        ]
        for one in held["networks"]
    ]
    hours = [
        [f"{hour:02}:00 to {hour + 1:02}:00", f"{signals:,}"]
        for hour, signals in enumerate(held["hours_utc"])
        if signals
    ]
    body = _seen(held) + "<h3>Channels</h3>"
    body += table(("Channel", "Signals", "Last", "May be used for"), channels)
    body += "<h3>Networks, as codes</h3>"
    body += table(("Network", "Signals", "Used", "May be used for"), networks)
    body += "<h3>Hours of the day, UTC</h3>" + table(("Hour", "Signals"), hours)
    body += _days(held["days"])
    told = "What you did, as counts by day."
    return Part("behaviour", "What you did", told, held["signals"], body)


def _seen(held: Mapping[str, Any]) -> str:
    if not held["first_seen"]:
        return ""
    first, last = (text(short(held[name])) for name in ("first_seen", "last_seen"))
    return f"<p>{held['signals']:,} signals, the first {first}, the last {last}.</p>"


def _days(held: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            text(one["day"]),
            named(one["under"], True),
            f"{one['signals']:,}",
            text(", ".join(f"{cell} {n}" for cell, n in one["counted"].items()))
            + small(", ".join(f"{int(hour):02}:00 {n:,}" for hour, n in one["hours_utc"].items())),
        ]
        for one in held
    ]
    shown = table(("Day", "Under", "Signals", "Counted"), rows)
    return f"<details><summary>Day by day, {len(rows):,}</summary>{shown}</details>"


def _purchases(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        [
            text(short(one["at"])),
            *_bought(one),
            text(one["source"]) + small(_BASES[one["assurance"]]),
            use(one),
        ]
        for one in held
    ]
    head = ("When", "What", "Price", "Who said so", "May be used for")
    return Part("purchases", "Purchases", "What you bought.", len(rows), table(head, rows))


def _bought(one: Mapping[str, Any]) -> tuple[str, str]:
    if "value" not in one:
        return '<i class="none">It cannot be opened any more.</i>', ""
    what = " ".join(filter(None, (one["item"], one["category"])))
    return text(what) + small(text(one["channel"])), text(f"{one['value']:g} {one['unit']}".strip())


def _affinities(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        [
            text(one["category"]),
            f"{one['score']:.2f}"
            + small(f"as of {text(one['as_of_day'])}; it halves in {one['half_life_days']:,} days"),
            f"{one['count']:,}",
            text(one["last_day"]),
            use(one),
        ]
        for one in held
    ]
    told = "Worked out from what you did: a sum that halves with time."
    head = ("Category", "Score", "Signals", "Last", "May be used for")
    return Part("affinities", "Interests", told, len(rows), table(head, rows))


def _links(found: Mapping[str, Any]) -> Part:
    rows = [
        [
            _both(one),
            "<br>".join(_sighting(day) for day in one["evidence"]),
        ]
        for one in found["links"]
    ]
    rows += [
        [
            _both(one),
            f"alike, {one['weight_bits']:.1f} bits, probability {one['probability']:.4f}, by model "
            f'<span class="token">{text(one["model"])}</span><br>'
            + "<br>".join(_bar(bar) for bar in one["evidence"]),
        ]
        for one in found["scored_links"]
    ]
    rows += [
        [
            _both(one),
            (
                f"staff decided {'the same' if one['same_person'] else 'not the same'}, "
                f"{text(short(one['at']))}, as {text(one['source'])} ({_BASES[one['assurance']]})"
            ),
        ]
        for one in found["decisions_of_staff"]
    ]
    told = "Why these identifiers and records are taken to be one person: you."
    return Part("links", "How it was joined", told, len(rows), table(("Both", "Because"), rows))


def _both(one: Mapping[str, Any]) -> str:
    return f"{named(one['left'], True)}<br>{named(one['right'], True)}"


def _sighting(day: Mapping[str, Any]) -> str:
    times = "once" if day["count"] == 1 else f"{day['count']:,} times"
    how = text(_BASES[day["assurance"]])
    first, last = (text(short(day[name])) for name in ("first_seen", "last_seen"))
    when = first if first == last else f"{first} to {last}"
    return f"{text(day['day'])}: {times}, by {text(day['source'])} ({how}){small(when)}"


def _bar(bar: Mapping[str, Any]) -> str:
    return f"{text(bar['comparison'])}: {text(bar['level'])}, {bar['weight_bits']:+.1f} bits"


def _recipients(held: Mapping[str, Any]) -> Part:
    handed = [
        [
            text(one["recipient"]),
            text(one["what"]),
            text(one["purpose"]),
            text(short(one["at"])),
            text(one["to_be_deleted_by"][:10]),
        ]
        for one in held["exports"]
    ]
    systems = [
        [text(one["system"]), ", ".join(map(words, one["purposes"]))] for one in held["systems"]
    ]
    body = "<h3>Handed out in files</h3>"
    body += table(("To", "What", "For", "When", "To be deleted by"), handed)
    body += "<h3>Systems that may look you up, as far as you allow</h3>"
    body += table(("System", "For"), systems)
    told = "Who was given your data, and who may look it up."
    return Part("recipients", "Who gets it", told, len(handed), body)


def _retention(held: Sequence[Mapping[str, Any]], sources: Sequence[str]) -> Part:
    rows = [
        [
            text(_what_is_kept(one["kind"])),
            _how_long(one),
        ]
        for one in held
    ]
    told = f"How long each part is kept. All came from: {text(', '.join(sources)) or 'nobody'}."
    return Part("retention", "How long", told, len(rows), table(("What", "How long"), rows))


def _what_is_kept(kind: str) -> str:
    part, _, name = kind.partition(".")
    told = _KEPT_BY_NAME.get(part)
    return _KINDS.get(kind, kind) if told is None else told.format(name)


def _how_long(one: Mapping[str, Any]) -> str:
    days, since = one["kept_for_days"], one["kept_since"]
    told = f"for {days:,} days" if days else "until it is erased"
    return f"{told}; nothing from before {text(since)} is kept" if since else told


def _section(part: Part) -> str:
    return (
        f'<section id="{part.name}"><h2>{part.heading}</h2><p class="told">{part.told}</p>'
        f"{part.body}</section>"
    )

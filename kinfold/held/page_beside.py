"""The parts of the page that are no evidence: input that does not count, requests, and holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kinfold.held.markup import NONE, Part, short, small, table, text, words

_WITHHELD = {
    True: "A reason is kept and is not part of this: ask for it, it may be told or withheld.",
    False: "No reason is kept.",
}


def beside(found: Mapping[str, Any]) -> list[Part]:
    """Those parts that hold anything; the page of whoever is not known has no others."""
    parts = [
        _holds(found.get("holds", ())),
        _requests(found.get("requests", ())),
        _letters(found.get("dead_letters", ())),
    ]
    return [part for part in parts if part.held or found.get("person") is not None]


def _holds(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        [
            words(one["purpose"]),
            text(short(one["since"])),
            text(one["source"]) + small(_WITHHELD[one["reason_withheld"]]),
        ]
        for one in held
    ]
    told = "What keeps your data from being served, and from being erased, for now."
    shown = table(("What", "In force since", "By"), rows)
    return Part("holds", "Set apart", told, len(rows), shown)


def _requests(held: Sequence[Mapping[str, Any]]) -> Part:
    rows = [
        [
            text(one["id"]),
            words(one["kind"]) + small(f"{words(one['state'])}, {words(one['law'])}"),
            text(one["received"]) + small(text(f"due {one['due']}")),
            _said(one),
            "<br>".join(map(_step, one["steps"])),
        ]
        for one in held
    ]
    told = "What you asked for before, what you said, and what was done."
    head = ("Request", "What", "Received", "Said", "Done")
    return Part("requests", "Your requests", told, len(rows), table(head, rows))


def _said(one: Mapping[str, Any]) -> str:
    said = [one["words"], one["contact"] and f"answer to: {one['contact']}", one["place"]]
    said += [f"right: {name} = {value}" for name, value in one["corrections"].items()]
    said += [f"wrong: {wrong['signal_id']} of {wrong['source']}" for wrong in one["retractions"]]
    return "<br>".join(text(line) for line in said if line)


def _step(one: Mapping[str, Any]) -> str:
    reason = f": {text(one['reason'])}" if one["reason"] else ""
    return f"{text(short(one['at']))} {words(one['step'])}{reason}"


def _letters(held: Sequence[Mapping[str, Any]]) -> Part:
    blocks = []
    for one in held:
        source = text(one["source"] or "source unknown")
        title = f"<h3>{source}, {text(short(one['received_at']))}</h3>"
        kept = small(text(f"{one['id']}, {one['form']}, {one['reason']}"))
        why = f"<p>{text(one['why'])}{kept}</p>"
        said = one["content"]
        shown = '<p class="none">It cannot be opened any more.</p>'
        blocks.append(title + why + (shown if said is None else f"<pre>{text(said)}</pre>"))
    told = "What was sent and could not be counted: it is used for nothing, until it is mended."
    return Part("letters", "Set aside", told, len(held), "".join(blocks) or NONE)

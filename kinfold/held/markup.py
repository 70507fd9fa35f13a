"""What the page of everything held is made of: parts, tables and words, all escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

NONE: Final = '<p class="none">Nothing is held.</p>'


class Part(NamedTuple):
    """One part of the page: place, heading, what it is in a sentence, how many there are."""

    name: str
    heading: str
    told: str
    held: int
    body: str


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are escaped already; on a phone each cell tells what it is."""
    if not rows:
        return NONE
    top = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-of="{name}">{cell}</td>' for name, cell in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def use(one: Mapping[str, Any]) -> str:
    """Purposes that a part may serve; in italics those that the person does not allow."""
    used = set(one["in_use_for"])
    names = [words(name) if name in used else f"<i>{words(name)}</i>" for name in one["may_serve"]]
    return ", ".join(names) or "nothing"


def named(one: Mapping[str, str], with_kind: bool = False) -> str:
    """An identifier by its value, or by its token where no value is kept."""
    kind = f"{words(one['kind'])} " if with_kind else ""
    if one["value"]:
        return kind + text(one["value"])
    return f'{kind}<span class="token">{text(one["token"])}</span>'


def yes(granted: bool) -> str:
    """A decision in one word."""
    return '<span class="yes">yes</span>' if granted else '<span class="no">no</span>'


def small(told: str) -> str:
    """What is said below something else, escaped already; nothing for nothing."""
    return f'<span class="use">{told}</span>' if told else ""


def short(moment: str) -> str:
    """A moment as people write it; a day stays as it is."""
    return moment.replace("T", " ").replace(":00Z", "").removesuffix("Z")


def words(name: str) -> str:
    """A name of the policy or of an attribute as people write it: `address.city`: address city."""
    return text(name.replace("_", " ").replace(".", " "))


def text(value: object) -> str:
    """A value, escaped."""
    return escape(str(value), quote=True)

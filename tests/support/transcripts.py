"""Commands as a page of docs shows them, with what they print, held against what they do print.

Of a line that is `…` alone, one line or more may stand in its place. What is
another one each time (ids, digests, keys, days and moments) may differ, but an
id or key of the page stands for the same one wherever it is shown.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_COMMAND = "    $ "
_INDENT = "    "
LEFT_OUT = "…"
_VARYING = re.compile(
    r"(?P<moment>\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d)?)"
    r"|(?P<days>\bin \d+ days\b)"
    r"|(?P<lasting>\b(?:[A-Z2-7]{4}-){7}[A-Z2-7]{4}\b|\b[a-z2-7]{26}\b|\b[0-9a-f]{16,64}\b)"
    # An entry of the audit log has its tokens in their own order, which the keys make.
    r"|(?P<token>\b[0-9a-f]{8}\b)"
)
Pairs = list[tuple[str, str]]
"""Lines of the page, each with the printed line that it shows."""


@dataclass(frozen=True)
class Transcript:
    """A command, in one line, and what the page shows of its output."""

    command: str
    shown: tuple[str, ...]


def transcripts(page: str) -> Iterator[Transcript]:
    """Every command of a page's indented blocks, in order."""
    lines = [*page.splitlines(), ""]
    at = 0
    while at < len(lines):
        if not lines[at].startswith(_COMMAND):
            at += 1
            continue
        command = lines[at].removeprefix(_COMMAND)
        while command.endswith("\\"):
            at += 1
            command = command[:-1] + lines[at].strip()
        at += 1
        first = at
        while lines[at].startswith(_INDENT) and not lines[at].startswith(_COMMAND):
            at += 1
        yield Transcript(command, tuple(one.removeprefix(_INDENT) for one in lines[first:at]))


@dataclass
class Comparing:
    """Holds what is printed against a page, from its first command on.

    `told` are moments that commands or signals name: they are the same each time.
    """

    told: Collection[str] = ()
    stands_for: dict[str, str] = field(default_factory=dict)

    def words(self, transcript: Transcript) -> list[str]:
        """The command's words, with keys and ids as they were printed before."""
        words = shlex.split(transcript.command)
        for shown, printed in self.stands_for.items():
            words = [word.replace(shown, printed) for word in words]
        return words

    def difference(self, transcript: Transcript, printed: str) -> str:
        """What is not as the page shows it; "" where all is."""
        lines = [line.rstrip() for line in printed.splitlines()]
        pairs = self._aligned(transcript.shown, lines)
        if pairs is None:
            shown = "\n".join(transcript.shown)
            return f"$ {transcript.command}\nis shown as\n{shown}\nand printed\n{printed}"
        for line, said in pairs:
            for shown, now in zip(_lasting(line), _lasting(said), strict=True):
                before = self.stands_for.setdefault(shown, now)
                if before != now:
                    return f"$ {transcript.command}\n{shown} of the page is {before}, then {now}"
        return ""

    def _aligned(self, shown: Sequence[str], printed: Sequence[str]) -> Pairs | None:
        """Each line shown with the line printed; None where they are not alike."""
        groups: list[list[str]] = [[]]
        for line in shown:
            if line.strip() == LEFT_OUT:
                groups.append([])
            else:
                groups[-1].append(line)
        pairs: Pairs = []
        free = 0
        for number, group in enumerate(groups):
            last = len(printed) - len(group)
            places: Iterable[int] = (0,)
            if number:
                # What is left out before it is one line at least.
                first = last if number == len(groups) - 1 else free + 1
                places = range(max(first, free + 1), last + 1)
            place = next((one for one in places if self._alike(group, printed[one:])), None)
            if place is None:
                return None
            free = place + len(group)
            pairs += zip(group, printed[place:free], strict=True)
        return pairs if free == len(printed) else None

    def _alike(self, shown: Sequence[str], printed: Sequence[str]) -> bool:
        said = [self._masked(line) for line in printed[: len(shown)]]
        return [self._masked(line) for line in shown] == said

    def _masked(self, line: str) -> str:
        def mask(found: re.Match[str]) -> str:
            return found[0] if found[0] in self.told else f"<{found.lastgroup}>"

        return _VARYING.sub(mask, line)


def _lasting(line: str) -> list[str]:
    return [found[0] for found in _VARYING.finditer(line) if found.lastgroup == "lasting"]

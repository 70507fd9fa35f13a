"""Every place where kinfold keeps anything: what is not in this list may not be written.

An erasure answers for each of them by name. A file in the home folder that no
holding claims fails the tests, and so does an erasure that leaves one out.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple


class Holding(NamedTuple):
    """A place, the files of the home folder that are part of it, and what rests there.

    `store` is what an erasure's receipt calls it; "" where nothing of a person
    rests that could be erased, for the reason that `holds` gives.
    """

    name: str
    files: tuple[str, ...]
    store: str
    holds: str


HOLDINGS = (
    Holding("graph", ("graph.sqlite3*",), "graph", "tokens, counts, sealed values and facts"),
    Holding("feed", (), "profile feed", "sealed profiles under person ids and tokens"),
    Holding("view", ("view/*",), "read view", "sealed profiles under person ids and tokens"),
    Holding("dead letters", ("dead_letters.sqlite3*",), "dead letters", "sealed input"),
    Holding("exports", ("register.sqlite3*",), "exports", "who was handed whose data"),
    Holding("caches", (), "caches", "raw values, in the memory of running processes alone"),
    Holding("audit", ("audit.sqlite3*",), "consent proofs", "tokens under a key of its own"),
    Holding("keys", ("keys/*",), "sealed copies", "keys: without them sealed copies are noise"),
    Holding("input", (), "input", "raw signals, in topics and files that are not kinfold's"),
    Holding("ledger", ("deletions.sqlite3*",), "", "tokens of whom to keep out, which is its task"),
    Holding("log", ("pulsar.log*",), "", "what Pulsar's client says of itself, no values"),
    Holding(
        "requests",
        ("requests.sqlite3*",),
        "",
        "what people asked for, sealed; done, an erasure forgets what the person's requests said",
    ),
    Holding("models", ("models/*",), "", "weights, and keyed terms seen at least five times"),
)


def unclaimed(home: Path) -> list[Path]:
    """Files of a home folder that no holding claims."""
    patterns = [pattern for one in HOLDINGS for pattern in one.files]
    files = [file for file in home.rglob("*") if file.is_file()]
    return sorted(
        file
        for file in files
        if not any(fnmatch(file.relative_to(home).as_posix(), pattern) for pattern in patterns)
    )

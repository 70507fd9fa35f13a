"""`kinfold lineage`: what became of a person id."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import UTC, datetime

from identity.model import LineageEntry
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, fail, print_json
from kinfold.wiring import node_key, open_policies, open_store, open_tokens, open_vault

_EXAMPLES = """  kinfold lineage 7mbo5n2ecnlkdgwdmqvq4zs3ya
  kinfold lineage email:ann@example.org --json
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "lineage",
        "what became of a person id, and who it stands for now",
        examples=_EXAMPLES,
        sections=("home", "graph"),
    )
    parser.add_argument("person", metavar="ID|KIND:VALUE", help="a person id, old or new")
    parser.add_argument("--json", action="store_true", help="print the entries as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the lineage. 0: found; 1: there never was such a person."""
    settings = settings_of(args)
    with closing(open_store(settings)) as store:
        person = args.person
        if ":" in person:
            policies = open_policies(settings)
            with closing(open_vault(settings)) as vault:
                key = node_key(person, settings, policies, open_tokens(vault))
            person = store.person_of([key]).get(key, "")
        entries = store.lineage(person) if person else []
        current = store.current(person) if person else None
    if not entries:
        return fail("no such person", "ids have 26 characters; identifiers are KIND:VALUE", FAILED)
    if args.json:
        print_json(
            {
                "person_id": person,
                "current_person_id": current,
                "entries": [_as_json(entry) for entry in entries],
            }
        )
        return OK
    print(f"{person} stands for {'nobody' if current is None else current}")
    for entry in entries:
        print(f"  {_time(entry.at_us)}  {entry.person}  {_words(entry)}")
    return OK


def _as_json(entry: LineageEntry) -> dict[str, object]:
    return {
        "change": entry.change.name.lower(),
        "person_id": entry.person,
        "other_person_id": entry.other,
        "resolution": entry.resolution,
        "at_us": entry.at_us,
    }


def _words(entry: LineageEntry) -> str:
    words = {"CREATED": "created", "RETIRED": "stands for nobody any more"}
    if entry.other is None:
        return words.get(entry.change.name, entry.change.name.lower())
    joint = "merged into" if entry.change.name == "MERGED" else "split from"
    return f"{joint} {entry.other}"


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")

"""`kinfold expire`: let evidence before a day expire; people split where it held them together."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import date

from identity.model import EvidenceKind
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json
from kinfold.wiring import open_store

_EXAMPLES = """  kinfold expire --kind link --before 2025-11-23
  kinfold expire --json      (what has expired so far)
"""
_EPOCH = date(1970, 1, 1)


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "expire",
        "let evidence before a day expire, for good",
        examples=_EXAMPLES,
        sections=("home", "graph"),
    )
    kinds = [kind.name.lower() for kind in EvidenceKind]
    parser.add_argument("--kind", choices=kinds, help="which evidence")
    parser.add_argument("--before", type=_day, metavar="DATE", help="the first day that is kept")
    parser.add_argument("--json", action="store_true", help="print the horizons as JSON")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a date like 2026-01-05") from None


def run(args: argparse.Namespace) -> int:
    """Move the horizon and print all horizons."""
    if bool(args.kind) is not bool(args.before):
        return fail("--kind and --before go together", "kinfold expire --help", ASKED_WRONGLY)
    settings = settings_of(args)
    with closing(open_store(settings)) as store:
        if args.kind and args.before:
            before_day = (args.before - _EPOCH).days
            store.move_horizon(EvidenceKind[args.kind.upper()], before_day)
        horizons = {
            kind.name.lower(): date.fromordinal(_EPOCH.toordinal() + day).isoformat()
            for kind, day in store.horizons().items()
        }
    if args.json:
        print_json(horizons)
        return OK
    for kind, before in sorted(horizons.items()):
        print(f"{kind}: kept from {before}")
    if not horizons:
        print("nothing has expired yet; give --kind and --before")
    elif args.before:
        print("people are resolved anew by the next `kinfold ingest` or a running `kinfold run`")
    return OK

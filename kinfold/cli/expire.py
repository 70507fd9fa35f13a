"""`kinfold expire`: let old evidence expire; people split where it held them together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from datetime import date

from identity.model import DAY_US, EvidenceKind
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json
from kinfold.retention import expire
from kinfold.wiring import now_us, open_policies, open_store

_EXAMPLES = """  kinfold expire --due       (what the policy's [retention] says)
  kinfold expire --kind link --before 2025-11-23
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
    parser.add_argument("--due", action="store_true", help="what the policy keeps no longer")
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
    """Move horizons and print all of them; nothing of who is under a legal hold expires."""
    if bool(args.kind) is not bool(args.before):
        return fail("--kind and --before go together", "kinfold expire --help", ASKED_WRONGLY)
    if args.due and args.kind:
        return fail("--due says which days itself", "leave --kind and --before out", ASKED_WRONGLY)
    settings = settings_of(args)
    policies = open_policies(settings)
    if args.due and not policies.retention.days:
        return fail(
            "the policy has no [retention]", "say how many days each kind is kept", ASKED_WRONGLY
        )
    with closing(open_store(settings)) as store:
        wanted: Mapping[EvidenceKind, int] = {}
        if args.due:
            wanted = policies.retention.due(now_us() // DAY_US, store.horizons())
        elif args.kind:
            wanted = {EvidenceKind[args.kind.upper()]: (args.before - _EPOCH).days}
        outcome = expire(store, policies.identity, wanted)
        horizons = _named(store.horizons())
    held = _named(outcome.held)
    if args.json:
        print_json({**horizons, "held": held} if held else horizons)
        return OK
    for kind, before in sorted(horizons.items()):
        print(f"{kind}: kept from {before}" + (", by a legal hold" if kind in held else ""))
    if not horizons:
        print("nothing has expired yet; give --due, or --kind and --before")
    elif outcome.moved:
        print("people are resolved anew by the next `kinfold ingest` or a running `kinfold run`")
    return OK


def _named(days: Mapping[EvidenceKind, int]) -> dict[str, str]:
    """Kinds and days as they are told."""
    first = _EPOCH.toordinal()
    return {
        kind.name.lower(): date.fromordinal(first + day).isoformat() for kind, day in days.items()
    }

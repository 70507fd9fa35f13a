"""`kinfold expire`: let old evidence expire; people split where it held them together."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from datetime import date

from identity.horizons import name_of
from identity.model import EvidenceKind, Expiring
from identity.retention import PURPOSE
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json
from kinfold.retention import Due, Trims, due, expire
from kinfold.wiring import now_us, open_policies, open_sealer, open_store, open_vault

_EXAMPLES = """  kinfold expire --due       (what the policy's [retention] says)
  kinfold expire --kind link --before 2025-11-23
  kinfold expire --identifier cookie --before 2026-06-01
  kinfold expire --json      (what has expired so far)
"""
_EPOCH = date(1970, 1, 1)
_CONSENT = name_of(EvidenceKind.CONSENT)


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
    parser.add_argument("--identifier", metavar="KIND", help="what identifiers of which kind did")
    parser.add_argument("--before", type=_day, metavar="DATE", help="the first day that is kept")
    parser.add_argument("--json", action="store_true", help="print the horizons as JSON")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a date like 2026-01-05") from None


def run(args: argparse.Namespace) -> int:
    """Move horizons and print all of them; legal holds and refusals keep what they need."""
    by_hand = args.kind or args.identifier
    if bool(by_hand) is not bool(args.before) or (args.kind and args.identifier):
        return fail(
            "--before goes with either --kind or --identifier",
            "kinfold expire --help",
            ASKED_WRONGLY,
        )
    if args.due and by_hand:
        return fail(
            "--due says which days itself",
            "leave --kind, --identifier and --before out",
            ASKED_WRONGLY,
        )
    settings = settings_of(args)
    policies = open_policies(settings)
    if args.due and not policies.retention:
        return fail(
            "the policy has no [retention]", "say how many days each kind is kept", ASKED_WRONGLY
        )
    if args.identifier and policies.identity.kind(args.identifier) is None:
        known = ", ".join(policies.identity.kinds)
        return fail(
            f"--identifier {args.identifier}: the policy has no such kind",
            f"one of {known}",
            ASKED_WRONGLY,
        )
    if args.kind == _CONSENT and EvidenceKind.CONSENT not in policies.retention.days:
        return fail(
            "--kind consent: the policy keeps decisions on purposes for good",
            "give [retention] a number for consent, so that no older consent string comes in again",
            ASKED_WRONGLY,
        )
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        wanted = Due()
        if args.due:
            wanted = due(policies.retention, store, now_us())
        elif by_hand:
            day = (args.before - _EPOCH).days
            wanted = Due({EvidenceKind[args.kind.upper()] if args.kind else args.identifier: day})
        outcome = expire(store, policies, wanted, Trims(open_sealer(vault)))
        told = _named(store.horizons()) | _dated(store.cutoffs())
    held = _named(outcome.held) | _dated(outcome.held_cutoffs)
    if args.json:
        print_json({**told, "held": held} if held else told)
        return OK
    for name, before in sorted(told.items()):
        used = "used" if name.startswith(PURPOSE) else "kept"
        print(f"{name}: {used} from {before}{_by(name) if name in held else ''}")
    if not told:
        print("nothing has expired yet; give --due, or --kind or --identifier and --before")
    elif outcome.moved or outcome.cut:
        print(
            "people are resolved anew by a running `kinfold run` or `serve`, or the next `ingest`"
        )
    return OK


def _by(name: str) -> str:
    return ", by a legal hold" + (" or a no that has to be honoured" if name == _CONSENT else "")


def _named(days: Mapping[Expiring, int]) -> dict[str, str]:
    """Kinds and days as they are told."""
    return _dated({name_of(kind): day for kind, day in days.items()})


def _dated(days: Mapping[str, int]) -> dict[str, str]:
    first = _EPOCH.toordinal()
    return {name: date.fromordinal(first + day).isoformat() for name, day in days.items()}

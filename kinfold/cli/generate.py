"""`kinfold generate`: a cohort with known truth, written into a folder."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from kinfold.cli.options import Subparsers
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json, progress
from kinfold.generate.spec import CohortSpec
from kinfold.generate.writer import SIGNALS, SUMMARY, TRUTH, write

_DESCRIPTION = """\
Make up a cohort: households, shared devices, cookie churn, late and duplicate
signals. Writes signals.jsonl in order of arrival, truth.csv (whose each identifier
is) and summary.json. The same options give the same bytes.
"""
_EXAMPLES = """examples:
  kinfold generate --people 1000 --days 14 --seed 1 --out cohort
  kinfold generate --people 100000 --days 30 --out big --json
  kinfold ingest cohort/signals.jsonl
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line; `run` does it."""
    spec = CohortSpec()
    parser = subparsers.add_parser(
        "generate",
        help="make up a cohort whose truth is known",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--people", type=int, default=spec.people, metavar="N",
                        help=f"how many people (default {spec.people})")  # fmt: skip
    parser.add_argument("--days", type=int, default=spec.days, metavar="D",
                        help=f"over how many days (default {spec.days})")  # fmt: skip
    parser.add_argument("--seed", type=int, default=spec.seed, metavar="S",
                        help=f"another seed, another cohort (default {spec.seed})")  # fmt: skip
    parser.add_argument("--start", type=_day, default=spec.start, metavar="DATE",
                        help=f"the first day (default {spec.start})")  # fmt: skip
    parser.add_argument("--pace", type=float, default=spec.pace, metavar="X",
                        help="1 gives about eight signals a person a day (default 1)")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="the folder to write into; made if it is missing")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace a cohort that is there")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a date like 2026-01-05") from None


def run(args: argparse.Namespace) -> int:
    """Write the cohort. 0: done; 1: it could not be written; 2: asked wrongly."""
    spec = replace(CohortSpec(), people=args.people, days=args.days, seed=args.seed,
                   start=args.start, pace=args.pace)  # fmt: skip
    problems = spec.verify()
    if problems:
        return fail("\nerror: ".join(problems), "kinfold generate --help", ASKED_WRONGLY)
    there = [name for name in (SIGNALS, TRUTH, SUMMARY) if (args.out / name).exists()]
    if there and not args.force:
        return fail(
            f"{args.out} holds {', '.join(there)} already", "--force replaces them", ASKED_WRONGLY
        )
    try:
        with progress("generating", total=None) as advance:
            summary = write(
                spec, args.out, lambda share, n: advance(n, round(n / share) if share else None)
            )
    except OSError as error:
        return fail(
            f"cannot write into {args.out}: {error.strerror}",
            "choose a folder with --out that you may write to",
        )
    if args.json:
        print_json(summary)
    else:
        _tell(summary, args.out)
    return OK


def _tell(summary: dict[str, Any], out: Path) -> None:
    identifiers = sum(summary["identifiers"].values())
    print(f"{out / SIGNALS}: {summary['signals']:,} signals in order of arrival; "
          f"{summary['late']:,} late, {summary['duplicates']:,} twice, "
          f"{summary['dead_letters']:,} of no use")  # fmt: skip
    print(f"{out / TRUTH}: {identifiers:,} identifiers of {summary['people']:,} people in "
          f"{summary['households']:,} households; {summary['shared']:,} shared")  # fmt: skip
    print(f"{out / SUMMARY}: the same as JSON, and more")

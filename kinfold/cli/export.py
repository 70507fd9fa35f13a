"""`kinfold export`: figures, the graph or profiles as files, entered in the register."""

from __future__ import annotations

import argparse
import secrets
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from kinfold.cli.options import Subparsers, add_settings, settings_of
from kinfold.cli.output import ASKED_WRONGLY, OK, fail, print_json, progress
from kinfold.collecting import collect_less_often
from kinfold.feeds import keep_fresh
from kinfold.register import RECIPIENT_CHARS, Exported, LowerMinimum, RegisterError, is_recipient
from kinfold.releasing import open_register, open_snapshots, released
from kinfold.settings import Settings
from kinfold.statistics import profiles
from kinfold.statistics.exporting import STEPS, unknown
from kinfold.statistics.writing import FORMATS, GRAPH_FORMATS, placed, write_graph, write_release
from kinfold.wiring import now_us, open_lookup, open_policies, open_vault, open_view

_EXAMPLES = """examples:
  kinfold export stats --out figures --recipient board --expires 2027-01-31
  kinfold export stats --out figures --format csv --figure reach --recipient agency
  kinfold export graph --out graph --format graphml --recipient lab --expires 2027-01-31
  kinfold export profiles --for analytics --out people.parquet --recipient lab --expires 2027-01-31
"""
_RAW = argparse.RawDescriptionHelpFormatter


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="hand figures, the graph's tokens or consented profiles on",
        description="Hand figures, the graph's tokens or consented profiles on.",
        epilog=_EXAMPLES,
        formatter_class=_RAW,
    )
    kinds = parser.add_subparsers(title="what", metavar="WHAT", dest="what", required=True)
    stats = _kind(kinds, "stats", "figures that give nobody away", _stats, "--out", "DIR")
    stats.add_argument("--format", choices=FORMATS, default="parquet", help="default parquet")
    stats.add_argument("--figure", action="append", default=[], metavar="ID", help="only this one")
    graph = _kind(kinds, "graph", "who was seen together, as tokens", _graph, "--out", "DIR")
    graph.add_argument("--format", choices=GRAPH_FORMATS, default="graphml", help="default graphml")
    people = _kind(kinds, "profiles", "profiles of who allows it", _profiles, "--out", "FILE")
    people.add_argument(
        "--for", dest="purpose", required=True, metavar="PURPOSE", help="what they will be used for"
    )


def _kind(
    kinds: Subparsers, name: str, words: str, run: object, out: str, metavar: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = kinds.add_parser(
        name, help=words, description=words[0].upper() + words[1:] + ".",
        epilog=_EXAMPLES, formatter_class=_RAW,
    )  # fmt: skip
    parser.add_argument(out, type=Path, required=True, metavar=metavar, help="where to; made")
    must = name != "stats"
    parser.add_argument("--recipient", type=recipient, required=must, metavar="WHO",
                        help="who gets it")  # fmt: skip
    parser.add_argument("--expires", type=until, required=must, default=0, metavar="DATE",
                        help="the day by which the recipient must have deleted it")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    add_settings(parser, ("home", "graph", "pulsar", "serve", "statistics"))
    parser.set_defaults(run=_guarded(run))
    return parser


def until(text: str) -> int:
    """The moment that `--expires` names, in microseconds: a day begins in UTC."""
    try:
        named = datetime.fromisoformat(text)
        moment = named if named.tzinfo else named.replace(tzinfo=UTC)
        expires_us = int(moment.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError("not a date like 2027-01-31") from None
    if expires_us <= now_us():
        raise argparse.ArgumentTypeError("has passed; name the day by which it must be deleted")
    return expires_us


def recipient(text: str) -> str:
    """Who gets it, as it stands in the register and is told by erasures."""
    if is_recipient(text):
        return text
    raise argparse.ArgumentTypeError(f"a name on one line, of at most {RECIPIENT_CHARS} characters")


def _guarded(work: object) -> object:
    assert callable(work)

    def run(args: argparse.Namespace) -> int:
        if args.out.exists():
            return fail(f"{args.out} is there already", "name a new place", ASKED_WRONGLY)
        try:
            return int(work(args, settings_of(args)))
        except RegisterError as error:
            return not_released(error)

    return run


def not_released(error: RegisterError) -> int:
    """Say why nothing was handed out; the exit code to return."""
    if isinstance(error, LowerMinimum):
        way_out = f"--statistics-minimum {error.least}, or more: then later figures need as many"
        return fail(str(error), way_out, ASKED_WRONGLY)
    return fail(str(error), "nothing was handed out; try again")


def _stats(args: argparse.Namespace, settings: Settings) -> int:
    strangers = unknown(args.figure)
    if strangers:
        return fail(f"no figure is called {strangers[0]}", "kinfold stats --help", ASKED_WRONGLY)
    collect_less_often()
    with progress("reading a snapshot", STEPS) as advance:
        steps = iter(range(1, STEPS + 1))
        release = released(
            settings,
            recipient=args.recipient or "",
            expires_us=args.expires,
            place=str(args.out),
            only=args.figure,
            tell=lambda _: advance(next(steps)),
        )
    return _told(args, write_release(release, args.out, args.format))


def _graph(args: argparse.Namespace, settings: Settings) -> int:
    collect_less_often()
    with (
        closing(open_register(settings)) as register,
        closing(open_snapshots(settings)) as snapshots,
        placed(args.out) as draft,
        # Before the snapshot: an erasure that it does not know of must find this export.
        register.writing(),
        snapshots.take() as snapshot,
    ):
        register.note(_exported(args, "graph", 0))
        files = write_graph(snapshot, draft, args.format)
    return _told(args, [args.out / file.name for file in files])


def _profiles(args: argparse.Namespace, settings: Settings) -> int:
    policies = open_policies(settings)
    if args.purpose not in policies.purposes.by_name:
        known = ", ".join(policies.purposes.by_name)
        return fail(f"no purpose is called {args.purpose}", f"there are {known}", ASKED_WRONGLY)
    if (
        not policies.purposes.serves.get(profiles.CONSENTS, 0)
        & policies.purposes.by_name[args.purpose].bit
    ):
        return fail(
            f"nobody can be shown to have said yes to {args.purpose}",
            f"name it under {profiles.CONSENTS} in the policy's [serves]",
            ASKED_WRONGLY,
        )
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        view = stack.enter_context(closing(open_view(settings)))
        stack.enter_context(keep_fresh(settings, policies, vault, view))
        register = stack.enter_context(closing(open_register(settings)))
        lookup = open_lookup(settings, policies, vault, view)
        key = secrets.token_bytes(32)
        found = profiles.rows(view, lookup, policies.purposes, args.purpose, now_us(), key)
        with placed(args.out) as draft, register.writing():
            people = profiles.write(found, draft)
            register.note(_exported(args, "profiles", len(people), args.purpose), people)
    return _told(args, [args.out], people=len(people))


def _exported(args: argparse.Namespace, what: str, people: int, purpose: str = "") -> Exported:
    return Exported(what, now_us(), args.recipient, purpose, args.expires, str(args.out), people)


def _told(args: argparse.Namespace, files: list[Path], **more: int) -> int:
    if args.json:
        print_json({"files": [str(path) for path in files], **more})
        return OK
    for path in files:
        print(path)
    for name, number in more.items():
        print(f"{number:,} {name}")
    return OK

"""`kinfold ingest`: take in files, and see people and profiles up to date at the end."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from contextlib import ExitStack, closing

from ingest.consumer import stopping_on_signals
from ingest.pipeline import Step
from ingest.source import ReadLimits, SourceDamaged, SourceError
from ingest.source_files import FileSource
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import FAILED, OK, Advance, fail, print_json, progress
from kinfold.collecting import collect_less_often
from kinfold.counting import Count
from kinfold.feeds import open_feed
from kinfold.intaking import Intaking, Reading
from kinfold.letters import open_letters
from kinfold.restoring import brought_up
from kinfold.upkeep import Upkeep
from kinfold.upkeeping import open_upkeep
from kinfold.wiring import open_policies, open_store, open_vault

_EXAMPLES = """  kinfold ingest cohort/signals.jsonl
  kinfold ingest --format segment events.jsonl.gz
  kinfold ingest --mapping browsing_events events.jsonl.gz
  kinfold ingest --mapping orders.toml orders.csv --json
  some-program | kinfold ingest -
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "ingest",
        "take in signals from files or standard input",
        examples=_EXAMPLES,
        sections=("home", "graph", "ingest", "pulsar"),
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    parser.add_argument(
        "--format",
        choices=("signals", "segment"),
        default="signals",
        help="what each line is: a signal in proto JSON (default), or a Segment message",
    )
    parser.add_argument("--mapping", default="", metavar="FILE|NAME", help="explains rows")
    parser.add_argument(
        "--replay", action="store_true", help="read files from the beginning; counts nothing twice"
    )
    parser.add_argument("--json", action="store_true", help="print what became of it as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Take in the files. 0: all read; 1: one could not be read, or it was stopped."""
    settings = settings_of(args)
    policies = open_policies(settings)
    count, stop = Count(), threading.Event()
    began_s = time.monotonic()
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        brought_up(settings, policies, vault)
        intaking = Intaking(settings, policies, vault, Reading(args.format, args.mapping))
        store = stack.enter_context(closing(open_store(settings)))
        letters = stack.enter_context(closing(open_letters(settings)))
        feed = stack.enter_context(open_feed(settings))
        upkeep = open_upkeep(settings, policies, vault, store, feed)
        stack.callback(upkeep.release)
        stack.enter_context(stopping_on_signals(stop))
        limits = ReadLimits(settings.ingest.batch_size, max(settings.ingest.linger_ms, 1))
        source = FileSource(args.files, limits)
        collect_less_often()
        try:
            for partition in source.partitions():
                with progress(f"ingest {partition[-40:]}", None) as advance:
                    pipeline = intaking.pipeline(
                        source, partition, store, letters, stop, replay=args.replay
                    )
                    pipeline.run(_After(count, upkeep, advance))
            upkeep.settle()
        except SourceDamaged as error:
            upkeep.settle()
            return fail(str(error), "what lay before was taken in; mend the file, run it again")
        except SourceError as error:
            return fail(str(error), "name files that are there and that you may read")
    kept = upkeep.kept
    told = {
        **count.as_json(),
        "people_created": kept.created,
        "merges": kept.merged,
        "splits": kept.split,
        "profiles_published": kept.published,
        "elapsed_s": round(time.monotonic() - began_s, 3),
    }
    if args.json:
        print_json(told)
    else:
        _print(told, count)
    if stop.is_set():
        return fail("stopped before the end", "run it again: it goes on where it stopped", FAILED)
    return OK


class _After:
    """What happens after each batch: people and profiles are brought up to date, the bar moves."""

    def __init__(self, count: Count, upkeep: Upkeep, advance: Advance) -> None:
        self._count = count
        self._upkeep = upkeep
        self._advance = advance

    def __call__(self, step: Step) -> None:
        self._count.add(step)
        self._upkeep.after(step.read)
        if step.extent is not None:
            self._advance(step.extent.done, step.extent.total)


def _print(told: dict[str, float], count: Count) -> None:
    print(
        f"{count.read:,} signals read: {count.counted:,} count, {count.known:,} were known, "
        f"{count.letters:,} are among the dead letters"
        + (f", {count.erased:,} name somebody erased" if count.erased else "")
    )
    if count.counted and not told["profiles_published"]:
        print(f"people and profiles kept up by another process, in {told['elapsed_s']} s")
    else:
        print(
            f"{told['people_created']:,} ids given out, {told['merges']:,} merges, "
            f"{told['splits']:,} splits, {told['profiles_published']:,} profiles published "
            f"in {told['elapsed_s']} s"
        )
    if count.letters:
        print(
            "hint: kinfold dead-letters lists what could not be counted, and why", file=sys.stderr
        )

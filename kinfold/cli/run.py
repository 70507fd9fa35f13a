"""`kinfold run`: consume Pulsar, resolve people and publish profiles, until told to stop."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from ingest.consumer import stopping_on_signals
from ingest.source import SourceError, TakenOver
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import OK, fail, print_json
from kinfold.clusters import cluster_of
from kinfold.collecting import collect_less_often
from kinfold.consuming import consume_topic
from kinfold.counting import Count
from kinfold.feeds import kept_up, open_feed
from kinfold.restoring import brought_up
from kinfold.settings import SettingsError
from kinfold.upkeep import Upkeep
from kinfold.wiring import open_policies, open_vault
from profiles.feed import FeedError
from profiles.pulsar_cluster import PulsarRefused

_EXAMPLES = """  kinfold run --settings kinfold.toml
  kinfold run --pulsar-url pulsar://127.0.0.1:6650 \\
      --pulsar-admin-url http://127.0.0.1:8080 \\
      --graph-url neo4j://127.0.0.1:7687 --graph-password-file neo4j.password
  kinfold run --only consume      (and on another machine: --only resolve)
"""
REPORT_S = 5.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "run",
        "consume Pulsar, resolve people and publish profiles",
        examples=_EXAMPLES,
        sections=("home", "graph", "ingest", "pulsar"),
    )
    parser.add_argument(
        "--only", choices=("consume", "resolve"), help="do one of the two; default both"
    )
    parser.add_argument(
        "--format", choices=("signals", "segment"), default="signals", help="what messages are"
    )
    parser.add_argument("--replay", action="store_true", help="read the topic from its beginning")
    parser.add_argument("--json", action="store_true", help="print reports as JSON lines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop. 0: stopped when told; 1: it failed."""
    settings = settings_of(args)
    cluster = cluster_of(settings)
    if cluster is None:
        raise SettingsError(["pulsar.url: `kinfold run` needs one; `kinfold ingest` reads files"])
    policies = open_policies(settings)
    stop = threading.Event()
    collect_less_often()
    try:
        with ExitStack() as stack:
            vault = stack.enter_context(closing(open_vault(settings)))
            brought_up(settings, policies, vault)
            cluster.create_partitioned(settings.pulsar.topic, settings.pulsar.partitions)
            report = stack.enter_context(_reporting(args.json))
            stack.enter_context(stopping_on_signals(stop))
            if args.only != "consume":
                report.upkeep = stack.enter_context(
                    kept_up(settings, policies, vault, lambda: open_feed(settings), ended=stop)
                )
            if args.only == "resolve":
                stop.wait()
            else:
                consume_topic(
                    settings,
                    policies,
                    vault,
                    stop,
                    report.count.add,
                    form=args.format,
                    replay=args.replay,
                )
    except TakenOver as error:
        return fail(str(error), "give each deployment a subscription and a graph of its own")
    except (SourceError, FeedError, PulsarRefused) as error:
        return fail(str(error), "kinfold doctor says what is reachable")
    return OK


class _Report:
    """What a running process says of itself now and then."""

    def __init__(self, *, as_json: bool) -> None:
        self.count = Count()
        self.upkeep: Upkeep | None = None
        self._as_json = as_json
        self._read = 0
        self._at_s = time.monotonic()

    def tell(self) -> None:
        """One line; silent while nothing happens, unless as JSON."""
        now_s = time.monotonic()
        rate = (self.count.read - self._read) / max(now_s - self._at_s, 1e-9)
        idle = self.count.read == self._read
        self._read, self._at_s = self.count.read, now_s
        kept = self.upkeep.kept if self.upkeep is not None else None
        if self._as_json:
            said: dict[str, object] = {**self.count.as_json(), "signals_per_s": round(rate, 1)}
            if kept is not None:
                said |= {"people_created": kept.created, "profiles_published": kept.published}
            print_json(said)
        elif not idle:
            people = f", {kept.published:,} profiles published" if kept is not None else ""
            print(
                f"{self.count.read:,} signals read ({rate:,.0f} a second), "
                f"{self.count.letters:,} dead letters{people}",
                file=sys.stderr,
                flush=True,
            )


@contextmanager
def _reporting(as_json: bool) -> Iterator[_Report]:
    """Within the block, a report every few seconds, and one at the end."""
    report, done = _Report(as_json=as_json), threading.Event()

    def work() -> None:
        while not done.wait(REPORT_S):
            report.tell()

    thread = threading.Thread(target=work, name="report", daemon=True)
    thread.start()
    try:
        yield report
    finally:
        done.set()
        thread.join()
        report.tell()

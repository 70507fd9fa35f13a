"""`kinfold demo`: all of it, on a made-up cohort, within a minute."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from ingest.pipeline import Step
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import OK, fail, progress
from kinfold.demo import PURPOSES, Embedded, Parts, ask, make_cohort, told
from kinfold.demo_erasing import erase_one
from kinfold.demo_servers import OnServers
from kinfold.generate.spec import CohortSpec
from kinfold.generate.writer import SIGNALS, TRUTH
from kinfold.settings import Settings

_EXAMPLES = """  kinfold demo
  kinfold demo --people 2000 --home demo-home      (keeps what it made)
  kinfold demo --pulsar-url pulsar://127.0.0.1:6650 \\
      --pulsar-admin-url http://127.0.0.1:8080 \\
      --graph-url neo4j://127.0.0.1:7687 --graph-password-file neo4j.password
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "demo",
        "stream a made-up cohort in, serve it, look people up, explain a link, erase one",
        examples=_EXAMPLES,
        sections=("home", "graph", "ingest", "pulsar"),
    )
    parser.add_argument("--people", type=int, default=400, metavar="N", help="default 400")
    parser.add_argument("--days", type=int, default=14, metavar="D", help="default 14")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="default 1")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo. 0: done; 2: asked wrongly."""
    spec = replace(CohortSpec(), people=args.people, days=args.days, seed=args.seed)
    problems = spec.verify()
    if problems:
        return fail(f"--{problems[0]}", "kinfold demo --help", 2)
    settings = settings_of(args)
    with ExitStack() as stack:
        if getattr(args, "setting:home.dir") is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kinfold-demo-"))
            settings = replace(settings, home=replace(settings.home, dir=folder))
        serve = replace(settings.serve, listen="127.0.0.1:0")
        _demo(replace(settings, serve=serve), spec, stack)
    return OK


def _demo(settings: Settings, spec: CohortSpec, stack: ExitStack) -> None:
    folder = Path(settings.home.dir) / "cohort"
    _title("A cohort with known truth")
    signals = make_cohort(spec, folder, _say)
    _title("Streamed in: signals become evidence, people and profiles")
    parts: Parts = OnServers(settings, stack) if settings.pulsar.url else Embedded(settings, stack)
    began_s = time.monotonic()
    with progress("signals", signals) as advance:
        done = [0]

        def moved(step: Step) -> None:
            done[0] += step.read
            advance(done[0])

        count = parts.stream_in(folder / SIGNALS, moved)
    elapsed_s = time.monotonic() - began_s
    for line in told(count, parts.judge(folder / TRUTH), parts.kept, elapsed_s):
        _say(line)
    _title(f"Served: a decision engine asks over gRPC, for {' and '.join(PURPOSES)}")
    ask(parts, folder / TRUTH, _say)
    _title("Erased: from the graph, profiles, dead letters; and kept out")
    erase_one(parts, folder / TRUTH, _say)


def _title(words: str) -> None:
    print(f"\n{words}", flush=True)


def _say(line: str) -> None:
    print(f"  {line}", flush=True)

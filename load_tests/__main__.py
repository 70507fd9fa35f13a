"""Every figure of the load tests: `python -m load_tests [--short] [--only NAME]`.

In full it takes the better part of an hour and writes load_tests/results.json; README.md
beside it says what each figure means. The short form runs all of it on little
input, judges no time and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection

from load_tests.figures import (
    embedded,
    erasing,
    exports,
    freshness,
    lookups,
    machine,
    matching,
    neo4j_ingest,
    results,
    withdrawals,
)
from load_tests.figures.model import NAMES, Measured
from load_tests.figures.processes import VerbFailed
from load_tests.figures.real_servers import RealServers
from tests.support.jars import ServersUnavailable
from tests.support.server_process import ServerFailed

Group = Callable[[Collection[str], bool, RealServers], list[Measured]]


def _lookups(wanted: Collection[str], short: bool, _servers: RealServers) -> list[Measured]:
    return lookups.measure(wanted, lookups.SHORT if short else lookups.FULL)


def _embedded(wanted: Collection[str], short: bool, _servers: RealServers) -> list[Measured]:
    return embedded.measure(wanted, embedded.SHORT if short else embedded.FULL)


def _matching(wanted: Collection[str], short: bool, servers: RealServers) -> list[Measured]:
    return matching.measure(wanted, matching.SHORT if short else matching.FULL, servers)


def _neo4j(wanted: Collection[str], short: bool, servers: RealServers) -> list[Measured]:
    return neo4j_ingest.measure(wanted, neo4j_ingest.SHORT if short else neo4j_ingest.FULL, servers)


def _freshness(wanted: Collection[str], short: bool, servers: RealServers) -> list[Measured]:
    return freshness.measure(wanted, freshness.SHORT if short else freshness.FULL, servers)


def _withdrawals(wanted: Collection[str], short: bool, servers: RealServers) -> list[Measured]:
    return withdrawals.measure(wanted, withdrawals.SHORT if short else withdrawals.FULL, servers)


def _exports(wanted: Collection[str], short: bool, _servers: RealServers) -> list[Measured]:
    return exports.measure(wanted, exports.SHORT if short else exports.FULL)


def _erasing(wanted: Collection[str], short: bool, _servers: RealServers) -> list[Measured]:
    return erasing.measure(wanted, erasing.SHORT if short else erasing.FULL)


# Those that need a core to themselves come before any server is started.
GROUPS: tuple[tuple[Collection[str], Group], ...] = (
    (lookups.NAMES, _lookups),
    (embedded.NAMES, _embedded),
    (matching.NAMES, _matching),
    (exports.NAMES, _exports),
    (erasing.NAMES, _erasing),
    (neo4j_ingest.NAMES, _neo4j),
    (freshness.NAMES, _freshness),
    (withdrawals.NAMES, _withdrawals),
)


def main() -> int:
    """Measure. 0: all asked for was measured; 1: a server could not be had or failed."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--short", action="store_true", help="little input, nothing judged")
    parser.add_argument(
        "--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}"
    )
    asked = parser.parse_args()
    wanted = set(asked.only or NAMES)
    with RealServers() as servers:
        for names, group in GROUPS:
            some = wanted.intersection(names)
            if not some:
                continue
            described, began_s = machine.described(), time.monotonic()
            try:
                measured = group(some, asked.short, servers)
            except (ServersUnavailable, ServerFailed, VerbFailed) as failure:
                print(f"error: {failure}", file=sys.stderr)
                return 1
            print(results.in_words(measured, judged=not asked.short))
            print(f"  in {time.monotonic() - began_s:.0f} s", flush=True)
            if not asked.short:
                results.keep(measured, described)
    return 0


if __name__ == "__main__":
    sys.exit(main())

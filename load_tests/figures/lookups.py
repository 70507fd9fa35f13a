"""What an answer costs: `lookup_handler_us`, `lookup_cpu_us`, `lookup_batch_ratio`, and of it
`enforcement_us`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from load_tests import bench_enforcement, bench_grpc, bench_lookup
from load_tests.figures.machine import a_core
from load_tests.figures.model import Measured

HANDLER = "lookup_handler_us"
SERVER = ("lookup_cpu_us", "lookup_batch_ratio")
ENFORCEMENT = "enforcement_us"
NAMES = (HANDLER, *SERVER, ENFORCEMENT)


@dataclass(frozen=True, slots=True)
class Size:
    """People for the handler, seconds of each of the server's runs, and runs."""

    people: int
    run_s: float
    runs: int


FULL = Size(people=2_000, run_s=2.0, runs=4)
SHORT = Size(people=200, run_s=0.4, runs=1)


def measure(wanted: Collection[str], size: Size) -> list[Measured]:
    """The figures wanted."""
    figures = []
    if HANDLER in wanted:
        figures.append(_handler(size))
    if set(wanted) & set(SERVER):
        figures += [one for one in _server(size) if one.name in wanted]
    if ENFORCEMENT in wanted:
        figures.append(_enforcement(size))
    return figures


def _enforcement(size: Size) -> Measured:
    found = [bench_enforcement.measure(size.people) for _ in range(size.runs)]
    runs = {name: [one[name] for one in found] for name in found[0]}
    return Measured(ENFORCEMENT, runs.pop(ENFORCEMENT), runs)


def _handler(size: Size) -> Measured:
    found = [bench_lookup.measure(size.people) for _ in range(size.runs)]
    beside: dict[str, list[float]] = {
        "answer_bytes": [one.answer_bytes for one in found],
        "batch_of_100_us": [one.batch_of_100_us for one in found],
    }
    return Measured(HANDLER, [one.handler_us for one in found], beside)


def _server(size: Size) -> list[Measured]:
    """Each run with fresh servers; ours and the constant one take turns within it."""
    rounds = [bench_grpc.measure(size.run_s, 1, a_core()) for _ in range(size.runs)]
    runs = {name: [one[name] for one in rounds] for name in rounds[0]}
    beside = ("lookup_constant_cpu_us", "lookup_stream_cpu_us", "lookup_per_s")
    batch = ("lookup_batch_cpu_us", "lookup_batch_constant_cpu_us")
    return [
        Measured(SERVER[0], runs[SERVER[0]], {name: runs[name] for name in beside}),
        Measured(SERVER[1], runs[SERVER[1]], {name: runs[name] for name in batch}),
    ]

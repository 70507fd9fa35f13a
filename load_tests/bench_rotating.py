"""Rotates keys of an embedded home while it serves: `python -m load_tests.bench_rotating`.

Prints seconds of each stage, records a second, and the latency of lookups by
identifier before and meanwhile: one caller who asks every few milliseconds.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import quantiles

import grpc
import orjson

from kinfold.keys import STAGE
from kinfold.rotating import Stage
from kinfold.settings import load
from kinfold.wiring import open_store, open_vault
from load_tests.figures.visits import first_sights
from profiles.v1.profile_service_pb2 import GetProfileRequest, Subject, SubjectIdentifier
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import PROGRAM, CommandLine

BEFORE_S = 20.0
PAUSE_S = 0.004
HEAD = 500
At = Callable[[], Stage]


@dataclass
class Asked:
    """Latencies by the stage that the rotation was in."""

    waits_s: dict[Stage, list[float]] = field(default_factory=dict)
    failed: int = 0

    def p99_ms(self, *stages: Stage) -> float:
        """Of lookups in these stages."""
        waits = [wait for stage in stages for wait in self.waits_s.get(stage, ())]
        return quantiles(waits, n=100, method="inclusive")[98] * 1_000


def main() -> None:
    """Make a home, serve it, rotate, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50_000, help="with two identifiers each")
    parser.add_argument("--tokens", action="store_true", help="rotate token keys as well")
    asked_for = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kinfold-load-") as name:
        line = CommandLine(Path(name), timeout_s=1_000)
        signals = list(first_sights(asked_for.people))
        line.does("ingest", "-", given=b"\n".join(signals) + b"\n")
        logins = [one["value"] for raw in signals[:HEAD] for one in orjson.loads(raw)["identifiers"]
                  if one["kind"] == "login"]  # fmt: skip
        home = load({"home.dir": str(Path(name) / ".kinfold")}, {})
        with closing(open_store(home)) as store:
            totals = store.totals()
        nodes = sum(totals.nodes.values())
        print(f"{nodes:,} identifiers, {totals.signals:,} signals, {totals.people:,} people")
        with closing(open_vault(home)) as vault, line.serving() as address:

            def stage() -> Stage:
                return Stage(vault.agreed(STAGE))

            with _asking(address, logins, stage) as asked:
                time.sleep(BEFORE_S)
                took_s = _rotated(line, stage, asked_for.tokens)
        _tell(took_s, nodes + totals.signals + totals.people, asked)


def _rotated(line: CommandLine, stage: At, tokens: bool) -> dict[Stage, float]:
    more = ["--tokens"] if tokens else []
    ran = subprocess.Popen(
        [str(PROGRAM), "keys", "rotate", "--json", *more],
        cwd=line.folder,
        stdout=subprocess.DEVNULL,
    )
    took_s: dict[Stage, float] = {}
    last_s = time.monotonic()
    while ran.poll() is None:
        time.sleep(0.01)
        now_s, at = time.monotonic(), stage()
        took_s[at] = took_s.get(at, 0.0) + now_s - last_s
        last_s = now_s
    assert ran.returncode == 0
    return took_s


@contextmanager
def _asking(address: str, logins: list[str], stage: At) -> Iterator[Asked]:
    asked, stop = Asked(), threading.Event()

    def ask() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = ProfileServiceStub(channel)
            for login in cycle(logins):
                if stop.wait(PAUSE_S):
                    return
                named = SubjectIdentifier(kind="login", value=login)
                at, began_s = stage(), time.perf_counter()
                try:
                    stub.GetProfile(GetProfileRequest(subject=Subject(identifier=named)))
                except grpc.RpcError:
                    asked.failed += 1
                asked.waits_s.setdefault(at, []).append(time.perf_counter() - began_s)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()


def _tell(took_s: dict[Stage, float], records: int, asked: Asked) -> None:
    for stage, spent_s in took_s.items():
        if stage is not Stage.IDLE:
            print(f"{stage.name.lower():10} {spent_s:6.1f} s")
    busy = (Stage.NODES, Stage.GRAPH, Stage.LETTERS, Stage.PUBLISH)
    busy_s = sum(took_s.get(stage, 0.0) for stage in busy)
    print(f"{records:,} records in {busy_s:.1f} s of work: {records / busy_s:,.0f} a second")
    meanwhile = [stage for stage in busy if stage in asked.waits_s]
    print(f"lookups p99 before {asked.p99_ms(Stage.IDLE):.2f} ms, "
          f"meanwhile {asked.p99_ms(*meanwhile):.2f} ms, {asked.failed} failed")  # fmt: skip


if __name__ == "__main__":
    main()

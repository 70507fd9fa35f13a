"""What every engine of `Snapshots` promises; a test file of an engine gives `engine` and `open`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from identity.engines.memory import MemoryGraph, MemoryGraphStore
from identity.engines.memory_snapshot import MemorySnapshots
from identity.model import DAY_US, EvidenceKind, LineageChange, LineageEntry, NodeKey, kind_of
from identity.snapshot import Snapshots
from identity.store import GraphStore, Matching, Resolution
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from kinfold.statistics.insight import Insight, Scoring
from profiles.purposes import PurposePolicy
from tests.contracts.engine import Engine
from tests.support.evidence_strategies import (
    FIRST_DAY,
    KEYS,
    PAIRS,
    Step,
    contribution,
    histories,
    node,
)
from tests.support.histories import Step as WorldStep
from tests.support.histories import policy as histories_policy
from tests.support.snapshot_words import DIMENSIONS, told
from tests.support.store_driver import EVERYBODY, Consumer, lease_of, run, settle_everybody
from tests.unit.test_statistics import PURPOSES, World, worlds

POLICY = histories_policy()
OpenSnapshots = Callable[[], Snapshots]
MODELS = (
    Scoring("all", frozenset(map(kind_of, KEYS)), "1", 3_000, 1_000, lambda mbits: mbits / 1e5),
)
ANN, PHONE, COOKIE = (node(name).key for name in ("login:a", "device:a", "cookie:a"))
P, Q = "p" * 26, "q" * 26


@contextmanager
def opened(open_snapshots: OpenSnapshots) -> Iterator[Snapshots]:
    """Snapshots that are closed afterwards."""
    snapshots = open_snapshots()
    try:
        yield snapshots
    finally:
        snapshots.close()


def taken(open_snapshots: OpenSnapshots) -> dict[str, Any]:
    """What a snapshot of now says."""
    with opened(open_snapshots) as snapshots, snapshots.take() as snapshot:
        return told(snapshot)


def as_the_store_says(store: GraphStore) -> dict[str, Any]:
    """Nodes, links, days, cells, consents and decisions by the store's own calls."""
    everybody = store.evidence([EVERYBODY]).get(EVERYBODY)
    facts = everybody.facts if everybody else ()
    activity = everybody.activity if everybody else {}
    views = store.views(KEYS)
    return {
        "nodes": sorted((key, kind_of(key), v.person, v.shared) for key, v in views.items()),
        "links": sorted(
            (*pair, *day) for pair, days in store.link_days(PAIRS).items() for day in days
        ),
        "days": sorted(
            (key, day, *did[:3]) for key, ds in activity.items() for day, did in ds.items()
        ),
        "cells": sorted(
            (key, day, cell, n)
            for key, days in activity.items()
            for day, did in days.items()
            for cell, n in (
                {f"hour:{hour}": n for hour, n in did.hours.items()} | dict(did.cells)
            ).items()
            if cell.partition(":")[0] in DIMENSIONS
        ),
        "consents": sorted(
            (kept.signal, kept.digest, kept.event_us, kept.published_us, kept.source, payload, key)
            for kept in facts
            if kept.fact.kind is EvidenceKind.CONSENT
            for payload in [kept.fact.payload]
            for key in set(kept.fact.subjects)
            if key in views
        ),
        "decisions": sorted((one.same, one.decided_us) for one in store.decisions(KEYS)),
        "records": sorted(
            (key, key, kept.fact.payload)
            for key, held in store.evidence_at(KEYS, activity=False).items()
            for kept in held.facts
            if kept.fact.kind is EvidenceKind.RECORD
        ),
    }


def exact_figures(
    snapshots: Snapshots, purposes: PurposePolicy | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """Every figure's cells of a snapshot of now, all that releases are made of.

    Those of consent are left out without purposes: most payloads here are no consents.
    """
    with snapshots.take() as snapshot:
        gathered = gather(snapshot, POLICY, insight=Insight(lambda _: MODELS, lambda *_: {"a": ""}))
    made = figures(
        gathered,
        POLICY,
        purposes or PurposePolicy(),
        as_of_us=(FIRST_DAY + 9) * DAY_US,
        minimum=3,
        models=MODELS,
    )
    return {each.spec.id: sorted(each.cells.rows()) for each in made}


class SnapshotsContract:
    """Every promise of the port."""

    def test_as_the_store_tells_it(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """Nodes, links, days, cells, consents and decisions are those of the store's calls."""

        @engine.examples
        @given(st.data())
        def holds(data: st.DataObject) -> None:
            with engine.fresh() as store:
                run(store, data.draw(histories()))
                settle_everybody(store)
                said, expected = taken(open_snapshots), as_the_store_says(store)
                said["decisions"] = sorted(row[-2:] for row in said["decisions"])
                assert {name: said[name] for name in expected} == expected
                assert sum(store.totals().nodes.values()) == len(said["keys"])

        holds()

    def test_each_once(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """Every stream, in frames of a few rows, holds what the reference engine has in one."""

        @engine.examples
        @given(histories())
        def holds(steps: list[Step]) -> None:
            graph = MemoryGraph()
            run(MemoryGraphStore(graph), steps)
            with engine.fresh() as store:
                run(store, steps)
                said, expected = taken(open_snapshots), taken(lambda: MemorySnapshots(graph))
            # An engine may mark more than the reference does.
            assert said.pop("marks") >= expected.pop("marks")
            assert said == expected

        holds()

    def test_what_expired_names_nobody(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """A signal names the nodes of which its evidence lives, also when others bring one back."""
        with engine.fresh() as store:
            consumer = Consumer(store)
            consumer.take(contribution(1, "login:a", "device:a", "record:a"))
            store.move_horizon(EvidenceKind.RECORD, FIRST_DAY + 1)
            settle_everybody(store)
            first = taken(open_snapshots)
            consumer.take(contribution(2, "login:a", "record:a", day=FIRST_DAY + 1))
        second = taken(open_snapshots)
        assert [key for *_, key in first["named"]] == [ANN, PHONE]
        assert [(s, key) for s, _, key in second["named"]] == [
            (1, ANN), (1, PHONE), (2, ANN), (2, node("record:a").key),
        ]  # fmt: skip

    def test_figures_of_consent_are_the_same(
        self, engine: Engine, open_snapshots: OpenSnapshots
    ) -> None:
        """With people resolved and consents that say something, too, figures are the same."""

        @settings(engine.examples, max_examples=max(engine.max_examples // 8, 5))
        @given(worlds())
        def holds(steps: list[WorldStep]) -> None:
            reference = World()
            reference.run(steps)
            expected = exact_figures(MemorySnapshots(reference.graph), PURPOSES)
            with engine.fresh() as store:
                World(store).run(steps)
                with opened(open_snapshots) as snapshots:
                    assert exact_figures(snapshots, PURPOSES) == expected

        holds()

    def test_figures_are_the_same(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """Every figure counted from a snapshot is the one that the reference engine's gives."""

        @settings(engine.examples, max_examples=max(engine.max_examples // 4, 5))
        @given(histories())
        def holds(steps: list[Step]) -> None:
            graph = MemoryGraph()
            run(MemoryGraphStore(graph), steps)
            settle_everybody(MemoryGraphStore(graph))
            _score_some(MemoryGraphStore(graph))
            with engine.fresh() as store:
                run(store, steps)
                settle_everybody(store)
                _score_some(store)
                with opened(open_snapshots) as snapshots:
                    said = exact_figures(snapshots)
            assert said == exact_figures(MemorySnapshots(graph))

        holds()

    def test_one_moment(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """What is committed while a snapshot is read is in the next one and not in this one."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a"))
            settle_everybody(store)
        with opened(open_snapshots) as snapshots, ThreadPoolExecutor() as pool:
            with snapshots.take() as snapshot:
                before = told(snapshot)
                more = pool.submit(_go_on, engine)
                # An engine that holds writers up lets them go on only afterwards.
                wait([more], timeout=1.0)
                assert told(snapshot) == before
            more.result(timeout=60)
            with snapshots.take() as snapshot:
                after = told(snapshot)
        assert (len(before["signals"]), len(after["signals"])) == (1, 2)
        assert [row[2] for row in before["nodes"]] == [EVERYBODY, EVERYBODY]
        assert {row[2] for row in after["nodes"]} == {P, None}
        assert after["moment"][0] == before["moment"][0] + 1
        assert (before["marks"], after["marks"] > 0) == (0, True)

    def test_lineage_is_told_whole(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """Every change of every id is there with its resolution, also of ids nobody has now."""
        with engine.fresh() as store:
            made = [LineageEntry(LineageChange.CREATED, each, None, 0, 5) for each in (P, Q)]
            store.commit_resolution(lease_of(store), Resolution({}, {}, made, [], []))
            ends = [
                LineageEntry(LineageChange.MERGED, P, Q, 0, 6),
                LineageEntry(LineageChange.RETIRED, Q, None, 0, 7),
            ]
            store.commit_resolution(lease_of(store), Resolution({}, {}, ends, [], []))
        said = taken(open_snapshots)
        assert said["lineage"] == [
            (1, P, "", 1, 5),
            (1, Q, "", 1, 5),
            (2, P, Q, 2, 6),
            (4, Q, "", 2, 7),
        ]
        assert said["ids"] == [P, Q]

    def test_shared_is_told(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """A node says whether the last resolution called it shared."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a"))
            store.commit_resolution(
                lease_of(store), Resolution({ANN: P}, {PHONE: True}, [], [], [])
            )
        assert taken(open_snapshots)["nodes"] == [
            (PHONE, "device", None, True),
            (ANN, "login", P, False),
        ]

    def test_scored_links_are_told(self, engine: Engine, open_snapshots: OpenSnapshots) -> None:
        """Each scored pair is there once with its weight, and so is what the index is of."""
        with engine.fresh() as store:
            Consumer(store).take(contribution(1, "login:a", "device:a", "cookie:a"))
            links: dict[tuple[NodeKey, NodeKey], int | None] = {
                (PHONE, ANN): 5_000,
                (COOKIE, PHONE): 7,
            }
            _index(store, Matching(links=links, model="device=1"))
            said = taken(open_snapshots)
            _index(store, Matching(links={(PHONE, ANN): None, (COOKIE, PHONE): 8}))
        assert said["scored"] == [(COOKIE, PHONE, 7), (PHONE, ANN, 5_000)]
        after = taken(open_snapshots)
        assert after["scored"] == [(COOKIE, PHONE, 8)]
        assert (said["moment"][-1], after["moment"][-1]) == ("device=1", "device=1")


def _score_some(store: GraphStore) -> None:
    """Scored links between some of the nodes that are there."""
    there = sorted(key for key in store.views(KEYS) if kind_of(key) in MODELS[0].kinds)
    links = {pair: 2_000 + 500 * place for place, pair in enumerate(pairwise(there))}
    _index(store, Matching(links=links, model="all=1"))


def _index(store: GraphStore, matching: Matching) -> None:
    store.commit_resolution(lease_of(store), Resolution({}, {}, [], [], [], matching))


def _go_on(engine: Engine) -> None:
    with engine.store() as store:
        Consumer(store).take(contribution(2, "login:a", "device:b"))
        people = {ANN: P, PHONE: P}
        store.commit_resolution(lease_of(store), Resolution(people, {}, [], [], []))

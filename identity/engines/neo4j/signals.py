"""What is remembered of each signal, and the facts that signals brought."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from identity.engines.neo4j.connection import Tx
from identity.engines.neo4j.nodes import NodeState, by_label
from identity.engines.neo4j.packing import (
    BRIEF,
    LEFT_OUT,
    brief,
    briefs,
    date_of,
    is_plain,
    pack_signal,
    unpack_signal,
)
from identity.evidence import Known, Seen
from identity.horizons import Horizons, kinds_of
from identity.model import (
    Contribution,
    EvidenceKind,
    Fact,
    Node,
    NodeKey,
)

FACT_LABELS = {
    EvidenceKind.RECORD: "RecordAsserted",
    EvidenceKind.PURCHASE: "Purchase",
    EvidenceKind.CONSENT: "Consent",
    EvidenceKind.DECISION: "Decision",
}


def read_known(tx: Tx, signals: Iterable[int]) -> dict[int, Known]:
    """What is known of those signals that are known, each locked until the transaction ends."""
    rows = tx.rows(
        "UNWIND $ids AS each MATCH (s:Signal {id: each}) SET s:Signal "
        "RETURN collect([s.id, s.body])",
        ids=sorted(signals),
    )
    return {signal: unpack_signal(signal, body) for signal, body in rows}


def look_at(tx: Tx, signals: Iterable[int]) -> dict[int, Known]:
    """What is known of those signals that are known, with nothing locked."""
    rows = tx.rows(
        "UNWIND $ids AS each MATCH (s:Signal {id: each}) RETURN collect([s.id, s.body])",
        ids=sorted(signals),
    )
    return {signal: unpack_signal(signal, body) for signal, body in rows}


def parts_of(content: Contribution) -> int:
    """The kinds of evidence in a content, a bit for each."""
    parts = 0
    for kind in kinds_of(content):
        parts |= 1 << kind
    return parts


PARTS = 1 << (max(EvidenceKind) + 1)
"""All values that `parts_of` can have are smaller."""


def write_known(tx: Tx, before: Mapping[int, Known], after: Mapping[int, Known]) -> None:
    """Remember signals, each in place of what was known of it."""
    full = _complete(tx, after)
    plain, disputed, changed = [], [], []
    for signal in sorted(after):
        known = full.get(signal) or after[signal]
        row = _row(signal, known)
        if signal in before:
            changed.append([*row, not is_plain(known)])
        elif is_plain(known):
            plain.append(row)
        else:
            disputed.append(row)
    _create(tx, "Signal", plain)
    _create(tx, "Signal:Disputed", disputed)
    if changed:
        tx.run(_UPDATE, rows=changed)
        tx.run(
            "UNWIND $ids AS each MATCH (s:Signal {id: each}) SET s:Disputed",
            ids=[row[0] for row in changed if row[-1]],
        )
        tx.run(
            "UNWIND $ids AS each MATCH (s:Signal {id: each}) REMOVE s:Disputed",
            ids=[row[0] for row in changed if not row[-1]],
        )


def _row(signal: int, known: Known) -> list[Any]:
    if not known.seen:
        return [signal, None, 0, pack_signal(known), ""]
    content = known.seen[0].content
    return [signal, date_of(content.day), parts_of(content), pack_signal(known), briefs(known)]


_CREATE = (
    "WITH [day IN $days | date(day)] AS days UNWIND $rows AS row "
    "CREATE (:%s {id: row[0], seen: days[row[1]], parts: row[2], body: row[3], "
    "names: row[4]})"
)
_UPDATE = (
    "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) "
    "SET s.seen = date(row[1]), s.parts = row[2], s.body = row[3], s.names = row[4]"
)


def _create(tx: Tx, labels: str, rows: Sequence[list[Any]]) -> None:
    if rows:
        days: dict[str, int] = {}
        placed = [
            [signal, None if day is None else days.setdefault(day, len(days)), *rest]
            for signal, day, *rest in rows
        ]
        tx.run(_CREATE % labels, rows=placed, days=list(days))


def _complete(tx: Tx, after: Mapping[int, Known]) -> dict[int, Known]:
    """Signals that are no longer plain, with what their nodes held for them."""
    lacking = {
        signal: known
        for signal, known in after.items()
        if not is_plain(known) and any(_lacks(seen.content) for seen in known.seen)
    }
    if not lacking:
        return {}
    keys = {
        node.key for known in lacking.values() for seen in known.seen for node in seen.content.nodes
    }
    held = read_nodes(tx, keys)
    return {
        signal: Known(
            tuple(Seen(_completed(one.content, held), one.latest_us) for one in known.seen),
            known.retracted_us,
        )
        for signal, known in lacking.items()
    }


def _lacks(content: Contribution) -> bool:
    return any(node.order == LEFT_OUT for node in content.nodes)


def _completed(content: Contribution, held: Mapping[NodeKey, Node]) -> Contribution:
    nodes = tuple(
        held.get(node.key, node) if node.order == LEFT_OUT else node for node in content.nodes
    )
    return replace(content, nodes=nodes)


def read_nodes(tx: Tx, keys: Iterable[NodeKey]) -> dict[NodeKey, Node]:
    """Nodes as they entered the graph; unknown keys are left out."""
    found = {}
    for label, some in by_label(keys):
        rows = tx.rows(
            f"UNWIND $keys AS key MATCH (n:{label} {{key: key}}) "
            "RETURN collect([n.key, n.order, n.sealed])",
            keys=some,
        )
        for key, order, sealed in rows:
            found[key] = Node(key, order, sealed or b"")
    return found


def forget(tx: Tx, signals: Sequence[int]) -> None:
    """Let signals be as if they had never come."""
    if signals:
        tx.run("UNWIND $ids AS each MATCH (s:Signal {id: each}) DETACH DELETE s", ids=signals)


NAMING = (
    f"(s.names IS NULL OR any(i IN range(0, size(s.names) - 1, {BRIEF}) "
    f"WHERE substring(s.names, i, {BRIEF}) IN $names))"
)
"""Whether a signal may name one of the nodes that are `$names` in brief.

Signals that an earlier version remembered have no such text: they may.
"""


def in_brief(keys: Iterable[NodeKey]) -> list[str]:
    """The names by which `NAMING` finds signals."""
    return sorted({brief(key) for key in keys})


def read_day(tx: Tx, day: int, keys: Iterable[NodeKey]) -> Iterable[Contribution]:
    """Every content of the day that counts and names one of the nodes, and maybe others."""
    rows = tx.stream(
        f"MATCH (s:Signal) WHERE s.seen = date($seen) AND {NAMING} RETURN s.id, s.body",
        seen=date_of(day),
        names=in_brief(keys),
    )
    for signal, body in rows:
        content = unpack_signal(signal, body).live
        if content is not None:
            yield content


# ---- facts ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignalFact:
    """A fact with the signal that brought it."""

    content: Contribution
    fact: Fact


def facts_of(contents: Iterable[Contribution], horizons: Horizons) -> list[SignalFact]:
    """The facts of contents, but for the expired."""
    return [
        SignalFact(content, content.fact)
        for content in contents
        if content.fact is not None and content.day >= horizons.get(content.fact.kind, content.day)
    ]


def remove_facts(tx: Tx, facts: Sequence[SignalFact]) -> None:
    """Let facts no longer count; their signals stay remembered."""
    for kind, ids in _by_kind(facts).items():
        tx.run(
            f"UNWIND $ids AS each MATCH (s:Signal {{id: each}}) REMOVE s:{FACT_LABELS[kind]}",
            ids=ids,
        )
        if kind is EvidenceKind.DECISION:
            tx.run(
                "UNWIND $ids AS each MATCH (s:Signal {id: each}) "
                "SET s.left = null, s.right = null, s.same = null",
                ids=ids,
            )
        else:
            tx.run(
                "UNWIND $ids AS each MATCH (:Signal {id: each})-[about:ABOUT]->() DELETE about",
                ids=ids,
            )


def write_facts(tx: Tx, facts: Sequence[SignalFact], nodes: Mapping[NodeKey, NodeState]) -> None:
    """Let facts count; their subjects exist by now."""
    for kind, ids in _by_kind(facts).items():
        if kind is not EvidenceKind.DECISION:
            tx.run(
                f"UNWIND $ids AS each MATCH (s:Signal {{id: each}}) SET s:{FACT_LABELS[kind]}",
                ids=ids,
            )
    decided, about = [], []
    for each in facts:
        signal = each.content.signal
        if each.fact.kind is EvidenceKind.DECISION:
            decided.append([signal, *each.fact.subjects, each.fact.same])
            continue
        seen = date_of(each.content.day)
        about += [[signal, nodes[key].id, seen] for key in each.fact.subjects]
    if decided:
        tx.run(
            "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) SET s:Decision, "
            "s.left = row[1], s.right = row[2], s.same = row[3]",
            rows=decided,
        )
    if about:
        tx.run(
            "UNWIND $rows AS row MATCH (s:Signal {id: row[0]}) MATCH (n) WHERE id(n) = row[1] "
            "SET n.facts = true CREATE (s)-[:ABOUT {at: date(row[2])}]->(n)",
            rows=about,
        )


def _by_kind(facts: Sequence[SignalFact]) -> dict[EvidenceKind, list[int]]:
    by_kind: dict[EvidenceKind, list[int]] = {}
    for each in facts:
        by_kind.setdefault(each.fact.kind, []).append(each.content.signal)
    return by_kind

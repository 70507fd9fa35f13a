"""The demo: a cohort is streamed in, judged against its truth, served, looked up and explained."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import grpc

from identity.store import GraphStore
from identity.v1.identity_service_pb2 import ExplainLinkRequest, IdentifierRef
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from ingest.pipeline import Step
from ingest.source import ReadLimits
from ingest.source_files import FileSource
from kinfold.counting import Count
from kinfold.feeds import local_feed
from kinfold.generate.score import Score, score
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import TruthRow, read_rows
from kinfold.generate.writer import write
from kinfold.intaking import Intaking, Reading
from kinfold.letters import open_letters
from kinfold.serving import open_server
from kinfold.settings import Settings
from kinfold.upkeep import Kept
from kinfold.upkeeping import open_upkeep
from kinfold.wiring import (
    Policies,
    namer,
    open_policies,
    open_store,
    open_tokens,
    open_vault,
    open_view,
)
from profiles.read_view import ReadView
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    GetProfileResponse,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from profiles.vault import KeyVault

CALL_TIMEOUT_S = 10.0
LOOKUPS = 400
PURPOSES = ("personalisation", "service")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Looked:
    """One lookup of the demo: who was asked for, and what came back."""

    kind: str
    value: str
    answer: GetProfileResponse


def make_cohort(spec: CohortSpec, folder: Path, say: Say) -> int:
    """Write the cohort and say what it holds; how many signals it has."""
    summary = write(spec, folder, lambda *_: None)
    identifiers = sum(summary["identifiers"].values())
    say(
        f"{summary['signals']:,} signals of {summary['people']:,} people in "
        f"{summary['households']:,} households over {spec.days} days: {identifiers:,} identifiers, "
        f"{summary['late']:,} signals late, {summary['duplicates']:,} sent twice, "
        f"{summary['dead_letters']:,} of no use"
    )
    return int(summary["signals"])


class Parts(ABC):
    """What the demo needs of either kind: keys and view at home, the graph wherever it is set."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings = settings
        self.policies: Policies = open_policies(settings)
        self.vault: KeyVault = stack.enter_context(closing(open_vault(settings)))
        self.store: GraphStore = stack.enter_context(closing(open_store(settings)))
        self.view: ReadView = stack.enter_context(closing(open_view(settings)))
        self.kept = Kept()

    @abstractmethod
    def stream_in(self, path: Path, after: Callable[[Step], None]) -> Count:
        """Take the signals in until their people and profiles are there; `after` each batch."""

    @abstractmethod
    def settle(self) -> None:
        """Bring people and profiles up to date with the graph."""

    def judge(self, truth: Path) -> Score:
        """What was found against what is true."""
        name_of = namer(self.settings, self.policies, open_tokens(self.vault))
        return score(read_rows(truth), name_of, self.store)


class Embedded(Parts):
    """Everything in one process: graph, keys, letters and view in one home folder."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        super().__init__(settings, stack)
        self._letters = stack.enter_context(closing(open_letters(settings)))
        feed = local_feed(self.view)
        self._upkeep = open_upkeep(settings, self.policies, self.vault, self.store, feed)
        self.kept = self._upkeep.kept

    def stream_in(self, path: Path, after: Callable[[Step], None]) -> Count:
        """Take the signals in, keeping people and profiles up batch by batch."""
        count = Count()
        ingest = self.settings.ingest
        source = FileSource([path], ReadLimits(ingest.batch_size, max(ingest.linger_ms, 1)))
        intaking = Intaking(self.settings, self.policies, self.vault, Reading())

        def keep_up(step: Step) -> None:
            count.add(step)
            self._upkeep.after(step.read)
            after(step)

        for partition in source.partitions():
            pipeline = intaking.pipeline(
                source, partition, self.store, self._letters, threading.Event()
            )
            pipeline.run(keep_up)
        self.settle()
        return count

    def settle(self) -> None:
        """Bring people and profiles up to date with the graph."""
        self._upkeep.settle()


def told(count: Count, found: Score, kept: Kept, elapsed_s: float) -> Iterator[str]:
    """What became of the signals, in lines."""
    yield (
        f"{count.read:,} signals in {elapsed_s:.1f} s ({count.read / elapsed_s:,.0f} a second): "
        f"{count.counted:,} count, {count.known:,} were known, {count.letters:,} dead letters"
    )
    yield (
        f"{found.found_people:,} people found where the signals can tell {found.parts:,} apart "
        f"({found.true_people:,} in truth: a cookie that never logs in is tied to nobody)"
    )
    yield (
        f"{found.exact_people:,} people whole and nobody else's, precision {found.precision:.3f}, "
        f"recall {found.recall:.3f} of all pairs, {found.recall_tied:.3f} of those that are tied"
    )
    yield (
        f"{kept.created:,} ids given out, {kept.merged:,} merges, {kept.split:,} splits; "
        f"{found.shared_found:,} shared identifiers noticed"
    )


def with_login(truth: Iterable[TruthRow]) -> list[dict[str, str]]:
    """Whoever has a login: one own identifier of each kind that signals tie to it."""
    tied: dict[tuple[int, int], dict[str, str]] = {}
    for row in truth:
        if row.person is not None and row.part is not None and not row.shared:
            tied.setdefault((row.person, row.part), {}).setdefault(row.kind, row.value)
    return [kinds for kinds in tied.values() if "login" in kinds]


class Engine:
    """A decision engine: asks over gRPC like any client."""

    def __init__(self, address: str, stack: ExitStack) -> None:
        channel = stack.enter_context(grpc.insecure_channel(address))
        self._profiles = ProfileServiceStub(channel)
        self._identity = IdentityServiceStub(channel)

    def look_up(self, kind: str, value: str, purposes: Iterable[str]) -> Looked | None:
        """One profile by an identifier; None when nobody is known by it."""
        request = GetProfileRequest(purposes=purposes)
        request.subject.identifier.kind, request.subject.identifier.value = kind, value
        try:
            answer = self._profiles.GetProfile(request, timeout=CALL_TIMEOUT_S)
        except grpc.RpcError:
            return None
        return Looked(kind, value, answer)

    def rates(self, named: Iterable[tuple[str, str]]) -> tuple[float, float]:
        """Milliseconds a lookup: one by one, and in batches of 100; the caller's time included."""
        subjects = [
            Subject(identifier=SubjectIdentifier(kind=kind, value=value)) for kind, value in named
        ]
        asked = [subjects[n % len(subjects)] for n in range(LOOKUPS)]
        began_s = time.perf_counter()
        for subject in asked:
            request = GetProfileRequest(subject=subject, purposes=PURPOSES)
            self._profiles.GetProfile(request, timeout=CALL_TIMEOUT_S)
        single_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        for at in range(0, LOOKUPS, 100):
            batch = BatchGetProfilesRequest(subjects=asked[at : at + 100], purposes=PURPOSES)
            self._profiles.BatchGetProfiles(batch, timeout=CALL_TIMEOUT_S)
        batched_s = time.perf_counter() - began_s
        return 1_000 * single_s / LOOKUPS, 1_000 * batched_s / LOOKUPS

    def explain(self, left: tuple[str, str], right: tuple[str, str]) -> list[str]:
        """Why two identifiers are one person, a line per step."""
        ends = [IdentifierRef(kind=kind, value=value) for kind, value in (left, right)]
        request = ExplainLinkRequest(left=ends[0], right=ends[1])
        found = self._identity.ExplainLink(request, timeout=CALL_TIMEOUT_S)
        if not found.same_person:
            return [f"two people: {obstacle}" for obstacle in found.obstacles]
        return [f"{step.weight_bits:5.1f} bits  {step.sentence}" for step in found.steps]


def shown(looked: Looked) -> Iterator[str]:
    """A lookup in a few lines."""
    answer = looked.answer
    profile = answer.profile
    names = {attribute.name: attribute.value for attribute in profile.attributes}
    name = " ".join(names[key] for key in ("given_name", "family_name") if key in names)
    kinds = sorted({identifier.kind for identifier in profile.identifiers})
    yield f"{looked.kind} of {name or 'somebody unnamed'} → person {answer.person_id[:8]}…"
    yield f"  known by {len(profile.identifiers)} identifiers: {', '.join(kinds)}"
    likes = ", ".join(f"{each.category} {each.score:.1f}" for each in profile.affinities[:3])
    yield f"  interests: {likes or 'none to be told'}"
    devices = {f"{d.device_type or d.kind} ({d.system})" for d in profile.devices if d.system}
    yield f"  devices: {', '.join(sorted(devices)[:3]) or 'none to be told'}"
    if answer.withheld:
        yield f"  withheld: {', '.join(answer.withheld)}"


def ask(parts: Parts, truth: Path, say: Say) -> None:
    """Serve, look people up by what they have, compare purposes, explain one link."""
    people = with_login(read_rows(truth))
    with ExitStack() as stack:
        server = open_server(parts.settings, parts.policies, parts.vault, parts.view)
        port = server.start()
        stack.callback(server.stop, 1.0)
        server.set_ready(True)
        engine = Engine(f"127.0.0.1:{port}", stack)
        looked = _look_at_some(engine, people, say)
        single_ms, batch_ms = engine.rates([("login", kinds["login"]) for kinds in people])
        say(
            f"{LOOKUPS} lookups one by one {single_ms:.2f} ms each, in batches of 100 "
            f"{batch_ms:.2f} ms each, the asking included"
        )
        _explain_one(engine, looked, say)


def _look_at_some(
    engine: Engine, people: Iterable[dict[str, str]], say: Say
) -> list[dict[str, str]]:
    """One who allows personalisation and one who does not."""
    chosen: dict[bool, dict[str, str]] = {}
    for kinds in people:
        looked = engine.look_up("login", kinds["login"], PURPOSES)
        if looked is None or "device" not in kinds:
            continue
        refuses = "affinities" in looked.answer.withheld
        if refuses not in chosen and (refuses or looked.answer.profile.affinities):
            chosen[refuses] = kinds
            for line in shown(looked):
                say(line)
        if len(chosen) == 2:
            break
    return list(chosen.values())


def _explain_one(engine: Engine, looked: list[dict[str, str]], say: Say) -> None:
    """The longest chain there is among the people who were looked up."""
    best: tuple[str, str, list[str]] = ("", "", [])
    for kinds in looked:
        for left, right in combinations(sorted(kinds), 2):
            steps = engine.explain((left, kinds[left]), (right, kinds[right]))
            if len(steps) > len(best[2]):
                best = (left, right, steps)
    left, right, steps = best
    say(f"why this {left} and this {right} are one person:")
    for step in steps:
        say(f"  {step}")

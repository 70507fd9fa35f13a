"""Real browsing events, every one of them, from a packed file into profiles."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import grpc
import orjson
import polars as pl
import pytest

from identity.engines.sqlite.snapshot import SqliteSnapshots
from kinfold.settings import load
from kinfold.statistics.figures import figures
from kinfold.statistics.gathered import gather
from kinfold.wiring import open_policies
from profiles.v1.profile_pb2 import Profile
from profiles.v1.profile_service_pb2 import GetProfileRequest
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.command_line import CommandLine

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("KINFOLD_DATA", ROOT.parent / "shared" / "data")) / "devices"
EVENTS = 143_865
DEVICES = 76
MOST_NETWORKS = 20
EPOCH = date(1970, 1, 1)
BEFORE_ALL = "2016-01-01T00:00:00Z"
"""A day before any event, so that a consent of that day is beside none."""


@dataclass(frozen=True)
class TakenIn:
    """Where the events were taken in, what was told of it, and the events themselves."""

    line: CommandLine
    told: dict[str, Any]
    events: pl.DataFrame

    def by_size(self) -> list[str]:
        """The devices, the one with most events first."""
        sizes = self.events.group_by("device").len().sort("len", "device", descending=True)
        return sizes["device"].to_list()

    def of(self, device: str) -> pl.DataFrame:
        """One device's events."""
        return self.events.filter(pl.col("device") == device)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> TakenIn:
    """All events, taken in by their shipped mapping."""
    file = FOLDER / "events_dev.jsonl.gz"
    if not file.exists():
        pytest.skip(f"no device events in {FOLDER}; KINFOLD_DATA names the folder that has them")
    line = CommandLine(tmp_path_factory.mktemp("devices"), timeout_s=900)
    told = line.does("ingest", str(file), "--mapping", "browsing_events", "--json").json
    return TakenIn(line, told, _read(file))


def _read(file: Path) -> pl.DataFrame:
    at = pl.col("at").str.to_datetime(time_zone="UTC")
    return pl.read_ndjson(file).with_columns(at, day=at.dt.date(), hour=at.dt.hour())


class Engine:
    """A decision engine that looks devices up."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._profiles = ProfileServiceStub(channel)

    def profile(self, device: str, *purposes: str) -> Profile:
        """The profile of whoever has the device."""
        request = GetProfileRequest(purposes=purposes)
        request.subject.identifier.kind, request.subject.identifier.value = "device", device
        answer = self._profiles.GetProfile(request, timeout=30)
        assert isinstance(answer.profile, Profile)
        return answer.profile


@pytest.fixture(scope="module")
def engine(taken: TakenIn) -> Iterator[Engine]:
    """An engine beside a running server."""
    with taken.line.serving() as address, grpc.insecure_channel(address) as channel:
        yield Engine(channel)


def test_every_event_is_taken_in(taken: TakenIn) -> None:
    """Each event counts once, equal ones included, and none is a dead letter."""
    assert taken.told["read"] == taken.events.height == EVENTS
    assert taken.told["counted"] + taken.told["duplicate"] == EVENTS
    assert taken.told["dead_letters"] == 0
    assert taken.told["people_created"] == taken.events["device"].n_unique() == DEVICES


def test_devices_and_networks_show_as_counted_by_hand(taken: TakenIn, engine: Engine) -> None:
    """Presence, device and networks of the busiest, a middling and the quietest device."""
    devices = taken.by_size()
    for device in (devices[0], devices[DEVICES // 2], devices[-1]):
        events = taken.of(device)
        profile = engine.profile(device, "service")
        seen = profile.presence
        assert seen.signals == events.height
        span = (events["at"].min(), events["at"].max())
        assert (_time(seen.first_seen), _time(seen.last_seen)) == span
        (shown,) = profile.devices
        assert (shown.kind, shown.signals) == ("device", events.height)
        assert shown.device_type == events["kind"][0]
        networks = (
            events.drop_nulls("ip")
            .group_by("ip")
            .agg(pl.len(), first=pl.col("day").min(), last=pl.col("day").max())
            .sort("len", descending=True)
        )
        most = networks.head(MOST_NETWORKS)
        assert [each.signals for each in profile.networks] == most["len"].to_list()
        days = {(each.signals, each.first_day, each.last_day) for each in profile.networks}
        counted = {(size, _day(first), _day(last)) for _, size, first, last in networks.rows()}
        assert days <= counted


def test_figures_are_what_polars_counts(taken: TakenIn) -> None:
    """Every figure of what devices do is a plain count over the events themselves."""
    policies = open_policies(load({}, {}))
    snapshots = SqliteSnapshots(taken.line.folder / ".kinfold" / "graph.sqlite3")
    with closing(snapshots), snapshots.take() as snapshot:
        gathered = gather(snapshot, policies.identity)
    events = taken.events
    as_of_us = int(events["at"].max().timestamp() * 1_000_000) + 1  # type: ignore[union-attr]
    told = {
        each.spec.id: each.exact()
        for each in figures(
            gathered, policies.identity, policies.purposes, as_of_us=as_of_us, minimum=3
        )
    }
    per_hour = events.group_by("hour").agg(pl.col("device").n_unique()).rows()
    hours = {("", f"{hour:02d}"): n for hour, n in per_hour}
    assert told["hours"] == {**hours, ("", "all"): DEVICES}
    sites = events.drop_nulls("site")
    per_site = sites.group_by("site").agg(pl.col("device").n_unique()).rows()
    ever = {part: n for (when, part), n in told["affinities"].items() if when == "ever"}
    assert ever == {**{f"site/{s}": n for s, n in per_site}, "all": sites["device"].n_unique()}
    last = events.group_by("device").agg(pl.col("at").max())
    age_days = (as_of_us - last["at"].dt.timestamp("us")) / 86_400_000_000
    bands = ((1, "within a day"), (7, "within 7 days"), (30, "within 30 days"),
             (90, "within 90 days"), (365, "within a year"))  # fmt: skip
    ages = Counter(next((n for d, n in bands if age < d), "longer ago") for age in age_days)
    assert told["last_seen"] == {("", name): n for name, n in ages.items()}
    assert told["signals_by_source"] == {("", "browsing"): taken.told["counted"]}
    assert told["known"] == {("", "anonymous"): DEVICES}
    assert told["devices_per_person"] == {("", "1"): DEVICES}


def test_sites_show_once_it_is_allowed(taken: TakenIn, engine: Engine) -> None:
    """After consent the sites are interests, each counted and decayed as a recount says."""
    devices = taken.by_size()
    chosen = (devices[1], devices[DEVICES // 3])
    for device in chosen:
        assert not engine.profile(device, "personalisation").affinities
    _consent(taken.line, chosen)
    for device in chosen:
        events = taken.of(device)
        profile = engine.profile(device, "personalisation")
        sites = events.drop_nulls("site").group_by("site", "day").len()
        assert len(profile.affinities) == sites["site"].n_unique()
        for shown in profile.affinities:
            site = shown.category.removeprefix("site/")
            daily = [(_day(day), n) for _, day, n in sites.filter(pl.col("site") == site).rows()]
            assert (shown.count, shown.last_day) == (sum(n for _, n in daily), max(daily)[0])
            score = sum(
                n * 0.5 ** ((shown.as_of_day - day) / shown.half_life_days) for day, n in daily
            )
            assert shown.score == pytest.approx(score, rel=1e-9)
        hours = events.group_by("hour").len()
        counted = {int(hour): int(n) for hour, n in hours.rows()}
        assert {h: n for h, n in enumerate(profile.hours.counts) if n} == counted
        assert [(use.channel, use.signals) for use in profile.channels] == [("web", events.height)]


def _consent(line: CommandLine, devices: tuple[str, ...]) -> None:
    decided = {"decisions": [{"purpose": "personalisation", "granted": True}], "textVersion": "1"}
    signals = [
        {
            "source": "web",
            "signalId": f"consent-{device}",
            "eventTime": BEFORE_ALL,
            "assurance": "ASSURANCE_CLAIMED",
            "identifiers": [{"kind": "device", "value": device}],
            "consentDecided": decided,
        }
        for device in devices
    ]
    given = b"".join(orjson.dumps(signal) + b"\n" for signal in signals)
    assert line.does("ingest", "-", "--json", given=given).json["counted"] == len(devices)


def _day(of: date) -> int:
    return (of - EPOCH).days


def _time(stamp: Any) -> datetime:
    at = stamp.ToDatetime(tzinfo=UTC)
    assert isinstance(at, datetime)
    return at

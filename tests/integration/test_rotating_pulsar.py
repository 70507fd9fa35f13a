"""A rotation over real Pulsar: replicas go over to a fresh topic with no gap; the old one goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from identity.model import NodeKey, token_of
from identity.tokens import rekeying
from kinfold.feeds import following, kept_up, open_feed
from kinfold.rotating import begin, is_under_way
from kinfold.settings import GraphSettings, HomeSettings, PulsarSettings, Settings
from kinfold.wiring import open_policies, open_sealer, open_vault, open_view
from profiles.pulsar_cluster import PulsarCluster
from profiles.read_view import ReadView
from profiles.sealing import epoch_of
from profiles.turning_pulsar import FEED, topic_of
from profiles.v1.profile_pb2 import Profile
from profiles.vault import KeyVault
from tests.support.beside import beside
from tests.support.profile_works import shown
from tests.support.rotating import SIGNALS, RotatingHome
from tests.support.servers import PulsarServer

PATIENCE_S = 100.0


class Deployment:
    """One home that resolves and publishes, and replicas with homes of their own."""

    def __init__(self, folder: Path, server: PulsarServer, graph: GraphSettings) -> None:
        pulsar = PulsarSettings(
            url=server.service_url,
            admin_url=server.admin_url,
            feed_topic=f"persistent://public/default/feed-{uuid4().hex}",
            dead_letters_topic=f"persistent://public/default/letters-{uuid4().hex}",
        )
        self.folder = folder
        home = HomeSettings(dir=str(folder / "home"))
        self.settings = Settings(home=home, pulsar=pulsar, graph=graph)
        self.cluster = PulsarCluster(server.service_url, server.admin_url)

    @contextmanager
    def replica(self, name: str, vault: KeyVault) -> Iterator[ReadView]:
        """A replica that follows the feed."""
        home = HomeSettings(dir=str(self.folder / name))
        settings = replace(self.settings, home=home)
        with closing(open_view(settings)) as view, following(settings, vault, view):
            yield view

    def topic(self, number: int) -> bool:
        """Whether the feed's topic of this number is there."""
        return self.cluster.exists(topic_of(self.settings.pulsar.feed_topic, number))


@pytest.fixture(params=["sqlite", pytest.param("neo4j", marks=pytest.mark.slow)])
def graph(request: pytest.FixtureRequest) -> GraphSettings:
    """Where the graph rests."""
    if request.param == "sqlite":
        return GraphSettings()
    server = request.getfixturevalue("empty_neo4j")
    return GraphSettings(url=server.bolt_url, user=server.user, password=server.password)


@pytest.mark.servers
def test_replicas_go_over_without_a_gap(
    tmp_path: Path, pulsar_server: PulsarServer, graph: GraphSettings
) -> None:
    """Everybody is found on every replica all the while; one that was down shows the same."""
    deployment = Deployment(tmp_path, pulsar_server, graph)
    settings = deployment.settings
    with RotatingHome(tmp_path / "home", settings).process() as process:
        process.take(*SIGNALS)
    policies = open_policies(settings)
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        stack.enter_context(kept_up(settings, policies, vault, lambda: open_feed(settings)))
        first = stack.enter_context(deployment.replica("first", vault))
        with deployment.replica("down", vault) as down:
            sealer = open_sealer(vault)
            before = shown(down, sealer)
            people = set(before)
        assert len(people) >= 6
        assert begin(vault, time.time_ns() // 1_000, tokens=True)
        rekey = rekeying(vault.token_keys()[1:])
        gone: list[str] = []
        looks = 0

        def look(stop: threading.Event) -> None:
            nonlocal looks
            while not stop.wait(0.01):
                at = first.at
                with at.begin(db=at.aliases) as txn:
                    gone.extend(
                        one
                        for one in people
                        if txn.get(one.encode()) is None and txn.get(rekey(one).encode()) is None
                    )
                looks += 1

        with beside(look) as wait_until:
            wait_until(lambda: not is_under_way(vault))
            at_its_end = looks
            wait_until(lambda: looks > at_its_end)
        assert gone == []
        assert (vault.agreed(FEED), vault.epochs()) == (1, (2,))
        assert (deployment.topic(0), deployment.topic(1)) == (False, True)
        sealer.renew()
        renamed = {rekey(alias): renamed_in(profile, rekey) for alias, profile in before.items()}
        assert in_order(shown(first, sealer)) == in_order(renamed)
        with deployment.replica("down", vault) as down:
            assert in_order(shown(down, sealer)) == in_order(renamed)
            epochs = {epoch_of(one.sealed) for _, one in down.everything() if one.sealed}
            assert epochs == {2}
            _until(lambda: not (tmp_path / "down" / "view" / "data.mdb").exists())


def renamed_in(profile: Profile, rekey: Callable[[NodeKey], NodeKey]) -> Profile:
    """The profile with the tokens that it tells renamed."""
    made = Profile()
    made.CopyFrom(profile)
    for known in made.identifiers:
        known.token = token_of(rekey(f"{known.kind}:{known.token}"))
    for device in made.devices:
        device.token = token_of(rekey(f"{device.kind}:{device.token}"))
    return made


def in_order(profiles: Mapping[NodeKey, Profile]) -> dict[NodeKey, Profile]:
    """Profiles with what goes by token in one order: renamed tokens sort another way."""
    found = {}
    for alias, profile in profiles.items():
        found[alias] = made = Profile()
        made.CopyFrom(profile)
        made.identifiers.sort(key=lambda one: (one.kind, one.token))
        made.devices.sort(key=lambda one: (one.kind, one.token))
    return found


def _until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.05)

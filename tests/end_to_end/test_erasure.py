"""Erased means erased: on the embedded engine, and on real Neo4j and Pulsar."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from identity.store import FOREVER_US
from ingest.publish import SignalPublisher
from ingest.source import Form
from kinfold.holdings import HOLDINGS, unclaimed
from kinfold.letters import open_letters
from kinfold.privacy_places import open_ledger
from kinfold.restoring import apply_ledger, brought_up
from kinfold.wiring import open_policies, open_store, open_vault, open_view
from profiles.privacy import Status
from profiles.pulsar_cluster import PulsarCluster
from tests.support.command_line import as_lines
from tests.support.deployment import until
from tests.support.erasing import OLD, Home, home_at, now, record, signal
from tests.support.servers import Neo4jServer, PulsarServer

pytestmark = pytest.mark.timeout(600)
ANN, BEN = "login:ann@example.com", "login:ben@example.com"
STEPS = (
    "settle", "ledger", "fence", "widen", "sweep", "resolve", "letters", "exports", "caches",
    "audit", "finish",
)  # fmt: skip
Make = Callable[[str], Home]


ON_SERVERS = [pytest.mark.servers, pytest.mark.slow]
ARRIVALS = [
    *(("embedded", step) for step in STEPS),
    # Behind the fence one step is like another, and each takes the servers seconds.
    *(pytest.param("servers", step, marks=ON_SERVERS) for step in ("fence", "widen", "sweep")),
]


@pytest.fixture(params=["embedded", pytest.param("servers", marks=ON_SERVERS)])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a home, embedded or on the real servers, by its name."""
    more: dict[str, str] = {}
    if request.param == "servers":
        graph = request.getfixturevalue("empty_neo4j")
        broker = request.getfixturevalue("pulsar_server")
        more = on(graph, broker)
    return lambda name: home_at(tmp_path / name, more)


def on(graph: Neo4jServer, broker: PulsarServer) -> dict[str, str]:
    """Settings of a home on these servers, with topics of its own."""
    topics = f"persistent://public/default/erasure-{uuid4().hex}"
    return {
        "KINFOLD_GRAPH_URL": graph.bolt_url,
        "KINFOLD_GRAPH_USER": graph.user,
        "KINFOLD_GRAPH_PASSWORD": graph.password,
        "KINFOLD_PULSAR_URL": broker.service_url,
        "KINFOLD_PULSAR_ADMIN_URL": broker.admin_url,
        "KINFOLD_PULSAR_TOPIC": topics + "-signals",
        "KINFOLD_PULSAR_FEED_TOPIC": topics + "-profiles",
        "KINFOLD_PULSAR_DEAD_LETTERS_TOPIC": topics + "-letters",
    }


@pytest.fixture
def home(make: Make) -> Home:
    """A home in which nobody is known yet."""
    return make("home")


def anns() -> list[dict[str, Any]]:
    """What Ann did: a login on two cookies, a purchase, a record, a consent."""
    bought = {
        "type": "BEHAVIOUR_TYPE_PURCHASE",
        "category": "books",
        "item": "a novel",
        "value": 9.0,
        "unit": "EUR",
    }
    agreed = {"decisions": [{"purpose": "personalisation", "granted": True}]}
    return [
        signal(1, ANN, "cookie:ann-laptop"),
        signal(2, ANN, "cookie:ann-phone"),
        signal(3, ANN, behaviour=bought),
        record(4, ANN, fullName="Ann Example", email="ann@example.com"),
        signal(5, ANN, consentDecided=agreed),
        signal(6, "cookie:ann-laptop"),
    ]


def bens() -> list[dict[str, Any]]:
    """What Ben did."""
    return [signal(11, BEN, "cookie:ben-laptop"), record(12, BEN, fullName="Ben Beispiel")]


def assert_gone(home: Home, *named: str) -> None:
    """Nobody is known by these, in the graph or in the view."""
    for one in named:
        assert home.person(one) is None, one
        assert home.shown(one) is None, one


ALL_OF_ANN = (ANN, "cookie:ann-laptop", "cookie:ann-phone", "email:ann@example.com")


def test_late_signal_after_erasure(home: Home) -> None:
    """A signal of before that comes after counts nowhere, is no dead letter, and says so."""
    home.take(*anns(), *bens())
    assert home.together(*ALL_OF_ANN)
    erased = home.erase(ANN)
    assert {one.store: one.status for one in erased.stores}["graph"] is Status.DONE
    assert_gone(home, *ALL_OF_ANN)
    home.take(
        signal(7, ANN, "cookie:ann-tablet"), record(8, "email:ann@example.com", fullName="Ann")
    )
    assert_gone(home, *ALL_OF_ANN, "cookie:ann-tablet")
    with closing(open_letters(home.settings)) as letters:
        assert list(letters.all()) == []
    assert home.shown(BEN) is not None


def test_replay_of_the_input_from_its_beginning(home: Home) -> None:
    """Everything read again from the beginning changes nothing."""
    path = home.take(*anns(), *bens())
    home.erase(ANN)
    before = home.person(BEN)
    home.does("ingest", "--replay", str(path))
    assert_gone(home, *ALL_OF_ANN)
    assert home.person(BEN) == before


@pytest.mark.parametrize(("make", "at"), ARRIVALS, indirect=["make"])
def test_signal_arriving_during_erasure(home: Home, at: str) -> None:
    """Whatever step it meets, a signal of before is gone in the end, with what it brought."""
    home.take(*anns(), *bens())

    def arrives(step: str) -> None:
        if step == at:
            home.take_elsewhere(signal(7, ANN, "cookie:ann-tablet"), signal(8, "cookie:ann-tablet"))

    home.erase(ANN, step=arrives)
    assert_gone(home, *ALL_OF_ANN)
    if STEPS.index(at) < STEPS.index("fence"):
        assert_gone(home, "cookie:ann-tablet")
    assert home.shown(BEN) is not None


class _Died(Exception):
    """The process ended here."""


@pytest.mark.parametrize("at", STEPS)
def test_crash_between_each_two_steps(home: Home, at: str) -> None:
    """Cut short before any step, the next process to start goes on; nobody has to ask again."""
    home.take(*anns(), *bens())

    def dies(step: str) -> None:
        if step == at:
            raise _Died

    with pytest.raises(_Died):
        home.erase(ANN, step=dies)
    begun = STEPS.index(at) > STEPS.index("ledger")
    settings = home.settings
    with closing(open_vault(settings)) as vault:
        brought_up(settings, open_policies(settings), vault)
    if begun:
        assert_gone(home, *ALL_OF_ANN)
        with (
            closing(open_vault(settings)) as vault,
            closing(open_ledger(settings, vault)) as ledger,
        ):
            (one,) = ledger.erasures()
        assert one.finished_us is not None
    else:
        assert home.shown(ANN) is not None
    assert home.shown(BEN) is not None


def test_backup_restored(home: Home) -> None:
    """Graph and view put back from before the erasure show nothing of the person when served."""
    if home.settings.pulsar.url:
        pytest.skip("a Neo4j put back is one whose fences are missing, as below")
    home.take(*anns(), *bens())
    folder = home.deployment.folder
    backup = folder.with_name("backup")
    shutil.copytree(folder, backup)
    home.erase(ANN)
    shutil.rmtree(folder / "view")
    shutil.copytree(backup / "view", folder / "view")
    for name in ("graph.sqlite3", "graph.sqlite3-wal", "graph.sqlite3-shm"):
        (folder / name).unlink(missing_ok=True)
        if (backup / name).exists():
            shutil.copy2(backup / name, folder / name)
    assert home.person(ANN) is not None
    home.take(signal(20, BEN))
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown(BEN) is not None


def test_view_restored(home: Home) -> None:
    """A view alone put back from before is filled anew before it answers."""
    if home.settings.pulsar.url:
        pytest.skip("a replica put back follows the feed from where it was")
    home.take(*anns(), *bens())
    folder = home.deployment.folder
    shutil.copytree(folder / "view", folder.with_name("old-view"))
    home.erase(ANN)
    shutil.rmtree(folder / "view")
    shutil.copytree(folder.with_name("old-view"), folder / "view")
    assert home.shown(ANN) is not None
    home.take(signal(20, BEN))
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown(BEN) is not None


def test_graph_without_its_fences_is_brought_up(home: Home) -> None:
    """A graph that lacks fences of the ledger, as one put back does, gets them and is swept."""
    path = home.take(*anns(), *bens())
    home.erase(ANN)
    with home.store() as store:
        store.lift(dict.fromkeys(map(home.key, ALL_OF_ANN), 0))
    settings = home.settings
    policies = open_policies(settings)
    with closing(open_vault(settings)) as vault, closing(open_store(settings)) as store:
        assert apply_ledger(settings, policies, vault, store).fences == len(ALL_OF_ANN)
        assert apply_ledger(settings, policies, vault, store).fences == 0
    home.does("ingest", "--replay", str(path))
    assert_gone(home, *ALL_OF_ANN)


def test_old_key_store_restored(home: Home) -> None:
    """A vault put back with keys that were destroyed loses them again when it is opened."""
    settings = home.settings
    with closing(open_vault(settings)) as vault:
        assert vault.new_epoch() == 2
    old = settings.home_dir / "keys"
    shutil.copytree(old, old.with_name("old-keys"))
    with closing(open_vault(settings)) as vault, closing(open_ledger(settings, vault)) as ledger:
        ledger.destroyed(1, 0)
        vault.destroy_epoch(1)
    shutil.rmtree(old)
    shutil.copytree(old.with_name("old-keys"), old)
    with closing(open_vault(settings)) as vault:
        assert vault.epochs() == (2,)


def test_erased_person_returns(home: Home) -> None:
    """What happens after an erasure makes someone new, whom nothing links with before."""
    home.take(*anns())
    before = home.person(ANN)
    home.erase(ANN)
    home.take(signal(30, ANN, "cookie:ann-laptop", at=now()))
    after = home.person(ANN)
    assert after is not None
    assert home.together(ANN, "cookie:ann-laptop")
    assert home.person("cookie:ann-phone") is None
    with home.store() as store:
        assert before is not None
        assert store.current(before) is None
        assert before not in {entry.person for entry in store.lineage(after)}
        evidence = store.evidence([after])[after]
        assert evidence.facts == ()
    assert home.shown(ANN) == after


def test_suppressed_person_stays_away(home: Home) -> None:
    """Who asked for that does not come back by anything, until the suppression is lifted."""
    home.take(*anns())
    home.erase(ANN, suppress=True)
    home.take(signal(30, ANN, "cookie:new", at=now()))
    assert_gone(home, ANN, "cookie:new")
    with home.store() as store:
        assert store.fences([home.key(ANN)]) == {home.key(ANN): FOREVER_US}
    with home.erasing() as erasing:
        assert erasing.lift("r-1")
        assert not erasing.lift("r-1")
    home.take(signal(31, ANN, "cookie:newer", at=now()), signal(32, ANN, "cookie:ann-laptop"))
    assert home.together(ANN, "cookie:newer")
    assert_gone(home, "cookie:new", "cookie:ann-laptop")


def test_shared_device_one_of_two_asks(home: Home) -> None:
    """A household's phone and tablet stay with the other, with the other's links alone."""
    used = [
        signal(40 + n, f"customer_id:{who}", "device:tablet")
        for n, who in enumerate(("c-ann", "c-ben", "c-ann", "c-ben"))
    ]
    home.take(
        *anns(),
        *bens(),
        signal(50, ANN, "customer_id:c-ann"),
        signal(51, BEN, "customer_id:c-ben"),
        *used,
        record(45, "customer_id:c-ann", phone="+41441234567"),
        record(46, "customer_id:c-ben", phone="+41441234567"),
    )
    assert not home.together(ANN, BEN)
    scope = home.scope(ANN)
    assert home.key(ANN) in scope.fenced
    tablet, phone = home.key("device:tablet"), home.key("phone:+41441234567")
    assert not {tablet, phone} & set(scope.fenced)
    home.erase(ANN)
    assert_gone(home, *ALL_OF_ANN, "customer_id:c-ann")
    assert home.together(BEN, "device:tablet", "phone:+41441234567")
    ben = home.key("customer_id:c-ben")
    with home.store() as store:
        days = store.link_days([(ben, tablet)])[ben, tablet]
        assert sum(day.count for day in days) == 2
        assert {tie.other for tie in store.views([tablet])[tablet].ties} == {ben}


def test_wrong_merge_erased(home: Home) -> None:
    """Two people merged by mistake are told as doubtful; split first, only who asked goes."""
    home.take(
        *anns(),
        *bens(),
        signal(50, ANN, "customer_id:c-ann"),
        signal(51, BEN, "customer_id:c-ben"),
        _decided(52, "SAME"),
    )
    assert home.together(ANN, BEN)
    assert home.scope(ANN).is_doubtful
    home.take(_decided(53, "NOT_SAME", at=now()))
    assert not home.together(ANN, BEN)
    assert not home.scope(ANN).is_doubtful
    home.erase(ANN)
    assert_gone(home, *ALL_OF_ANN, "customer_id:c-ann")
    assert home.together(BEN, "customer_id:c-ben", "cookie:ben-laptop")


def _decided(number: int, verdict: str, at: str = OLD) -> dict[str, Any]:
    """What staff decided on the two customer ids."""
    ends = [{"identifier": {"kind": "customer_id", "value": value}} for value in ("c-ann", "c-ben")]
    decided = {"left": ends[0], "right": ends[1], "verdict": f"LINK_VERDICT_{verdict}"}
    return {**signal(number, at=at, linkDecided=decided), "source": "staff"}


@pytest.mark.parametrize("at", ["fence", "widen", "sweep"])
def test_merge_racing_erasure(home: Home, at: str) -> None:
    """Somebody merged with the person while they are erased is left whole, and that is told."""
    home.take(*anns(), *bens())

    def merges(step: str) -> None:
        if step == at:
            home.take_elsewhere(signal(60, ANN, BEN))

    home.erase(ANN, step=merges)
    assert_gone(home, *ALL_OF_ANN)
    assert home.together(BEN, "cookie:ben-laptop")
    assert home.shown(BEN) == home.person(BEN)


def test_bridge_record_erased_rest_splits(home: Home) -> None:
    """Whoever was held together by an erased record alone is apart again."""
    home.take(
        signal(70, "cookie:one"),
        signal(71, "cookie:two"),
        record(72, "cookie:one", "cookie:two", fullName="Ann Example"),
    )
    assert home.together("cookie:one", "cookie:two")
    key = home.key("record:crm:s-72")
    with home.store() as store:
        store.fence({key: FOREVER_US})
        store.sweep([key])
    home.take(signal(73, BEN))
    assert home.person("cookie:one") is not None
    assert not home.together("cookie:one", "cookie:two")


def test_dead_letter_re_sent_after_erasure(home: Home) -> None:
    """Letters that name the person are removed with them; one that comes later counts nowhere."""
    broken = {**signal(80, ANN), "eventTime": "not a time"}
    others = {**signal(81, BEN), "eventTime": "not a time"}
    home.take(*anns(), *bens(), broken, others)
    home.erase(ANN)
    with closing(open_letters(home.settings)) as letters:
        assert len(list(letters.all())) == 1
    home.take({**signal(82, ANN), "eventTime": "not a time"})
    with pytest.raises(AssertionError):
        home.does("dead-letters", "--send")
    assert_gone(home, *ALL_OF_ANN)


def test_a_view_of_another_process_forgets_too(home: Home) -> None:
    """The ids of an erased person stand for nobody in the view."""
    home.take(*anns())
    person = home.person(ANN)
    assert person is not None
    home.erase(ANN)
    if home.settings.pulsar.url:
        assert home.shown(ANN) is None
    with closing(open_view(home.settings)) as view:
        stored = view.stored(person)
        assert stored is not None
        assert stored.sealed == b""


def _export(home: Home, what: str, out: Path, recipient: str, *more: str) -> None:
    handed = ("--recipient", recipient, "--expires", "2027-01-01")
    home.does("export", what, "--out", str(out), *handed, *more)


def test_every_store_is_registered(home: Home, tmp_path: Path) -> None:
    """Whatever work is done, no file appears that no holding claims, and each is answered for."""
    home.take(*anns(), *bens(), {**signal(80, BEN), "eventTime": "not a time"})
    _export(home, "stats", tmp_path / "figures", "board")
    home.does("consent", "record", BEN, "--purpose", "marketing", "--withdraw", "--source", "web")
    erased = home.erase(ANN)
    told = [one.store for one in erased.stores]
    assert sorted(told) == sorted({one.store for one in HOLDINGS if one.store})
    assert unclaimed(home.settings.home_dir) == []
    (home.settings.home_dir / "stray.sqlite3").touch()
    assert [file.name for file in unclaimed(home.settings.home_dir)] == ["stray.sqlite3"]


def test_exports_are_told(home: Home, tmp_path: Path) -> None:
    """Who was handed the person's profile, or a whole graph, is to be told; others are not."""
    home.take(*anns(), *bens())
    _export(home, "profiles", tmp_path / "p.parquet", "agency", "--for", "analytics")
    _export(home, "graph", tmp_path / "graph", "lab")
    _export(home, "stats", tmp_path / "figures", "board")
    erased = home.erase(ANN)
    assert erased.recipients == ["agency", "lab"]
    status = {one.store: one for one in erased.stores}["exports"]
    assert status.status is Status.IMPOSSIBLE
    assert "agency, lab" in status.reason


@pytest.mark.slow
def test_the_receipt_dates_the_topics_retention(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """Pulsar says when the topic forgets; read again before that, it brings nobody back."""
    home = home_at(tmp_path / "home", on(empty_neo4j, pulsar_server))
    pulsar = home.settings.pulsar
    cluster = PulsarCluster(pulsar.url, pulsar.admin_url)
    cluster.create_partitioned(pulsar.topic, 2)
    path = pulsar.topic.replace("://", "/")
    kept = json.dumps({"retentionTimeInMinutes": 60 * 24 * 30, "retentionSizeInMB": -1})
    asked = urllib.request.Request(  # noqa: S310 - the test's own server
        f"{pulsar.admin_url}/admin/v2/{path}/retention",
        kept.encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    urllib.request.urlopen(asked, timeout=30).close()  # noqa: S310 - as above
    with closing(SignalPublisher(cluster, pulsar.topic)) as publisher:
        publisher.publish_as_is(
            (line, Form.JSON) for line in as_lines(*anns(), *bens()).splitlines()
        )
    with closing(home.deployment):
        consumer = home.deployment.start("run")
        until(lambda: home.person(ANN) and home.person(BEN), "the signals are taken in")
        home.deployment.wait_until_resolved()
        erased = home.erase(ANN)
        assert home.deployment.stop(consumer) == 0
        day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
        assert {one.store: one for one in erased.stores}["input"].reason.endswith(f"by {day}")
        read = home.deployment.start("run", "--replay", "--json")
        until(lambda: _replayed(home, len(anns())), "the topic is read from its beginning")
        assert home.deployment.stop(read) == 0
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown(BEN) is not None


def _replayed(home: Home, erased: int) -> bool:
    """Whether a consumer has told so many signals of somebody erased."""
    said = (home.deployment.folder / "said.txt").read_text().splitlines()
    told = [json.loads(line) for line in said if line.startswith("{")]
    return any(one.get("erased", 0) >= erased for one in told)

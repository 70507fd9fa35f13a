"""Erased means erased: on the embedded engine, and on real Neo4j and Pulsar."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from identity.store import FOREVER_US, Outcome
from ingest.publish import SignalPublisher
from ingest.source import Form
from kinfold.holdings import HOLDINGS, unclaimed
from kinfold.wiring import open_view
from profiles.privacy import Status
from profiles.pulsar_cluster import PulsarCluster
from tests.support.ann_and_ben import (
    ALL_OF_ANN,
    ANN,
    BEN,
    anns,
    assert_gone,
    bens,
    home_on,
    unreadable,
)
from tests.support.command_line import as_lines
from tests.support.deployment import ROOT, until
from tests.support.erasing import OLD, Home, home_at, now, record, signal
from tests.support.servers import Neo4jServer, PulsarServer

pytestmark = pytest.mark.timeout(600)
SERVERS = pytest.param("servers", marks=[pytest.mark.servers, pytest.mark.slow])
DEFAULT_POLICY = ROOT / "kinfold" / "default_policy.toml"
BADGES = """
[kinds.badge]
priority = 75
keep_value = true
weight_bits = 20
"""


@pytest.fixture(params=["embedded", SERVERS])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home in which nobody is known yet, embedded or on the real servers."""
    if request.param == "embedded":
        return home_at(tmp_path / "home", {})
    graph, broker = (request.getfixturevalue(name) for name in ("empty_neo4j", "pulsar_server"))
    return home_on(tmp_path / "home", graph, broker)


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
    assert home.letters() == []
    assert home.shown(BEN) is not None


def test_replay_of_the_file_from_its_beginning(tmp_path: Path) -> None:
    """Everything read again from the beginning changes nothing."""
    home = home_at(tmp_path / "home", {})
    path = home.take(*anns(), *bens())
    home.erase(ANN)
    before = home.person(BEN)
    home.does("ingest", "--replay", str(path))
    assert_gone(home, *ALL_OF_ANN)
    assert home.person(BEN) == before


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


def test_key_rotation_suppression_still_matches(home: Home) -> None:
    """Under new names of everything, who asked to be suppressed stays away by whatever names them
    now, and who did not is someone new.
    """
    home.take(*anns(), *bens())
    before = home.person(BEN)
    assert before is not None
    home.erase(ANN, "r-1", suppress=True)
    home.erase(BEN, "r-2")
    named = home.key(ANN)
    home.does("keys", "rotate", "--tokens")
    assert home.key(ANN) != named
    # What starts brings the graph up to the ledger; the graph itself is to know them by then.
    with home.consumer() as take:
        outcomes = take(
            signal(30, ANN, "cookie:new", at=now()),
            signal(31, "cookie:ann-laptop", at=now()),
            record(32, "email:ann@example.com", at=now(), fullName="Ann Example"),
            signal(33, BEN, "cookie:ben-laptop", at=now()),
        )
    assert outcomes == [*[Outcome.ERASED] * 3, Outcome.COUNTED]
    home.settle()
    assert_gone(home, *ALL_OF_ANN, "cookie:new")
    assert home.together(BEN, "cookie:ben-laptop")
    after = home.person(BEN)
    assert home.shown(BEN) == after != before
    with home.store() as store:
        assert store.current(before) is None
        assert store.totals().signals == 1


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


def test_dead_letter_re_sent_after_erasure(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Letters that name the person are removed with them. One that is kept later says nothing of
    them; and one that does counts nowhere once it is understood, and is gone. Others' count.
    """
    home.take(*anns(), *bens(), signal(80, ANN, "badge:a-1"), signal(81, BEN, "badge:b-1"))
    assert len(home.letters()) == 2
    home.erase(ANN)
    (others,) = home.letters()
    home.take(signal(82, ANN, "badge:a-2"))
    (blank,) = [letter for letter in home.letters() if letter.id != others.id]
    assert (blank.sealed, others.sealed != b"") == (b"", True)
    home.does("dead-letters", "--remove", blank.id)
    kept = home.keep_letter(signal(83, ANN, "badge:a-2"))
    assert {others.id, kept.id} == {letter.id for letter in home.letters()}
    policy = tmp_path / "policy.toml"
    policy.write_text(DEFAULT_POLICY.read_text("utf-8") + BADGES, "utf-8")
    capsys.readouterr()
    home = home.under(policy)
    home.does("dead-letters", "--send", "--json")
    assert json.loads(capsys.readouterr().out) == {"counted": 2, "empty": 0, "refused": []}
    assert home.letters() == []
    assert_gone(home, *ALL_OF_ANN, "badge:a-1", "badge:a-2")
    assert home.together(BEN, "badge:b-1")
    with home.store() as store:
        assert store.totals().signals == len(bens()) + 1


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
    home.take(*anns(), *bens(), unreadable(80, "ben"))
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
    _export(home, "profiles", tmp_path / "p.parquet", "agency", "--for", "personalisation")
    _export(home, "graph", tmp_path / "graph", "lab")
    _export(home, "stats", tmp_path / "figures", "board")
    erased = home.erase(ANN)
    assert erased.recipients == ["agency", "lab"]
    status = {one.store: one for one in erased.stores}["exports"]
    assert status.status is Status.IMPOSSIBLE
    assert "agency, lab" in status.reason


# ---- the topic ---------------------------------------------------------------


@pytest.mark.slow
def test_replay_of_the_topic_from_its_beginning(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """All that the topic ever held, read again after an erasure, changes nothing; the receipt says
    by when the topic forgets it.
    """
    home = home_on(tmp_path / "home", empty_neo4j, pulsar_server)
    everything = as_lines(*anns(), *bens()).splitlines()
    _publish(home, pulsar_server, everything, kept_days=30)
    with closing(home.deployment):
        consumer = home.deployment.start("run")
        until(lambda: len(home.known(ANN, BEN)) == 2, "the signals are taken in")
        home.deployment.wait_until_resolved()
        days = [_in_days(30)]
        erased = home.erase(ANN)
        days.append(_in_days(30))
        (topic,) = (one for one in erased.stores if one.store == "input")
        assert topic.status is Status.PARTIAL
        assert any(f"forgets what was sent until now by {day}" in topic.reason for day in days)
        assert home.deployment.stop(consumer) == 0
        before = home.person(BEN)
        read = home.deployment.start("run", "--replay", "--json")
        until(lambda: _has_read(home, len(everything)), "the topic is read from its beginning")
        assert home.deployment.stop(read) == 0
    told = _told(home)[-1]
    assert (told["counted"], told["erased"], told["duplicate"]) == (0, len(anns()), len(bens()))
    assert_gone(home, *ALL_OF_ANN)
    assert home.shown(BEN) == home.person(BEN) == before


def _publish(home: Home, server: PulsarServer, lines: Iterable[bytes], kept_days: int) -> None:
    """Fill the topic of signals, which keeps what was consumed for so many days."""
    pulsar = home.settings.pulsar
    cluster = PulsarCluster(pulsar.url, pulsar.admin_url)
    cluster.create_partitioned(pulsar.topic, 2)
    kept = {"retentionTimeInMinutes": 60 * 24 * kept_days, "retentionSizeInMB": -1}
    server.admin("POST", f"{pulsar.topic.replace('://', '/')}/retention", kept)
    with closing(SignalPublisher(cluster, pulsar.topic)) as publisher:
        publisher.publish_as_is((line, Form.JSON) for line in lines)


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def _told(home: Home) -> list[dict[str, Any]]:
    """What consumers told of themselves as JSON."""
    said = (home.deployment.folder / "said.txt").read_text().splitlines()
    return [json.loads(line) for line in said if line.startswith("{")]


def _has_read(home: Home, signals: int) -> bool:
    return any(told["read"] >= signals for told in _told(home))

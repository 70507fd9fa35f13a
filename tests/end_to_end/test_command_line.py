"""kinfold as its users use it: the installed program, in an empty folder."""

from __future__ import annotations

import gzip
import re
import shutil
import stat
from importlib.resources import files
from pathlib import Path

import orjson
import pytest

from tests.support.command_line import EVENT, CommandLine, as_lines, login

PRIVATE = "ottilie.wunderlich"
"""Part of every personal value in these tests that must never be printed by chance."""


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The program in an empty folder."""
    return CommandLine(tmp_path)


# ---- taking in ---------------------------------------------------------------


def test_words_say_what_became_of_it(line: CommandLine) -> None:
    """Without --json a person reads how many count, and where the rest is."""
    (line.folder / "signals.jsonl").write_bytes(as_lines(login(1, ("login", "ann")), b"{"))
    ran = line.does("ingest", "signals.jsonl")
    assert "2 signals read: 1 count, 0 were known, 1 are among the dead letters" in ran.out
    assert ran.err == "hint: kinfold dead-letters lists what could not be counted, and why\n"


def test_every_way_in(line: CommandLine) -> None:
    """Standard input, gzip, Segment messages and a mapped CSV file all become signals."""
    given = as_lines(login(1, ("login", "ann")), login(2, ("login", "ben")))
    assert line.does("ingest", "-", "--json", given=given).json["counted"] == 2
    (line.folder / "more.jsonl.gz").write_bytes(gzip.compress(as_lines(login(3, ("login", "cy")))))
    assert line.does("ingest", "more.jsonl.gz", "--json").json["counted"] == 1
    track = {"type": "track", "messageId": "m-1", "anonymousId": "a-1", "event": "Clicked",
             "timestamp": EVENT}  # fmt: skip
    (line.folder / "segment.jsonl").write_bytes(as_lines(track))
    ran = line.does("ingest", "--format", "segment", "segment.jsonl", "--json")
    assert ran.json["counted"] == 1
    (line.folder / "map.toml").write_text(
        'source = "shop"\nsignal_id = "no"\nevent_time = "at"\n'
        '[[identifiers]]\nkind = "login"\nvalue = "who"\n'
        '[behaviour]\ntype = { const = "purchase" }\nitem = "what"\n'
    )
    (line.folder / "orders.csv").write_text(
        f"no,at,who,what\n1,{EVENT},ann,shoe\n2,never,ben,hat\n"
    )
    told_of = line.does("ingest", "--mapping", "map.toml", "orders.csv", "--json").json
    assert (told_of["counted"], told_of["dead_letters"]) == (1, 1)
    profile = line.does("get", "login:ann", "--local", "--for", "service", "--json").json["profile"]
    assert [bought["item"] for bought in profile["purchases"]] == ["shoe"]
    assert profile["presence"]["signals"] == "2"


def test_what_is_wrong_in_a_file_stops_nothing(line: CommandLine) -> None:
    """Broken lines become dead letters; nothing at all in a file is no fault."""
    (line.folder / "empty.jsonl").write_bytes(b"")
    assert line.does("ingest", "empty.jsonl", "--json").json["read"] == 0
    noise = bytes(range(256)).replace(b"\n", b"")
    wrong = as_lines(
        login(1, ("login", "ann")),
        b'{"source": "web", "signalId": "cut',
        noise,
        b"[1, 2]",
        login(2, ("wombat", f"{PRIVATE}-1")),
        login(3, ("email", f"{PRIVATE}-2")),
        login(4, ("login", f"{PRIVATE}-3")) | {"eventTime": "2090-01-01T00:00:00Z"},
        login(5, ("login", f"{PRIVATE}-4")) | {f"{PRIVATE}Field": 1},
        login(6, ("login", "ben")),
    )
    (line.folder / "wrong.jsonl").write_bytes(wrong)
    ran = line.does("ingest", "wrong.jsonl", "--json")
    assert (ran.json["read"], ran.json["counted"], ran.json["dead_letters"]) == (9, 2, 7)
    assert PRIVATE not in ran.said
    listed = line.does("dead-letters")
    assert len(listed.out.splitlines()) == 7
    assert PRIVATE not in listed.said
    assert PRIVATE not in line.does("dead-letters", "--json").said


def test_a_cut_file_gives_what_lies_before_the_cut(line: CommandLine) -> None:
    """A packed file that is cut fails with words; mended under its name, it is read on."""
    whole = as_lines(*(login(n, ("login", f"person-{n}")) for n in range(4_000)))
    packed = gzip.compress(whole)
    path = line.folder / "signals.jsonl.gz"
    path.write_bytes(packed[: len(packed) // 2])
    assert "cut or damaged" in line.fails(1, "ingest", "signals.jsonl.gz").err
    before = line.does("doctor", "--json").json_lines
    graph = next(found["words"] for found in before if found["part"] == "graph")
    assert "marks waiting" not in graph
    path.write_bytes(packed)
    rest = line.does("ingest", "signals.jsonl.gz", "--json").json
    assert 0 < rest["counted"] < 4_000
    assert rest["duplicate"] + rest["counted"] == rest["read"]


# ---- dead letters ------------------------------------------------------------


def test_dead_letters_are_listed_shown_and_sent_again(line: CommandLine) -> None:
    """What a policy did not know is listed, shown to who asks, and counts once the policy does."""
    strange = login(1, ("badge", f"{PRIVATE}-7"))
    line.does("ingest", "-", given=as_lines(strange, login(2, ("login", "ann")), b"noise"))
    letters = {
        letter["reason"]: letter for letter in line.does("dead-letters", "--json").json_lines
    }
    assert set(letters) == {"kind", "json"}
    summary = line.does("dead-letters", "--summary", "--json").json
    assert {(each["reason"], each["source"], each["letters"]) for each in summary} == {
        ("kind", "web", 1), ("json", "", 1)}  # fmt: skip
    one = ("--reason", "kind")
    assert line.does("dead-letters", *one).out.count("\n") == 1
    shown = line.does("dead-letters", "--show", letters["kind"]["id"])
    assert orjson.loads(shown.out.splitlines()[-1]) == strange
    assert "identifiers[0].kind" in line.run("dead-letters", "--send", *one).out
    line.does("doctor", "--settings-help")
    policy = (Path(__file__).parents[2] / "kinfold" / "default_policy.toml").read_text("utf-8")
    badges = "[kinds.badge]\npriority = 75\nkeep_value = true\nweight_bits = 20\n"
    (line.folder / "policy.toml").write_text(f"{policy}\n{badges}", "utf-8")
    sent = line.run("dead-letters", "--policy", "policy.toml", "--send", "--json")
    assert sent.code == 1, "one still cannot count"
    assert sent.json["counted"] == 1
    assert sent.json["refused"] == [{"id": letters["json"]["id"], "reason": "signal: json"}]
    get = ("get", "--local", f"badge:{PRIVATE}-7", "--for", "service", "--policy", "policy.toml")
    assert line.does(*get, "--json").json["profile"]["presence"]["signals"] == "1"
    assert line.does("dead-letters", "--policy", "policy.toml", *one).out == "no dead letters\n"
    line.fails(1, "dead-letters", "--show", letters["kind"]["id"])


# ---- expiring ----------------------------------------------------------------


def test_people_split_where_links_expired(line: CommandLine) -> None:
    """After `expire` the next ingest resolves: who was joined by an old link alone is two again."""
    old = {"eventTime": "2026-01-10T12:00:00Z"}
    line.does("ingest", "-", given=as_lines(
        login(1, ("login", "ann"), ("cookie", "c-1")) | old,
        login(2, ("login", "ann"), ("cookie", "c-2")),
        login(3, ("cookie", "c-1")),
    ))  # fmt: skip
    assert "one person" in line.does("explain", "cookie:c-1", "cookie:c-2").out
    assert line.does("expire").out.startswith("nothing has expired")
    line.does("expire", "--kind", "link", "--before", "2026-02-01")
    assert line.does("expire", "--json").json == {"link": "2026-02-01"}
    settled = line.does("ingest", "-", "--json").json
    assert (settled["splits"], settled["merges"]) == (1, 0)
    assert "two people" in line.does("explain", "cookie:c-1", "cookie:c-2").out
    assert "one person" in line.does("explain", "login:ann", "cookie:c-2").out
    people = {
        line.does("get", "--local", subject, "--for", "service", "--json").json["person_id"]
        for subject in ("cookie:c-1", "login:ann", "cookie:c-2")
    }
    assert len(people) == 2
    late = as_lines(login(9, ("login", "ann"), ("cookie", "c-1")) | old)
    told_of = line.does("ingest", "-", "--json", given=late).json
    assert (told_of["splits"], told_of["merges"]) == (0, 0)
    line.does("expire", "--kind", "link", "--before", "2026-01-01")
    assert line.does("expire", "--json").json == {"link": "2026-02-01"}, "it never moves back"


def test_what_has_a_name_expires_by_it(line: CommandLine) -> None:
    """Kinds of identifiers, attributes and purposes have days of their own."""
    shipped = files("kinfold").joinpath("default_policy.toml").read_text("utf-8")
    by_name = "identifiers.cookie = 30\nattributes.given_name = 40\npurposes.marketing = 50\n"
    (line.folder / "policy.toml").write_text(f"{shipped}\n[retention]\n{by_name}", "utf-8")
    kept = ("--policy", "policy.toml")
    old = {"eventTime": "2026-01-10T12:00:00Z"}
    told = login(2, ("login", "ann")) | old | {"recordAsserted": {"givenName": "Ada"}}
    del told["loggedIn"]
    line.does("ingest", "-", *kept, given=as_lines(
        login(1, ("login", "ann"), ("cookie", "c-1")) | old, told
    ))  # fmt: skip
    get = ("get", "login:ann", "--local", "--for", "service", *kept)
    assert "Ada" not in line.does(*get).out, "it came too late to be kept with its name"
    said = line.does("expire", "--due", *kept).out
    for name, how in (
        ("identifiers.cookie", "kept"),
        ("attribute.given_name", "kept"),
        ("purpose.marketing", "used"),
    ):
        assert re.search(rf"^{re.escape(name)}: {how} from 20\d\d-\d\d-\d\d$", said, re.MULTILINE)
    assert "resolved anew" in said
    line.does("ingest", "-", *kept, given=as_lines(login(3, ("login", "bob"))))
    assert "not known" in line.fails(1, "explain", "login:ann", "cookie:c-1", *kept).err
    assert line.does(*get, "--json").json["profile"]["presence"]


def test_what_is_due_expires_by_the_policy(line: CommandLine) -> None:
    """`--due` moves what `[retention]` says, stops at legal holds, and says so."""
    shipped = files("kinfold").joinpath("default_policy.toml").read_text("utf-8")
    (line.folder / "policy.toml").write_text(shipped + "\n[retention]\nlink = 30\n", "utf-8")
    kept = ("--policy", "policy.toml")
    old = {"eventTime": "2026-01-10T12:00:00Z"}
    line.does("ingest", "-", *kept, given=as_lines(
        login(1, ("login", "ann"), ("cookie", "c-1")) | old,
        login(2, ("login", "bob"), ("cookie", "c-2")) | old,
    ))  # fmt: skip
    line.fails(2, "expire", "--due")
    line.fails(2, "expire", "--due", *kept, "--kind", "link", "--before", "2026-01-01")
    line.fails(2, "expire", *kept, "--kind", "consent", "--before", "2026-01-01")
    line.fails(2, "expire", "--identifier", "nose", "--before", "2026-01-01")
    line.fails(2, "expire", "--kind", "link", "--identifier", "cookie", "--before", "2026-01-01")

    def hold(number: int, *, lifted: bool) -> None:
        decided = {"decisions": [{"purpose": "legal_hold", "granted": lifted}]}
        when = {"eventTime": f"2026-03-0{number}T12:00:00Z", "source": "staff"}
        told = login(number, ("login", "ann")) | when | {"consentDecided": decided}
        del told["loggedIn"]
        line.does("ingest", "-", *kept, given=as_lines(told))

    hold(3, lifted=False)
    said = line.does("expire", "--due", *kept, "--json").json
    assert said == {"link": "2026-01-10", "held": {"link": "2026-01-10"}}
    told = line.does("expire", "--kind", "link", "--before", "2026-02-01", *kept).out
    assert "kept from 2026-01-10, by a legal hold" in told
    assert "one person" in line.does("explain", "login:bob", "cookie:c-2", *kept).out
    hold(4, lifted=True)
    assert "held" not in line.does("expire", "--due", *kept, "--json").json
    line.does("ingest", "-", *kept)
    assert "one person" not in line.run("explain", "login:bob", "cookie:c-2", *kept).out


# ---- the doctor --------------------------------------------------------------


def test_the_doctor_is_content_before_and_after(line: CommandLine) -> None:
    """In an empty folder and after use nothing is wrong, and only its owner may enter the home."""
    before = line.does("doctor", "--json").json_lines
    assert {found["state"] for found in before} <= {"ok", "missing"}
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
    home = line.folder / ".kinfold"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    kept = {file.name: stat.S_IMODE(file.stat().st_mode) for file in home.glob("*.sqlite3*")}
    assert set(kept.values()) == {0o600}, kept
    after = {found["part"]: found for found in line.does("doctor", "--json").json_lines}
    for part in ("home", "policy", "keys", "graph", "letters", "view"):
        assert after[part]["state"] == "ok", after[part]
    assert "1 nodes, 1 people" in after["graph"]["words"]
    assert "ok       graph    sqlite: 1 nodes, 1 people" in line.does("doctor").out


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("graph.sqlite3", "graph"),
        ("dead_letters.sqlite3", "letters"),
        ("view/data.mdb", "view"),
        ("keys/root.key", "keys"),
    ],
)
def test_damage_is_told_with_words(line: CommandLine, file: str, part: str) -> None:
    """Where a file holds noise, taking in fails with words, and the doctor names the part."""
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
    path = line.folder / ".kinfold" / file
    path.write_bytes(bytes(range(256)) * 64)
    for log in path.parent.glob(f"{path.name}-*"):
        log.unlink()
    line.fails(1, "ingest", "-", given=as_lines(login(2, ("login", "ann"))))
    found = line.run("doctor", "--json")
    assert found.code == 1
    wrong = [each for each in found.json_lines if each["state"] == "wrong"]
    assert [each["part"] for each in wrong] == [part]
    assert wrong[0]["hint"]


def test_a_lost_view_is_built_anew(line: CommandLine) -> None:
    """What the doctor advises works: without its view folder everybody is published again."""
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
    get = ("get", "--local", "login:ann", "--for", "service", "--json")
    before = line.does(*get).json
    shutil.rmtree(line.folder / ".kinfold" / "view")
    after = line.does(*get).json
    assert (after["person_id"], after["profile"]) == (before["person_id"], before["profile"])

"""kinfold as its users use it: the installed program, in an empty folder."""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from identity.v1.identity_service_pb2 import IdentifierRef, ResolveIdentityRequest
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from kinfold.cli import main
from profiles.v1.profile_service_pb2 import (
    BatchGetProfilesRequest,
    GetProfileRequest,
    Subject,
    SubjectIdentifier,
)
from profiles.v1.profile_service_pb2_grpc import ProfileServiceStub
from tests.support.cohort import TINY
from tests.support.command_line import CommandLine
from tests.support.grpc_calls import told

EVENT = "2026-03-01T12:00:00Z"
PRIVATE = "ottilie.wunderlich"
"""Part of every personal value in these tests that must never be printed by chance."""


@dataclass(frozen=True)
class Used:
    """A folder in which a cohort was taken in."""

    line: CommandLine
    summary: dict[str, Any]
    told: dict[str, Any]
    truth: list[dict[str, str]]

    def who_has(self, *kinds: str) -> dict[str, str]:
        """The own identifiers of somebody whose signals tie these kinds together."""
        parts: dict[tuple[str, str], dict[str, str]] = {}
        for row in self.truth:
            if row["shared"] == "no":
                parts.setdefault((row["person"], row["part"]), {})[row["kind"]] = row["value"]
        return next(have for have in parts.values() if set(kinds) <= set(have))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Used:
    """Generate and ingest, once for all tests of this file: none of them changes what counts."""
    line = CommandLine(tmp_path_factory.mktemp("used"))
    made = ("--people", TINY.people, "--days", TINY.days, "--seed", TINY.seed)
    summary = line.does("generate", *map(str, made), "--out", "cohort", "--json").json
    done = line.does("ingest", "cohort/signals.jsonl", "--json").json
    with (line.folder / "cohort" / "truth.csv").open(encoding="utf-8") as file:
        return Used(line, summary, done, list(csv.DictReader(file)))


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """The program in an empty folder."""
    return CommandLine(tmp_path)


def login(number: int, *identifiers: tuple[str, str], **more: Any) -> dict[str, Any]:
    """A signal in proto JSON."""
    named = [{"kind": kind, "value": value} for kind, value in identifiers]
    return {"source": "web", "signalId": f"s-{number}", "eventTime": EVENT,
            "assurance": "ASSURANCE_AUTHENTICATED", "identifiers": named,
            **(more or {"loggedIn": {}})}  # fmt: skip


def as_lines(*signals: dict[str, Any] | bytes) -> bytes:
    """One line per signal."""
    return b"".join(
        (signal if isinstance(signal, bytes) else orjson.dumps(signal)) + b"\n"
        for signal in signals
    )


# ---- taking in ---------------------------------------------------------------


def test_what_is_generated_is_taken_in_and_counts_once(taken: Used) -> None:
    """Read on, read from the beginning, read under another name: every signal counted once."""
    first, summary = taken.told, taken.summary
    assert first["read"] == summary["signals"] > 500
    assert first["counted"] + first["duplicate"] + first["rejected"] == first["read"]
    assert first["duplicate"] == summary["duplicates"] > 0
    assert first["profiles_published"] >= first["people_created"] > 0
    again = taken.line.does("ingest", "cohort/signals.jsonl", "--json").json
    assert (again["read"], again["profiles_published"]) == (0, 0)
    replayed = taken.line.does("ingest", "--replay", "cohort/signals.jsonl", "--json").json
    assert replayed["read"] == summary["signals"]
    shutil.copy(taken.line.folder / "cohort" / "signals.jsonl", taken.line.folder / "other.jsonl")
    other = taken.line.does("ingest", "other.jsonl", "--json").json
    for twice in (replayed, other):
        assert twice["counted"] == twice["people_created"] == twice["profiles_published"] == 0
        assert twice["duplicate"] + twice["dead_letters"] == twice["read"]


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


# ---- looking up --------------------------------------------------------------


def test_get_by_anything_that_names_a_person(taken: Used) -> None:
    """Login, e-mail and person id lead to one profile, as words and as JSON."""
    has = taken.who_has("login", "email")
    get = ("get", "--local", "--for", "service,personalisation", "--json")
    by_login = taken.line.does(*get, f"login:{has['login']}").json
    by_email = taken.line.does(*get, f"email:{has['email']}").json
    by_id = taken.line.does(*get, by_login["person_id"]).json
    assert by_login["person_id"] == by_email["person_id"] == by_id["person_id"]
    assert by_login["profile"] == by_email["profile"] == by_id["profile"]
    values = [known.get("value") for known in by_login["profile"]["identifiers"]]
    assert has["login"] in values
    words = taken.line.does("get", "--local", f"login:{has['login']}", "--for", "service").out
    assert words.startswith(f"person {by_login['person_id']}, version ")


def test_get_gives_what_was_asked_for_and_may_be_given(taken: Used) -> None:
    """A mask gives those fields only; without a purpose nothing that needs one is given."""
    subject = f"login:{taken.who_has('login', 'email')['login']}"
    get = ("get", "--local", "--json", subject)
    masked = taken.line.does(*get, "--for", "service", "--fields", "presence").json
    assert set(masked["profile"]) == {"presence"}
    bare = taken.line.does(*get).json
    assert not bare.get("profile")
    assert "identifiers" in bare["withheld"]


def test_an_old_id_leads_to_who_it_stands_for(line: CommandLine) -> None:
    """After a merge the id that was given up still finds the person, and the lineage says why."""
    apart = as_lines(login(1, ("login", "ann")), login(2, ("cookie", "c-1")))
    line.does("ingest", "-", given=apart)
    ids = [
        line.does("lineage", subject, "--json").json["person_id"]
        for subject in ("login:ann", "cookie:c-1")
    ]
    together = as_lines(login(3, ("login", "ann"), ("cookie", "c-1")))
    assert line.does("ingest", "-", "--json", given=together).json["merges"] == 1
    answers = [
        line.does("get", person, "--local", "--for", "service", "--json").json for person in ids
    ]
    assert answers[0]["person_id"] == answers[1]["person_id"]
    assert answers[0]["person_id"] in ids
    old = next(person for person in ids if person != answers[0]["person_id"])
    lineage = line.does("lineage", old, "--json").json
    assert lineage["current_person_id"] == answers[0]["person_id"]
    assert [entry["change"] for entry in lineage["entries"]].count("merged") == 1
    assert f"merged into {answers[0]['person_id']}" in line.does("lineage", old).out


# ---- serving -----------------------------------------------------------------


@pytest.fixture(scope="module")
def served(taken: Used) -> Iterator[tuple[Used, str]]:
    """A server over the cohort, and its address."""
    with taken.line.serving() as address:
        yield taken, address


def test_served_to_the_command_line(served: tuple[Used, str]) -> None:
    """`kinfold get` asks the server, and says when there is none."""
    used, address = served
    subject = f"login:{used.who_has('login', 'email')['login']}"
    asked = ("get", subject, "--for", "service", "--json")
    answer = used.line.does(*asked, "--serve-listen", address).json
    # Another process may read the view while it is served.
    assert answer["profile"] == used.line.does(*asked, "--local").json["profile"]
    nobody = used.line.fails(1, "get", "login:nobody", "--serve-listen", address)
    assert "PROFILE_NOT_FOUND" in nobody.err
    unknown = used.line.fails(2, "get", subject, "--for", "espionage", "--serve-listen", address)
    assert "PURPOSE_UNKNOWN" in unknown.err


def test_served_to_any_grpc_client(served: tuple[Used, str]) -> None:
    """A plain client with nothing but the generated stubs looks up, resolves and asks health."""
    used, address = served
    has = used.who_has("login", "email")
    with grpc.insecure_channel(address) as channel:
        profiles, identity = ProfileServiceStub(channel), IdentityServiceStub(channel)
        subjects = [
            Subject(identifier=SubjectIdentifier(kind=kind, value=value))
            for kind, value in (("email", has["email"]), ("login", "nobody"))
        ]
        request = GetProfileRequest(subject=subjects[0], purposes=["service"])
        answer = profiles.GetProfile(request, timeout=10)
        batch = BatchGetProfilesRequest(subjects=subjects, purposes=["service"])
        found = profiles.BatchGetProfiles(batch, timeout=10)
        who = ResolveIdentityRequest(identifier=IdentifierRef(kind="login", value=has["login"]))
        resolved = identity.ResolveIdentity(who, timeout=10)
        health = health_pb2_grpc.HealthStub(channel)
        # The stub's methods are made at run time; its types do not say so.
        state = health.Check(health_pb2.HealthCheckRequest(), timeout=10)  # type: ignore[attr-defined]
        request.purposes.append("espionage")
        refused = told(lambda: profiles.GetProfile(request, timeout=10))
    assert answer.person_id == resolved.person_id
    assert {known.kind for known in answer.profile.identifiers} >= {"email", "login"}
    assert [each.code for each in found.results] == [0, grpc.StatusCode.NOT_FOUND.value[0]]
    assert state.status == health_pb2.HealthCheckResponse.SERVING
    assert (refused.reason, refused.code) == ("PURPOSE_UNKNOWN", grpc.StatusCode.INVALID_ARGUMENT)


def test_what_is_taken_in_while_serving_is_served(line: CommandLine) -> None:
    """The server keeps people and profiles up; ingest ends when its signals can be looked up."""
    with line.serving() as address:
        line.fails(1, "get", "login:ann", "--serve-listen", address)
        line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
        get = ("get", "login:ann", "--for", "service", "--serve-listen", address, "--json")
        assert line.does(*get).json["profile"]["presence"]["signals"] == "1"
        found = {
            f["part"]: f
            for f in line.does("doctor", "--serve-listen", address, "--json").json_lines
        }
        assert found["server"]["words"] == f"{address} answers and is ready"


def test_a_port_that_is_taken(line: CommandLine) -> None:
    """Serving where another listens fails with words."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        assert (
            f"cannot listen on {address}" in line.fails(1, "serve", "--serve-listen", address).err
        )


# ---- explaining --------------------------------------------------------------


def test_explain_says_why(taken: Used) -> None:
    """A chain of evidence between two identifiers of one person; none between strangers."""
    has = taken.who_has("login", "email", "cookie")
    pair = (f"email:{has['email']}", f"cookie:{has['cookie']}")
    ran = taken.line.does("explain", *pair)
    assert ran.out.startswith("one person:\n")
    chain = taken.line.does("explain", *pair, "--json").json
    assert chain["same_person"]
    assert len(chain["steps"]) == ran.out.count(" bits ")
    ends = [chain["steps"][0]["from"], chain["steps"][-1]["to"]]
    assert [end.partition(":")[0] for end in ends] == ["email", "cookie"]
    other = next(
        row["value"]
        for row in taken.truth
        if row["kind"] == "login" and row["value"] != has["login"]
    )
    strangers = taken.line.does("explain", pair[0], f"login:{other}", "--json").json
    assert not strangers["same_person"]
    assert strangers["obstacles"]


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


# ---- the doctor --------------------------------------------------------------


def test_the_doctor_is_content_before_and_after(line: CommandLine) -> None:
    """In an empty folder and after use nothing is wrong, and only its owner may enter the home."""
    before = line.does("doctor", "--json").json_lines
    assert {found["state"] for found in before} <= {"ok", "missing"}
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
    home = line.folder / ".kinfold"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
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


# ---- asked wrongly, or failing -----------------------------------------------


Here = Callable[[Sequence[str]], tuple[int, str]]
"""Runs the program in this process and an empty folder: its exit code, and all that it said."""


@pytest.fixture
def here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Here:
    """For mistakes by the dozen: starting a program for each would take a minute."""
    monkeypatch.chdir(tmp_path)

    def run(arguments: Sequence[str]) -> tuple[int, str]:
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = cast("int", ended.code)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ["nonsense"], "invalid choice"),
        (2, ["ingest"], "required: FILE"),
        (2, ["ingest", "a.jsonl", "--ingest-batch-size", "many"], "ingest.batch_size"),
        (2, ["ingest", "a.jsonl", "--graph-url", "http://x"], "graph.url: must begin with"),
        (2, ["ingest", "a.jsonl", "--mapping", "none.toml"], "cannot read none.toml"),
        (2, ["ingest", "a.jsonl", "--mapping", "bad.toml"], "event_time: missing"),
        (2, ["ingest", "a.jsonl", "--settings", "none.toml"], "settings: cannot read none.toml"),
        (2, ["ingest", "a.jsonl", "--settings", "bad.toml"], "colour: unknown in bad.toml"),
        (2, ["ingest", "a.jsonl", "--settings", "a.jsonl"], "a.jsonl is not TOML"),
        (2, ["ingest", "a.jsonl", "--policy", "none.toml"], "home.policy: cannot read"),
        (2, ["ingest", "a.jsonl", "--policy", "bad.toml"], "home.policy: kinds"),
        (2, ["ingest", "a.jsonl", "--home", "a.jsonl"], "home.dir: cannot make a.jsonl"),
        (1, ["ingest", "none.jsonl"], "there is no file"),
        (1, ["ingest", "folder"], "there is no file"),
        (2, ["get", "--local", "login:ann", "--for", "espionage"], "PURPOSE_UNKNOWN"),
        (2, ["get", "--local", "login:ann", "--fields", "nose"], "MASK_INVALID"),
        (2, ["get", "--local", "wombat:ann"], "IDENTIFIER_INVALID"),
        (2, ["get", "--local", "ann"], "PERSON_ID_INVALID"),
        (1, ["get", "--local", "login:ann", "--for", "service"], "PROFILE_NOT_FOUND"),
        (1, ["get", "login:ann", "--serve-listen", "127.0.0.1:1"], "no server answers"),
        (2, ["explain", "login:ann", "wombat:x"], "write KIND:VALUE"),
        (1, ["explain", "login:ann", "login:ben"], "the first identifier is not known"),
        (1, ["lineage", "login:ann"], "no such person"),
        (1, ["lineage", "a" * 26], "no such person"),
        (1, ["dead-letters", "--show", "none"], "no such letter"),
        (2, ["expire", "--kind", "nose", "--before", "2026-01-01"], "invalid choice"),
        (2, ["expire", "--kind", "link", "--before", "soon"], "not a date"),
        (2, ["expire", "--kind", "link"], "go together"),
        (2, ["serve", "--serve-listen", "0.0.0.0:0"], "serve."),
        (2, ["run"], "pulsar.url"),
        (2, ["generate", "--people", "-1", "--out", "x"], "people"),
        (2, ["demo", "--people", "0"], "people"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_words(
    here: Here, code: int, arguments: Sequence[str], words: str
) -> None:
    """The exit code says whose fault it is, `error:` what it is, `hint:` the way out."""
    Path("folder").mkdir()
    Path("a.jsonl").write_bytes(as_lines(login(1, ("login", "ann"))))
    Path("bad.toml").write_text("colour = 3\n")
    ended, said = here(arguments)
    assert ended == code, said
    assert re.search(f"^error: .*{re.escape(words)}", said, re.MULTILINE), said
    assert said.splitlines()[-1].startswith("hint: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", "--local", f"email:{PRIVATE}", "--for", "service"],
        ["get", "--local", f"wombat:{PRIVATE}", "--for", "service"],
        ["explain", f"email:{PRIVATE}", f"login:{PRIVATE}"],
        ["lineage", f"phone:{PRIVATE}"],
        ["lineage", f"login:{PRIVATE}"],
    ],
)
def test_no_error_repeats_a_value(here: Here, arguments: Sequence[str]) -> None:
    """What was asked about is not printed back: errors end up in logs."""
    code, said = here(arguments)
    assert code > 0
    assert said.startswith("error: ")
    assert PRIVATE not in said


def test_servers_that_are_not_there(line: CommandLine) -> None:
    """A Pulsar that does not answer is told by every verb that needs it."""
    away = ("--pulsar-url", "pulsar://127.0.0.1:1", "--pulsar-admin-url", "http://127.0.0.1:1")
    line.fails(1, "ingest", "-", *away)
    line.fails(1, "run", *away)
    line.fails(1, "dead-letters", *away)
    line.fails(1, "serve", "--serve-listen", "127.0.0.1:0", *away)
    assert "does not answer" in line.run("doctor", *away).out


def test_help_for_every_verb(here: Here) -> None:
    """Every verb is listed, and says what it does with examples."""
    code, listed = here(["--help"])
    assert code == 0
    for verb in _VERBS:
        assert re.search(rf"^    {verb}\s", listed, re.MULTILINE)
        code, words = here([verb, "--help"])
        assert code == 0
        assert re.search(rf"^examples:\n  kinfold {verb}", words, re.MULTILINE)


_VERBS = ("demo", "generate", "ingest", "run", "serve", "get", "explain", "lineage",
          "dead-letters", "expire", "doctor")  # fmt: skip

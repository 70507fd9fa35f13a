"""The made-up cohort: the same every time, as mixed as promised, readable, and judged rightly."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import phonenumbers
import pytest
from email_validator import validate_email
from google.protobuf.json_format import ParseDict, ParseError
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import NodeKey, NodeView, PersonId
from ingest.v1.signal_pb2 import Signal
from kinfold.cli import main
from kinfold.generate.agents import AGENTS
from kinfold.generate.cohort import cohort
from kinfold.generate.score import score
from kinfold.generate.spec import CohortSpec
from kinfold.generate.truth import Truth, TruthRow, read_rows
from kinfold.generate.writer import SIGNALS, SUMMARY, TRUTH, write

SMALL = CohortSpec(people=120, days=4, seed=11)
MIDDLE = CohortSpec(people=1_500, days=8, seed=3)

Signals = list[dict[str, Any]]


@pytest.fixture(scope="module")
def middle() -> tuple[Signals, Truth]:
    """A cohort large enough for proportions to show."""
    signals, truth = cohort(MIDDLE)
    return list(signals), truth


def is_bad(signal: dict[str, Any]) -> bool:
    """Whether the signal was broken on purpose."""
    return "-bad-" in signal["signalId"]


def taken(spec: CohortSpec) -> tuple[bytes, list[TruthRow], dict[str, Any]]:
    """All that a spec gives."""
    signals, truth = cohort(spec)
    return b"\n".join(orjson.dumps(s) for s in signals), list(truth.rows()), truth.summary()


def test_the_same_spec_gives_the_same_cohort() -> None:
    """Signals, truth and summary depend on the spec alone."""
    assert taken(SMALL) == taken(replace(SMALL))


@pytest.mark.parametrize("change", [{"seed": 12}, {"people": 121}, {"days": 5}, {"pace": 1.5}])
def test_another_spec_gives_another_cohort(change: dict[str, Any]) -> None:
    """Each of the spec's main fields makes a difference."""
    assert taken(SMALL)[0] != taken(replace(SMALL, **change))[0]


def test_the_first_days_of_a_longer_cohort_are_the_shorter_one() -> None:
    """A day is drawn from its own seed, so that more days change none before."""
    shorter = Counter(orjson.dumps(s) for s in cohort(SMALL).signals)
    longer = Counter(orjson.dumps(s) for s in cohort(replace(SMALL, days=6)).signals)
    assert shorter <= longer


def test_every_signal_is_proto_json_but_for_unreadable_times() -> None:
    """Whatever is not broken on purpose is an `ingest.v1.Signal`, complete."""
    unreadable = 0
    signals, truth = cohort(replace(SMALL, bad=0.01))
    for signal in signals:
        try:
            parsed = ParseDict(signal, Signal())
        except ParseError:
            assert is_bad(signal)
            unreadable += 1
            continue
        if not is_bad(signal):
            assert parsed.source
            assert parsed.signal_id
            assert parsed.HasField("event_time")
            assert parsed.WhichOneof("content")
    assert unreadable == truth.bad["unreadable_time"] > 0


def test_the_summary_adds_up(middle: tuple[Signals, Truth]) -> None:
    """Every line is accounted for: distinct, twice, rewritten, or bad."""
    signals, truth = middle
    summary = truth.summary()
    bad = sum(summary["bad"].values())
    names = Counter((s["source"], s["signalId"]) for s in signals)
    assert len(signals) == summary["signals"]
    assert sum(map(is_bad, signals)) == bad
    assert len(names) == summary["distinct"] + bad
    assert sum(names.values()) - len(names) == summary["duplicates"] + summary["rewritten"]
    assert summary["dead_letters"] == bad + summary["rewritten"]
    assert sum("retracted" in s for s in signals) == summary["retractions"]
    assert sum("linkDecided" in s for s in signals) == summary["decisions"]


def test_signals_under_one_id_are_the_same_unless_rewritten(
    middle: tuple[Signals, Truth],
) -> None:
    """A duplicate has the content of the first; a rewritten signal does not."""
    signals, truth = middle
    contents: dict[tuple[str, str], set[bytes]] = {}
    for signal in signals:
        name = (signal["source"], signal["signalId"])
        contents.setdefault(name, set()).add(orjson.dumps(signal))
    assert Counter(map(len, contents.values()))[2] == truth.summary()["rewritten"] > 0
    assert max(map(len, contents.values())) == 2


def test_all_contents_and_sources_occur(middle: tuple[Signals, Truth]) -> None:
    """Each content of the envelope, each behaviour and each source is there."""
    signals, _ = middle
    contents = {field.name for field in Signal.DESCRIPTOR.oneofs_by_name["content"].fields}
    seen = {name for s in signals for name in s} | {"deviceSeen"}
    assert {"".join(w.title() for w in c.split("_")) for c in contents} <= {
        name[0].upper() + name[1:] for name in seen
    }
    assert {s["source"] for s in signals} == {
        "web", "app", "crm", "shop", "call_centre", "iot", "social", "mail", "staff",
    }  # fmt: skip
    behaviours = {s["behaviour"]["type"] for s in signals if "behaviour" in s}
    assert {"EMAIL_OPENED", "VOICE_QUERY", "SENSOR_READING", "SOCIAL_INTERACTION", "PURCHASE"} <= {
        name.removeprefix("BEHAVIOUR_TYPE_") for name in behaviours
    }


def test_proportions(middle: tuple[Signals, Truth]) -> None:
    """Lateness, duplicates, bad lines and consent come about as often as the spec says."""
    signals, truth = middle
    summary = truth.summary()
    count = len(signals)
    assert 6 < count / MIDDLE.people / MIDDLE.days < 10
    assert summary["late"] / count == pytest.approx(MIDDLE.late, rel=0.1)
    assert summary["duplicates"] / count == pytest.approx(MIDDLE.duplicate, rel=0.1)
    assert 0.0005 < sum(summary["bad"].values()) / count < 0.002
    decided = [d for s in signals for d in s.get("consentDecided", {}).get("decisions", ())]
    assert 0.7 < sum(d["granted"] for d in decided) / len(decided) < 0.95
    in_office = Counter(s.get("assurance") for s in signals if not is_bad(s))
    assert 0.1 < in_office["ASSURANCE_AUTHENTICATED"] / count < 0.6
    agents = {s["context"]["userAgent"] for s in signals if "context" in s}
    assert len(agents) > 200
    assert len({a for several in AGENTS.values() for a in several}) < 1_000


def test_signals_come_in_order_of_arrival_and_some_are_late(
    middle: tuple[Signals, Truth],
) -> None:
    """Times rise but for jitter of a few seconds, duplicates, and the late ones, which say so."""
    signals, truth = middle
    jitter = timedelta(seconds=5)
    newest = datetime(1970, 1, 2, tzinfo=UTC)
    late = backwards = 0
    for signal in signals:
        if is_bad(signal):
            continue
        event = datetime.fromisoformat(signal["eventTime"])
        published = datetime.fromisoformat(str(signal.get("publishTime", signal["eventTime"])))
        late += published > event + jitter
        backwards += published < newest - jitter
        newest = max(newest, published)
    summary = truth.summary()
    assert 0 < backwards <= summary["duplicates"] + summary["rewritten"]
    assert summary["late"] <= late <= summary["late"] + summary["duplicates"]


def test_kiosks_and_tablets_are_shared_and_phones_are_not(
    middle: tuple[Signals, Truth],
) -> None:
    """The truth says which devices several people use: kiosks by dozens."""
    _, truth = middle
    rows = list(truth.rows())
    users = Counter(row.value for row in rows if row.shared and row.person is not None)
    assert users.most_common(1)[0][1] >= 24
    assert len(users) > 100
    shared = {(row.kind, row.value) for row in rows if row.shared}
    assert not shared & {(row.kind, row.value) for row in rows if not row.shared}
    assert {kind for kind, _ in shared} == {"device", "email", "loyalty_card", "phone"}


def test_cookies_are_cleared(middle: tuple[Signals, Truth]) -> None:
    """A browser has several cookies one after the other; other identifiers stay."""
    _, truth = middle
    kinds: dict[str, Counter[int]] = {}
    for row in truth.rows():
        if row.person is not None and not row.shared:
            kinds.setdefault(row.kind, Counter())[row.person] += 1
    assert max(kinds["cookie"].values()) >= 5
    assert max(kinds["login"].values()) == 1
    assert max(kinds["customer_id"].values()) == 2


def test_phones_and_addresses_are_valid(middle: tuple[Signals, Truth]) -> None:
    """The field's libraries accept each, so that nothing but bad lines is refused."""
    _, truth = middle
    for row in truth.rows():
        if row.kind == "phone":
            assert phonenumbers.is_valid_number(phonenumbers.parse(row.value)), row.value
        if row.kind == "email":
            validated = validate_email(row.value, check_deliverability=False)
            assert validated.normalized == row.value


def test_every_identifier_of_a_signal_is_in_the_truth(middle: tuple[Signals, Truth]) -> None:
    """However it is spelled; placeholders and bad lines aside."""
    signals, truth = middle
    known = {(row.kind, row.value) for row in truth.rows()}
    unknown: Counter[str] = Counter()
    for signal in signals:
        for identifier in () if is_bad(signal) else signal.get("identifiers", ()):
            kind, value = identifier["kind"], identifier["value"]
            if kind == "email":
                value = value.strip().lower()
            elif kind == "phone":
                value = value.replace(" ", "").replace("-", "")
            if (kind, value) not in known:
                unknown[value] += 1
    assert set(unknown) == {
        "0000", "unknown", "test@test.com", "00000000-0000-0000-0000-000000000000",
    }  # fmt: skip


def test_a_mistake_is_taken_back(middle: tuple[Signals, Truth]) -> None:
    """A record under the wrong customer ties nobody in the truth, and its retraction follows."""
    signals, truth = middle
    owner = {(r.kind, r.value): r.person for r in truth.rows() if not r.shared}
    published = {(s["source"], s["signalId"]): s for s in signals if "retracted" not in s}
    crossed = 0
    for signal in signals:
        if "retracted" not in signal:
            continue
        wrong = published[signal["source"], signal["retracted"]["signalId"]]
        assert signal["eventTime"] > wrong["publishTime"]
        people = {owner.get((i["kind"], i["value"])) for i in wrong["identifiers"]}
        crossed += len(people) > 1
    assert crossed == truth.summary()["mistaken"] > 0


def test_written_files_say_the_same(tmp_path: Path) -> None:
    """The three files hold what the cohort gives, and twice the same bytes."""
    calls: list[tuple[float, int]] = []
    summary = write(SMALL, tmp_path / "a", lambda share, count: calls.append((share, count)))
    write(SMALL, tmp_path / "b", lambda *_: None)
    signals, rows, expected = taken(SMALL)
    assert (tmp_path / "a" / SIGNALS).read_bytes() == signals + b"\n"
    assert list(read_rows(tmp_path / "a" / TRUTH)) == rows
    assert calls[-1] == (1.0, summary["signals"])
    loaded = json.loads((tmp_path / "a" / SUMMARY).read_text())
    assert loaded.pop("spec")["people"] == SMALL.people
    assert loaded == expected
    for name in (SIGNALS, TRUTH, SUMMARY):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert len(list((tmp_path / "a").iterdir())) == 3


def test_the_verb_writes_once_and_replaces_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit codes, hints and JSON are those of every verb."""
    asked = ["generate", "--people", "30", "--days", "2", "--out", str(tmp_path / "c"), "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["people"] == 30
    assert main(asked) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "hint: --force" in told
    assert main([*asked, "--force", "--seed", "2"]) == 0
    assert main(["generate", "--people", "0", "--pace", "0", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("error: ") == 2
    (tmp_path / "file").touch()
    assert main(["generate", "--people", "3", "--out", str(tmp_path / "file")]) == 1


def test_a_spec_tells_all_its_problems_at_once() -> None:
    """Each problem names its field."""
    wrong = CohortSpec(people=0, days=0, seed=-1, start=date(1066, 10, 14), pace=0, late=2)
    assert [problem.split(":")[0] for problem in wrong.verify()] == [
        "people", "days", "seed", "start", "pace", "late",
    ]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    spec=st.builds(
        CohortSpec,
        people=st.integers(1, 40),
        days=st.integers(1, 4),
        seed=st.integers(0, 2**63 - 1),
        start=st.dates(date(1971, 1, 1), date(2050, 12, 31)),
        pace=st.floats(0.01, 4),
        late=st.floats(0, 0.5),
        duplicate=st.floats(0, 0.3),
        rewritten=st.floats(0, 0.1),
        bad=st.floats(0, 0.05),
        mistaken=st.floats(0, 0.5),
    )
)
def test_any_small_spec_makes_a_sound_cohort(spec: CohortSpec) -> None:
    """Whatever the spec: ids count, people are whole numbers below `people`, parts begin at 0."""
    signals, truth = cohort(spec)
    taken_signals = list(signals)
    summary = truth.summary()
    names = {(s["source"], s["signalId"]) for s in taken_signals}
    assert len(names) == summary["distinct"] + sum(summary["bad"].values())
    rows = list(truth.rows())
    assert {row.person for row in rows if row.person is not None} <= set(range(spec.people))
    parts: dict[int, set[int]] = {}
    for row in rows:
        if not row.shared:
            assert row.person is not None
            assert row.part is not None
            parts.setdefault(row.person, set()).add(row.part)
    assert all(found == set(range(len(found))) for found in parts.values())
    assert truth.share_done == 1.0


class Found:
    """People as some resolution left them, given by hand."""

    def __init__(self, people: dict[NodeKey, PersonId], shared: Iterable[NodeKey] = ()) -> None:
        self._people = people
        self._shared = set(shared)

    def person_of(self, keys: Iterable[NodeKey]) -> dict[NodeKey, PersonId]:
        """The person each node is assigned to."""
        return {key: self._people[key] for key in keys if key in self._people}

    def views(self, keys: Iterable[NodeKey]) -> dict[NodeKey, NodeView]:
        """The nodes, with whether they are shared."""
        return {key: NodeView(key, 0, key in self._shared, None, ()) for key in keys}


def key_of(kind: str, value: str) -> NodeKey | None:
    """The raw value as its own token; `blocked` names nobody."""
    return None if value == "blocked" else f"{kind}:{value}"


ROWS = [
    TruthRow("login", "ada", 0, shared=False, part=0),
    TruthRow("cookie", "a1", 0, shared=False, part=0),
    TruthRow("cookie", "a2", 0, shared=False, part=1),
    TruthRow("login", "ben", 1, shared=False, part=0),
    TruthRow("cookie", "b1", 1, shared=False, part=0),
    TruthRow("email", "blocked", 1, shared=False, part=0),
    TruthRow("device", "tablet", 0, shared=True, part=None),
    TruthRow("device", "tablet", 1, shared=True, part=None),
    TruthRow("device", "tv", 0, shared=True, part=None),
]


def test_a_score_of_what_was_tied_and_nothing_else() -> None:
    """All that can be known is found: parts exact, precision 1, the loose cookie costs recall."""
    people = {"login:ada": "A", "cookie:a1": "A", "cookie:a2": "X", "login:ben": "B",
              "cookie:b1": "B", "device:tablet": "T"}  # fmt: skip
    got = score(ROWS, key_of, Found(people, ["device:tablet", "device:tv"]))
    assert (got.true_people, got.parts, got.found_people) == (2, 3, 3)
    assert (got.exact_people, got.exact_parts) == (1, 3)
    assert (got.precision, got.recall, got.recall_tied) == (1.0, 0.5, 1.0)
    assert (got.unassigned, got.shared, got.shared_found, got.wrongly_shared) == (0, 1, 1, 0)


def test_a_score_of_everybody_in_one() -> None:
    """Recall is whole and precision pays for it: 4 of 10 pairs are one person's."""
    people = dict.fromkeys(("login:ada", "cookie:a1", "cookie:a2", "login:ben", "cookie:b1"), "A")
    got = score(ROWS, key_of, Found(people))
    assert (got.found_people, got.exact_people, got.exact_parts) == (1, 0, 0)
    assert (got.precision, got.recall, got.recall_tied) == (0.4, 1.0, 1.0)
    assert (got.shared, got.shared_found) == (1, 0)


def test_a_score_of_nobody_found() -> None:
    """What belongs to nobody stands alone: no pair, no recall, and one lone cookie is exact."""
    got = score(ROWS, key_of, Found({}, ["login:ada"]))
    assert (got.found_people, got.unassigned, got.wrongly_shared) == (0, 5, 1)
    assert (got.precision, got.recall, got.recall_tied, got.exact_parts) == (1.0, 0.0, 0.0, 1)

"""Rows of any file become signals through a mapping file."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.model import Contribution
from ingest.mapping import RowMapping, read
from ingest.raw import (
    Behaviour,
    ConsentDecided,
    Context,
    DeviceSeen,
    LoggedIn,
    PostalAddress,
    RawSignal,
    RecordAsserted,
)
from ingest.rejected import Rejected
from ingest.rows import UnreadableRows, format_of, rows
from tests.support.intaking import EVENT, EVENT_US, NOW_US, ROOT, cells, counted, intake, kinds

MAPPINGS = ROOT / "kinfold" / "mappings"
DATA = Path(os.environ.get("KINFOLD_DATA", ROOT.parent / "shared" / "data"))
SHOP = """
source = "shop"
assurance = "claimed"
signal_id = "order"
event_time = { column = "at", format = "%d.%m.%Y %H:%M", zone = "Europe/Zurich" }
publish_time = { column = "loaded", format = "unix_ms" }
[[identifiers]]
kind = "customer_id"
value = { column = "customer.id", strip_prefix = "C-" }
[[identifiers]]
kind = "email"
value = "customer.email"
[context]
device_type = { column = "till", map = { T = "tablet" }, default = "other" }
[behaviour]
type = { column = "what", map = { sale = "purchase", look = "page_view" } }
category = { column = "dept", before = "|", prefix = "shop/" }
value = "total"
unit = { const = "CHF" }
"""
ORDER: dict[str, Any] = {
    "order": 17,
    "at": "01.03.2026 13:00",
    "loaded": 1_772_366_400_250.0,
    "customer": {"id": "C-0042", "email": None},
    "till": "T",
    "what": "sale",
    "dept": "shoes|3",
    "total": 99.5,
}


def _mapping(text: str) -> RowMapping:
    found = read(text)
    assert isinstance(found, RowMapping), found
    return found


def _decoded(text: str, row: bytes | Mapping[str, Any], position: int = 0) -> RawSignal:
    found = _mapping(text).decode(row, position)
    assert isinstance(found, RawSignal), found
    return found


def test_columns_become_fields() -> None:
    """Columns, paths, constants, maps, prefixes, defaults, patterns and zones do as they say."""
    assert _decoded(SHOP, ORDER) == RawSignal(
        "shop",
        "17",
        EVENT_US,
        EVENT_US + 250_000,
        2,
        (("customer_id", "0042"),),
        Context(device_type="tablet"),
        Behaviour(3, "shop/shoes", value=99.5, unit="CHF"),
    )


def test_what_a_row_lacks_is_left_out() -> None:
    """Missing and empty columns give nothing, not even a prefix."""
    found = _decoded(SHOP, {"order": "1", "at": ORDER["at"], "dept": "", "what": "other"})
    assert found == RawSignal(
        "shop", "1", EVENT_US, None, 2, (), Context(device_type="other"), Behaviour(unit="CHF")
    )


@pytest.mark.parametrize(
    ("spec", "value", "at_us"),
    [
        ('"at"', EVENT, EVENT_US),
        ('{ column = "at", format = "unix_s" }', 1_772_366_400, EVENT_US),
        ('{ column = "at", format = "unix_s" }', "1772366400.25", EVENT_US + 250_000),
        ('{ column = "at", format = "unix_ms" }', "1772366400250", EVENT_US + 250_000),
        ('{ column = "at", format = "unix_us" }', EVENT_US, EVENT_US),
        ('{ column = "at", format = "%Y-%m-%d" }', "2026-03-01", EVENT_US - 43_200_000_000),
        ('"at"', datetime(2026, 3, 1, 12, tzinfo=UTC), EVENT_US),
        ('{ column = "at", zone = "Asia/Tokyo" }', datetime(2026, 3, 1, 21), EVENT_US),  # noqa: DTZ001
        (f'{{ const = "{EVENT}" }}', None, EVENT_US),
        ('"at"', "2026-03-01 12:00:00", EVENT_US),
        ('{ column = "at", zone = "Asia/Tokyo" }', "2026-03-01T21:00:00.25", EVENT_US + 250_000),
        ('{ column = "at", zone = "Asia/Tokyo" }', EVENT, EVENT_US),
        ('"at"', None, None),
        ('"at"', "yesterday", "time"),
        ('{ column = "at", format = "unix_s" }', "soon", "time"),
        ('{ column = "at", format = "%Y" }', "9" * 9, "time"),
    ],
)
def test_times_are_read_as_the_mapping_says(spec: str, value: object, at_us: object) -> None:
    """Each format, and what is none of it is rejected by the rule `time`."""
    text = f'source = "s"\nevent_time = {spec}\n[device_seen]'
    found = _mapping(text).decode({"at": value}, 0)
    assert (found.rule if isinstance(found, Rejected) else found.event_us) == at_us


HEAD = f'source = "s"\nevent_time = {{ const = "{EVENT}" }}\n'
RECORD = """
[record_asserted]
full_name = "name"
[record_asserted.address]
city = "town"
[record_asserted.other]
shoe = "shoe"
"""
CONSENT = '[consent_decided]\npurpose = "what"\ngranted = "yes"\nplace = { const = "shop" }'


@pytest.mark.parametrize(
    ("text", "row", "content"),
    [
        ("[device_seen]", {}, DeviceSeen()),
        ('[logged_in]\nmethod = "how"', {"how": "sms"}, LoggedIn("sms")),
        (
            RECORD,
            {"name": "Anna", "town": "Zug", "shoe": 38.0},
            RecordAsserted("Anna", address=PostalAddress(city="Zug"), other=(("shoe", "38"),)),
        ),
        (RECORD, {"name": "Anna"}, RecordAsserted("Anna")),
        (CONSENT, {"what": "a", "yes": "Y"}, ConsentDecided((("a", True),), "", "shop")),
        (CONSENT, {"what": "a", "yes": False}, ConsentDecided((("a", False),), "", "shop")),
    ],
)
def test_every_content_can_be_mapped(text: str, row: dict[str, Any], content: object) -> None:
    """Sightings, log-ins, records and consents, beside behaviour."""
    assert _decoded(HEAD + text, row).content == content


def test_a_consent_that_is_neither_yes_nor_no_is_refused() -> None:
    """Nothing is taken for a yes."""
    found = _mapping(HEAD + CONSENT).decode({"what": "a", "yes": "maybe"}, 0)
    assert isinstance(found, Rejected)
    assert (found.field, found.rule) == ("consent_decided.granted", "type")


def test_a_row_and_its_place_name_the_signal() -> None:
    """The same row at the same place has one id; at another place, or changed, it has another."""
    row, other = b'{"a":1}', b'{"a":2}'
    named = [
        _decoded(HEAD + "[device_seen]", *given).signal_id
        for given in ((row, 0), (row + b"\r\n", 0), (row, 1), (other, 0))
    ]
    assert named[0] == named[1]
    assert len(set(named)) == 3


PROBLEMS = [
    ("sauce = 1\n" + HEAD + "[device_seen]", "sauce: unknown"),
    ('event_time = "at"\n[device_seen]', "source: missing"),
    ('source = "s"\n[device_seen]', "event_time: missing"),
    (HEAD, "content: name exactly one"),
    (HEAD + "[device_seen]\n[logged_in]", "content: name exactly one"),
    (HEAD + 'assurance = "sure"\n[device_seen]', "assurance: must be one of"),
    (HEAD + "[behaviour]", "behaviour.type: missing"),
    (HEAD + '[behaviour]\ntype = "a"\ncolour = "b"', "behaviour.colour: unknown"),
    (HEAD + "[behaviour]\ntype = 7", "behaviour.type: must be a column's name"),
    (HEAD + '[behaviour]\ntype = { column = "a", const = "b" }', "behaviour.type: name either"),
    (HEAD + '[behaviour]\ntype = { const = "b", prefix = "a" }', "behaviour.type.const: stands"),
    (HEAD + '[behaviour]\ntype = { column = "a", map = { b = 1 } }', "behaviour.type.map: must"),
    (
        HEAD + '[behaviour]\ntype = { column = "a", prefix = 1 }',
        "behaviour.type.prefix: wrong type",
    ),
    (HEAD + '[behaviour]\ntype = { column = "a", glue = 1 }', "behaviour.type.glue: unknown"),
    (HEAD + '[device_seen]\n[[identifiers]]\nvalue = "a"', "identifiers[0].kind: missing"),
    (HEAD + '[device_seen]\n[[identifiers]]\nkind = "device"', "identifiers[0].value: missing"),
    (HEAD + '[device_seen]\n[context]\nip = "a"', "context.ip: unknown"),
    (HEAD + '[record_asserted.address]\ntown = "a"', "record_asserted.address.town: unknown"),
    (
        'source = "s"\nevent_time = { column = "a", format = "iso" }\n[device_seen]',
        "event_time.format",
    ),
    (
        'source = "s"\nevent_time = { column = "a", zone = "Mars" }\n[device_seen]',
        "event_time.zone",
    ),
    ('source = "s"\nevent_time = { const = "now" }\n[device_seen]', "event_time.const"),
    ("source = ", "not TOML"),
]


@pytest.mark.parametrize(("text", "start"), PROBLEMS)
def test_problems_name_their_key(text: str, start: str) -> None:
    """A mapping that cannot work says where it is wrong before a row is read."""
    found = read(text)
    assert isinstance(found, list)
    assert [one for one in found if one.startswith(start)], found


def test_all_problems_are_told_at_once() -> None:
    """Nobody has to run it again to learn of the next one."""
    found = read("sauce = 1")
    assert isinstance(found, list)
    assert len(found) == 4


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_mappings_kinfold_ships_are_sound(path: Path) -> None:
    """Each example reads without a problem."""
    assert isinstance(read(path.read_text()), RowMapping)


TABLE = pl.DataFrame({"at": [EVENT] * 3, "id": ["007", "", "a,b"], "n": ["1", "2", "3"]})
TABLE_ROWS = [(place, row) for place, row in enumerate(TABLE.iter_rows(named=True))]


def _packed(name: str, text: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(text)
    return zstandard.compress(text) if name.endswith(".zst") else text


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.parquet", "t.csv.gz", "t.csv.zst"])
def test_tables_give_rows_with_their_places(name: str, tmp_path: Path) -> None:
    """CSV, TSV and Parquet, compressed or not; texts stay as written, leading zeros too."""
    path = tmp_path / name
    if name.endswith("parquet"):
        TABLE.write_parquet(path)
    else:
        text = TABLE.write_csv(separator="\t" if ".tsv" in name else ",").encode()
        path.write_bytes(_packed(name, text))
    form = format_of(path)
    assert form is not None
    found = []
    for place, row in rows(path, form):
        assert not isinstance(row, bytes)
        found.append((place, {column: value or "" for column, value in row.items()}))
    assert found == TABLE_ROWS
    assert [place for place, _ in rows(path, form, start=2)] == [2]
    assert list(rows(path, form, start=9)) == []


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz", "t.ndjson.zst"])
def test_lines_give_rows_with_their_places(name: str, tmp_path: Path) -> None:
    """Blank lines are passed over and keep their number."""
    path = tmp_path / name
    path.write_bytes(_packed(name, b'{"a":1}\n\n{"a":2}'))
    form = format_of(path)
    assert form == "jsonl"
    assert list(rows(path, form)) == [(0, b'{"a":1}\n'), (2, b'{"a":2}')]
    assert list(rows(path, form, start=1)) == [(2, b'{"a":2}')]


@pytest.mark.parametrize("name", ["t.jsonl.gz", "t.jsonl.zst", "t.parquet", "missing.csv"])
def test_a_file_that_is_not_what_its_name_says_is_unreadable(name: str, tmp_path: Path) -> None:
    """One kind of failure, with the file's name and no word of what it holds."""
    path = tmp_path / name
    if "missing" not in name:
        path.write_bytes(b"secret words")
    form = format_of(path)
    assert form is not None
    with pytest.raises(UnreadableRows) as failure:
        list(rows(path, form))
    assert name in str(failure.value)
    assert "secret" not in str(failure.value)


def test_a_name_without_a_known_ending_has_no_format() -> None:
    """The caller must say what it is."""
    assert format_of(Path("a.txt")) is None
    assert format_of(Path("a.gz")) is None
    assert format_of(Path("a")) is None


CELL = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ROW = st.dictionaries(
    st.sampled_from(sorted(ORDER)), CELL | st.dictionaries(st.text(max_size=3), CELL)
)


@settings(deadline=None)
@given(ROW)
def test_no_row_raises(row: dict[str, Any]) -> None:
    """Whatever the columns hold, the outcome is a contribution or a rejection."""
    outcome = _shared.from_row(_shop, {**ORDER, **row}, 0, NOW_US)
    assert isinstance(outcome, (Contribution, Rejected))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_line_raises(line: bytes) -> None:
    """Nor do bytes that are no row at all."""
    assert isinstance(_shared.from_row(_shop, line, 0, NOW_US), Rejected)


_shared, _shop = intake(), _mapping(SHOP)


def _real(name: str) -> Path:
    path = DATA / "devices" / name
    if not path.exists():
        pytest.skip(f"no {path}: set KINFOLD_DATA to the folder that holds devices/{name}")
    return path


@pytest.mark.slow
def test_all_real_events_are_signals_of_their_own() -> None:
    """143,865 browsing events, equal lines among them, are taken in and named apart."""
    mapping = _mapping((MAPPINGS / "browsing_events.toml").read_text())
    ours = intake()
    found: set[int] = set()
    networks: set[str] = set()
    others: set[str] = set()
    for place, row in rows(_real("events_dev.jsonl.gz"), "jsonl"):
        contribution = counted(ours.from_row(mapping, row, place, NOW_US))
        found.add(contribution.signal)
        for cell in contribution.activity[0][1]:
            (networks if cell.startswith("network:") else others).add(cell)
    assert len(found) == 143_865
    assert len(networks) > 100
    assert {"type:page_view", "channel:web", "device_type:phone"} < others


def test_the_real_devices_are_recognised() -> None:
    """All 76 devices are seen, with system, browser and locale, though their agents are lowered."""
    mapping = _mapping((MAPPINGS / "browsing_devices.toml").read_text())
    ours, systems = intake(), []
    for place, row in rows(_real("devices_dev.jsonl"), "jsonl"):
        contribution = counted(ours.from_row(mapping, row, place, NOW_US))
        assert kinds(contribution) == ["device"]
        held = dict(one.split(":", 1) for one in cells(contribution)["device"])
        assert held.keys() >= {"browser", "system", "device_type", "locale"}
        systems.append(held["system"])
    assert len(systems) == 76
    assert systems.count("Android") == 40

"""Whom exports are told to: those that held somebody under an id that stood for them then."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from identity.engines.memory import MemoryGraphStore
from identity.model import LineageChange, LineageEntry, PersonId
from identity.store import Resolution
from kinfold.erasing import exports_of
from kinfold.register import Exported, Register
from tests.support.store_driver import lease_of

DAY_US = 86_400_000_000
ANN, BOB, CAT = ("a" * 26, "b" * 26, "c" * 26)


def exported(day: int, recipient: str) -> Exported:
    """Profiles handed out on a day."""
    return Exported("profiles", day * DAY_US, recipient, "marketing", 0, "here", 1)


def test_an_export_is_told_while_its_id_stood_for_somebody(tmp_path: Path) -> None:
    """Of whoever was split off: what held the whole until then, and what was merged into it by
    then; nothing that the other was handed out in since, nor whoever was merged into them later.
    """
    store = MemoryGraphStore()
    entries = [
        LineageEntry(LineageChange.MERGED, CAT, ANN, 0, 10 * DAY_US),
        LineageEntry(LineageChange.SPLIT, BOB, ANN, 0, 20 * DAY_US),
        LineageEntry(LineageChange.MERGED, "d" * 26, ANN, 0, 30 * DAY_US),
    ]
    store.commit_resolution(lease_of(store), Resolution({}, {}, entries, [], []))
    handed: list[tuple[int, str, PersonId]] = [
        (5, "cat before", CAT),
        (15, "both", ANN),
        (25, "ann since", ANN),
        (25, "bob since", BOB),
        (25, "dan", "d" * 26),
        (26, "zoe", "z" * 26),
    ]
    with closing(Register(tmp_path / "register.sqlite3")) as register:
        for day, recipient, person in handed:
            register.note(exported(day, recipient), {person: "row"})
        told = {one: [e.recipient for e in exports_of(store, register, one)] for one in (ANN, BOB)}
        assert told[BOB] == ["cat before", "both", "bob since"]
        assert told[ANN] == ["cat before", "both", "ann since", "dan"]
        register.note(Exported("graph", 99 * DAY_US, "lab", "", 0, "here", 4))
        assert [one.recipient for one in exports_of(store, register, None)] == ["lab"]

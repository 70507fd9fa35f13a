"""The read view keeps the newest of every id, whole sequences, and no alias left over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.feed import Group
from profiles.read_view import GONE, MERGED, PROFILE, ReadView, ViewDamaged, ViewFull
from profiles.v1.feed_pb2 import FeedRecord
from tests.support.profile_parts import (
    feed_records,
    gone,
    key,
    lists,
    merged,
    new_builder,
    new_sealer,
    person_id,
    sample,
)

A, B, C = (key("login", name) for name in "abc")
NOW_MS = 1_000


@pytest.fixture
def view(tmp_path: Path) -> Iterator[ReadView]:
    """An empty view."""
    opened = ReadView(tmp_path / "view")
    yield opened
    opened.close()


def group(sequence: int, *records: FeedRecord, at_ms: int = 0) -> Group:
    """A whole sequence."""
    made = feed_records(sequence, *records)
    return Group(sequence, made, b"position %d" % sequence, at_ms or sequence)


def take(view: ReadView, *groups: Group) -> int:
    """Apply them, later than any of them was published."""
    return view.apply(groups, NOW_MS)


def leads(view: ReadView) -> dict[str, str]:
    """Where each alias leads, by short names."""
    return {
        alias.partition(":")[2].strip("0"): person.strip("2")
        for alias, person in view.all_aliases().items()
    }


def states(view: ReadView) -> dict[str, int]:
    """The state of each id, by short names."""
    return {person.strip("2"): stored.state for person, stored in view.everything()}


def test_a_person_is_found_by_every_alias(view: ReadView) -> None:
    """Every alias listed leads to the person, and the state says so."""
    assert take(view, group(1, lists("p", A, B, version=3, sealed=b"sealed"))) == 1
    assert leads(view) == {"a": "p", "b": "p"}
    stored = view.stored(person_id("p"))
    assert stored is not None
    assert (stored.state, stored.sequence, stored.version) == (PROFILE, 1, 3)
    assert (stored.sealed, stored.aliases) == (b"sealed", [A.encode(), B.encode()])
    assert view.person_of(A) == person_id("p")
    assert view.person_of(C) is None
    assert view.stored(person_id("q")) is None


def test_an_alias_no_longer_listed_leads_nowhere(view: ReadView) -> None:
    """A person's new record takes away what it lists no more."""
    take(view, group(1, lists("p", A, B)), group(2, lists("p", B, C)))
    assert leads(view) == {"b": "p", "c": "p"}


@pytest.mark.parametrize("order", [("p", "q"), ("q", "p")])
def test_a_split_moves_aliases_in_either_order(view: ReadView, order: tuple[str, str]) -> None:
    """What one lists no more and another lists now leads to the other, whoever comes first."""
    take(view, group(1, lists("p", A, B)))
    records = {"p": lists("p", A), "q": lists("q", B)}
    take(view, group(2, *(records[name] for name in order)))
    assert leads(view) == {"a": "p", "b": "q"}


def test_a_merge_leads_to_the_heir(view: ReadView) -> None:
    """Merged ids stand for their heir, and every alias leads to it."""
    take(view, group(1, lists("p", A), lists("q", B, C)))
    take(view, group(2, merged("q", "p"), lists("p", A, B)))
    assert leads(view) == {"a": "p", "b": "p"}
    assert states(view) == {"p": PROFILE, "q": MERGED}


def test_a_merge_whose_heir_comes_later_keeps_aliases_leading(view: ReadView) -> None:
    """Until the heir's record comes, aliases lead to the heir; after it, to whom it lists."""
    take(view, group(1, lists("p", A), lists("q", B, C)))
    take(view, group(2, merged("q", "p")))
    assert leads(view) == {"a": "p", "b": "p", "c": "p"}
    take(view, group(3, lists("p", A, B)))
    assert leads(view) == {"a": "p", "b": "p"}


def test_who_is_gone_leaves_nothing_behind(view: ReadView) -> None:
    """Neither sections nor aliases stay, only that the id stands for nobody."""
    take(view, group(1, lists("p", A, sealed=b"sealed"), lists("q", B)))
    take(view, group(2, gone("p")))
    assert leads(view) == {"b": "q"}
    stored = view.stored(person_id("p"))
    assert stored is not None
    assert (stored.state, stored.sealed, stored.aliases) == (GONE, b"", [])


def test_an_id_may_come_back(view: ReadView) -> None:
    """A later record revives an id that was merged or gone."""
    take(view, group(1, lists("p", A)), group(2, merged("p", "q"), lists("q", A)))
    take(view, group(3, lists("p", A), lists("q")))
    assert leads(view) == {"a": "p"}


def test_an_older_sequence_changes_nothing(view: ReadView) -> None:
    """What comes late is told not to have changed anything, and has not."""
    take(view, group(5, lists("p", A, version=5), lists("q", B, version=5), gone("r")))
    before = (list(view.everything()), view.all_aliases())
    late = [lists("p", B, version=9), merged("q", "p"), lists("r", A), gone("p")]
    for record in late:
        assert take(view, group(4, record)) == 0
    assert (list(view.everything()), view.all_aliases()) == before


def test_an_alias_follows_the_higher_sequence(view: ReadView) -> None:
    """Of two who list an alias, the later listing counts, in whichever order they come."""
    take(view, group(7, lists("q", A)), group(3, lists("p", A, B)))
    assert leads(view) == {"a": "q", "b": "p"}
    take(view, group(9, lists("p", B)))
    assert leads(view) == {"a": "q", "b": "p"}


@given(
    worlds=st.lists(
        st.dictionaries(st.sampled_from([A, B, C]), st.sampled_from("pqr"), min_size=1),
        min_size=1,
        max_size=6,
    ),
    seed=st.integers(),
)
@settings(max_examples=60, deadline=None)
def test_any_order_and_repetition_ends_with_the_newest(
    tmp_path_factory: pytest.TempPathFactory, worlds: list[dict[str, str]], seed: int
) -> None:
    """Sequences replayed in any order, some twice, end where the last one in order says."""
    groups = []
    for sequence, world in enumerate(worlds, 1):
        members: dict[str, list[str]] = {name: [] for name in "pqr"}
        for alias, name in world.items():
            members[name].append(alias)
        records = [lists(n, *held) if held else gone(n) for n, held in members.items()]
        groups.append(group(sequence, *records))
    drawn = random.Random(seed)
    mixed = groups + drawn.sample(groups, drawn.randint(0, len(groups)))
    drawn.shuffle(mixed)
    view = ReadView(tmp_path_factory.mktemp("view"))
    take(view, *mixed)
    assert view.all_aliases() == {alias: person_id(name) for alias, name in worlds[-1].items()}
    view.close()


def test_a_reader_sees_whole_sequences_only(view: ReadView) -> None:
    """A reader in the middle of an application sees the state before it, all of it."""
    take(view, group(1, lists("p", A), lists("q", B)))
    with view.env.begin() as reader:
        take(view, group(2, lists("p", B), lists("q", A)))
        assert reader.get(A.encode(), db=view.aliases) == person_id("p").encode()
        assert reader.get(B.encode(), db=view.aliases) == person_id("q").encode()
    assert leads(view) == {"a": "q", "b": "p"}


def test_position_and_time_are_kept_with_the_records(view: ReadView, tmp_path: Path) -> None:
    """A view opened again knows how far it is and when it last heard anything."""
    assert (view.position(), view.heard_ms()) == (b"", 0)
    take(view, group(1, lists("p", A), at_ms=500))
    take(view, Group(0, (), b"", 900))
    take(view, group(2, lists("p", B), at_ms=700))
    view.close()
    again = ReadView(tmp_path / "view")
    assert (again.position(), again.heard_ms()) == (b"position 2", 900)
    again.clear()
    assert (again.position(), again.heard_ms(), again.people_count()) == (b"", 0, 0)
    assert again.all_aliases() == {}
    again.close()


def test_no_time_to_come_is_kept(view: ReadView) -> None:
    """What is dated after this replica's own time counts as heard now, and as no more than that."""
    take(view, Group(0, (), b"", 10 * NOW_MS))
    assert view.heard_ms() == NOW_MS
    take(view, group(1, lists("p", A), at_ms=10 * NOW_MS))
    assert view.heard_ms() == NOW_MS
    view.apply([Group(0, (), b"", 300)], 400)
    assert view.heard_ms() == 400  # the clock was set back: it was never later than that


def test_a_view_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Absent, of another version, or no view at all: each is told, with the way out."""
    with pytest.raises(ViewDamaged):
        ReadView(tmp_path / "none", read_only=True)
    ReadView(tmp_path / "old").close()
    with lmdb.open(str(tmp_path / "old"), max_dbs=3) as env, env.begin(write=True) as txn:
        txn.put(b"format", b"0", db=env.open_db(b"meta", txn=txn))
    with pytest.raises(ViewDamaged, match="remove it"):
        ReadView(tmp_path / "old")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "data.mdb").write_bytes(b"something else" * 1_000)
    with pytest.raises(ViewDamaged):
        ReadView(tmp_path / "odd")


def test_a_full_view_applies_nothing(tmp_path: Path) -> None:
    """When the file is full it says so, and what was there before is still whole."""
    view = ReadView(tmp_path / "small", map_bytes=1 << 18)
    take(view, group(1, lists("p", A)))
    with pytest.raises(ViewFull):
        take(view, group(2, lists("p", B), lists("q", C, sealed=bytes(1 << 18))))
    assert leads(view) == {"a": "p"}
    view.close()


def test_files_belong_to_the_owner_alone(tmp_path: Path) -> None:
    """Nobody else on the machine may read the view."""
    before = os.umask(0)
    try:
        ReadView(tmp_path / "view").close()
    finally:
        os.umask(before)
    paths = [tmp_path / "view", *(tmp_path / "view").iterdir()]
    assert [path.name for path in paths if path.stat().st_mode & 0o077] == []


def test_nothing_personal_rests_openly(view: ReadView, tmp_path: Path) -> None:
    """Not one value of a person is to be read in the view's files."""
    sealer = new_sealer()
    profile = new_builder(sealer).build(sample(sealer), 1)
    take(view, group(1, FeedRecord(person_id=person_id("ada"), profile=profile)))
    held = b"".join(path.read_bytes() for path in (tmp_path / "view").iterdir())
    assert profile.sealed in held
    for value in (b"@mail", b"Ada", b"Bern", b"red shoe", b"sport", b"Firefox", b"crm", b"CHF"):
        assert value not in held


WRITER = """
import sys
from pathlib import Path
from profiles.read_view import ReadView
from tests.unit.test_read_view import A, B, group, lists, take
view = ReadView(Path(sys.argv[1]))
sequence = 0
while True:
    sequence += 1
    names = ("p", "q") if sequence % 2 else ("q", "p")
    take(view, group(sequence, lists(names[0], A), lists(names[1], B)))
    print(sequence, flush=True)
"""


@pytest.mark.parametrize("after_ms", [50, 120, 250])
def test_kill_9_leaves_a_whole_sequence(tmp_path: Path, after_ms: int) -> None:
    """Killed at any moment, the view is at a whole sequence, no older than the last one told."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "view")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(after_ms / 1_000)
        writer.send_signal(signal.SIGKILL)
        told = [first, *writer.stdout.read().splitlines()]
    view = ReadView(tmp_path / "view")
    sequences = {stored.sequence for _, stored in view.everything()}
    assert len(sequences) == 1
    (sequence,) = sequences
    assert sequence >= int(told[-1])
    assert leads(view) == ({"a": "p", "b": "q"} if sequence % 2 else {"a": "q", "b": "p"})
    view.close()

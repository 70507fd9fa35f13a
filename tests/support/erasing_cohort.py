"""A cohort of which some people are erased, beside one that never heard of them."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from pathlib import Path

from identity.evidence import names_of
from identity.model import Contribution, NodeKey, PersonId
from kinfold.generate.spec import CohortSpec
from kinfold.privacy_places import open_ledger
from kinfold.wiring import now_us, open_intake, open_policies, open_vault
from tests.support.cohort import lines, made
from tests.support.erasing import Home


def assert_erasing_is_never_having_ingested(
    erasing: Home, never: Home, spec: CohortSpec, *, erased: int, whom: str, matched: bool = False
) -> None:
    """Of two homes with the same keys one erases so many people, the other never hears of them.

    `whom`: the `largest`, who are entangled with most others, or some `drawn` by the spec's seed.
    `matched`: with a model of records in force, learnt from half of the signals.
    """
    signals = lines(made(spec)[0])
    file = erasing.deployment.folder.with_name("all.jsonl")
    if matched:
        file.write_bytes(b"".join(signals[: len(signals) // 2]))
        erasing.does("ingest", str(file))
        _match(erasing)
        file = file.with_name("rest.jsonl")
    file.write_bytes(b"".join(signals))
    erasing.does("ingest", str(file))
    erasing.deployment.share_keys_with(never.deployment)
    if matched:
        assert _scored(erasing)
        shutil.copytree(_models(erasing), _models(never))
    people = _largest(erasing) if whom == "largest" else _drawn(erasing, spec.seed)
    with erasing.erasing() as eraser:
        for person in people[:erased]:
            eraser.erase(f"request-{person}", person)
    others = file.with_name("others.jsonl")
    others.write_bytes(b"".join(_not_naming(erasing, signals, _fenced(erasing))))
    assert 0 < others.stat().st_size < file.stat().st_size
    never.does("ingest", str(others))
    erasing.does("ingest", "--replay", str(file))
    left, expected = erasing.deployment.left(), never.deployment.left()
    assert len(expected.people) > erased
    assert left.people == expected.people
    assert left.profiles == expected.profiles
    assert left.signals == expected.signals


def _match(home: Home) -> None:
    home.does("model", "train", "--from-graph", "--name", "half", "--link", "0.6")
    (card,) = _models(home).glob("*.card.json")
    home.does("model", "activate", card.name.partition(".")[0])


def _models(home: Home) -> Path:
    return home.deployment.folder / "models"


def _scored(home: Home) -> int:
    with home.store() as store:
        nodes = [key for members in store.members(store.all_people()).values() for key in members]
        return len(store.scored(nodes))


def _largest(home: Home) -> list[PersonId]:
    with home.store() as store:
        members = store.members(store.all_people())
    return sorted(members, key=lambda person: (-len(members[person]), person))


def _drawn(home: Home, seed: int) -> list[PersonId]:
    people = _largest(home)
    random.Random(seed).shuffle(people)
    return people


def _fenced(home: Home) -> set[NodeKey]:
    settings = home.settings
    with closing(open_vault(settings)) as vault, closing(open_ledger(settings, vault)) as ledger:
        return set(ledger.fences())


def _not_naming(home: Home, signals: list[bytes], fenced: set[NodeKey]) -> list[bytes]:
    settings = home.settings
    with closing(open_vault(settings)) as vault:
        intake = open_intake(settings, open_policies(settings), vault)
        read = [(line, intake.from_json(line, now_us())) for line in signals]
    return [
        line for line, one in read if not (isinstance(one, Contribution) and names_of(one) & fenced)
    ]

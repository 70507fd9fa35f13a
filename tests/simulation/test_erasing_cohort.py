"""erase ∘ ingest ≡ never ingested: for everyone else's people, evidence and profiles."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from identity.evidence import names_of
from identity.model import Contribution, NodeKey
from kinfold.generate.spec import CohortSpec
from kinfold.privacy_places import open_ledger
from kinfold.wiring import now_us, open_intake, open_policies, open_vault
from tests.support.cohort import lines, made
from tests.support.erasing import Home, home_at

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ERASED = 6


@pytest.mark.parametrize("seed", [3, 4])
def test_erasing_is_never_having_ingested(tmp_path: Path, seed: int) -> None:
    """Of two homes with the same keys one erased some people, the other never heard of them."""
    signals = lines(made(CohortSpec(people=60, days=5, seed=seed, bad=0.0))[0])
    erasing, never = home_at(tmp_path / "erasing", {}), home_at(tmp_path / "never", {})
    file = tmp_path / "all.jsonl"
    file.write_bytes(b"".join(signals))
    erasing.does("ingest", str(file))
    erasing.deployment.share_keys_with(never.deployment)
    fenced = _erase_some(erasing)
    others = tmp_path / "others.jsonl"
    others.write_bytes(b"".join(_not_naming(erasing, signals, fenced)))
    assert 0 < others.stat().st_size < file.stat().st_size
    never.does("ingest", str(others))
    erasing.does("ingest", "--replay", str(file))
    left, expected = erasing.deployment.left(), never.deployment.left()
    assert left.people == expected.people
    assert left.profiles == expected.profiles
    assert left.signals == expected.signals


def _erase_some(home: Home) -> set[NodeKey]:
    """Erase the largest people, who are entangled with most others; what was fenced."""
    with home.store() as store:
        members = store.members(store.all_people())
    largest = sorted(members, key=lambda person: (-len(members[person]), person))[:ERASED]
    with home.erasing() as erasing:
        for person in largest:
            erasing.erase(f"request-{person}", person)
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

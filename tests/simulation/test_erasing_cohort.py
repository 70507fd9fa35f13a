"""erase ∘ ingest ≡ never ingested: for everyone else's people, evidence and profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinfold.generate.spec import CohortSpec
from tests.support.erasing import home_at
from tests.support.erasing_cohort import assert_erasing_is_never_having_ingested

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DRAWN = [(3, "largest"), (4, "largest"), (5, "drawn"), (6, "drawn")]


@pytest.mark.parametrize(("seed", "whom"), DRAWN)
def test_erasing_is_never_having_ingested(tmp_path: Path, seed: int, whom: str) -> None:
    """Of two homes with the same keys one erased some people, the other never heard of them."""
    erasing, never = home_at(tmp_path / "erasing", {}), home_at(tmp_path / "never", {})
    spec = CohortSpec(people=60, days=5, seed=seed, bad=0.0)
    assert_erasing_is_never_having_ingested(erasing, never, spec, erased=6, whom=whom)


def test_erasing_is_never_having_ingested_by_scores_either(tmp_path: Path) -> None:
    """The same where people are joined by a match model, too."""
    erasing, never = home_at(tmp_path / "erasing", {}), home_at(tmp_path / "never", {})
    spec = CohortSpec(people=200, days=5, seed=7, bad=0.0)
    assert_erasing_is_never_having_ingested(
        erasing, never, spec, erased=10, whom="largest", matched=True
    )

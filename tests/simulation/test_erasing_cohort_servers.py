"""erase ∘ ingest ≡ never ingested, on real Neo4j and Pulsar."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinfold.generate.spec import CohortSpec
from tests.support.ann_and_ben import home_on
from tests.support.erasing import home_at
from tests.support.erasing_cohort import assert_erasing_is_never_having_ingested
from tests.support.servers import Neo4jServer, PulsarServer


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_erasing_is_never_having_ingested(
    tmp_path: Path, empty_neo4j: Neo4jServer, pulsar_server: PulsarServer
) -> None:
    """On servers some people were erased; an embedded home of the same keys never heard of them."""
    erasing = home_on(tmp_path / "erasing", empty_neo4j, pulsar_server)
    spec = CohortSpec(people=20, days=4, seed=3, bad=0.0)
    never = home_at(tmp_path / "never", {})
    assert_erasing_is_never_having_ingested(erasing, never, spec, erased=3, whom="largest")

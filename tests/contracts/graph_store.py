"""What every engine of `GraphStore` promises; a test file of an engine gives the fixture `engine`.

class TestMemory(GraphStoreContract):
    @pytest.fixture
    def engine(self) -> Engine: ...
"""

from __future__ import annotations

from tests.contracts.engine import Engine
from tests.contracts.graph_store_counting import CountingContract
from tests.contracts.graph_store_cutoffs import CutoffsContract
from tests.contracts.graph_store_erasing import ErasingContract
from tests.contracts.graph_store_evidence import EvidenceContract
from tests.contracts.graph_store_marks import MarksContract
from tests.contracts.graph_store_matching import MatchingContract
from tests.contracts.graph_store_owners import OwnersContract
from tests.contracts.graph_store_people import PeopleContract
from tests.contracts.graph_store_rotating import RotatingContract

__all__ = ["Engine", "GraphStoreContract"]


class GraphStoreContract(
    CountingContract,
    CutoffsContract,
    ErasingContract,
    EvidenceContract,
    MarksContract,
    MatchingContract,
    OwnersContract,
    PeopleContract,
    RotatingContract,
):
    """Every promise of the port."""

"""A command that computes nothing does not wait until what computes is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("parts", ["kinfold.cli, kinfold.wiring", "kinfold.auditing"])
def test_wiring_loads_neither_numpy_nor_polars(parts: str) -> None:
    """Together they take longer to load than most commands take to run."""
    said = "import sys; print(*{'numpy', 'polars', 'networkx'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", f"import {parts}; {said}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == []

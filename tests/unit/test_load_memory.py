"""The memory that load figures tell is that of the measured process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_MIB = 2**20
_HELD_MIB = 300
_OWN_MIB = 100
_CHILD = f"""
from load_tests.figures.machine import peak_mib
own = bytearray(b"x") * {_OWN_MIB * _MIB}
del own
print(peak_mib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_peak_is_the_process_own() -> None:
    """What a process let go of counts in its peak, and what its parent holds does not."""
    held = bytearray(b"x") * (_HELD_MIB * _MIB)
    said = subprocess.run(
        [sys.executable, "-c", _CHILD], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert len(held) == _HELD_MIB * _MIB
    assert _OWN_MIB < float(said.stdout) < _HELD_MIB

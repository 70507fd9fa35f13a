"""Erases somebody from an embedded home, and is killed when some of their evidence is gone.

python -m tests.support.dying_sweep FOLDER KIND:VALUE
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from identity.engines.sqlite.store import SqliteGraphStore
from tests.support.erasing import home_at

TRANSACTIONS = 4
"""Of a sweep, after which it is killed."""


def dying(erase: Callable[..., int]) -> Callable[..., int]:
    """A step of a sweep, which is a transaction of its own, that is not begun once too often."""
    left = TRANSACTIONS

    def once(*given: Any) -> int:
        nonlocal left
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return erase(*given)

    return once


def main() -> None:
    """Erase, and die."""
    SqliteGraphStore._erase = dying(SqliteGraphStore._erase)  # type: ignore[method-assign]
    home_at(Path(sys.argv[1]), {}).erase(sys.argv[2])


if __name__ == "__main__":
    main()

"""How often the garbage collector looks for cycles in a process that takes in signals."""

from __future__ import annotations

import gc

_NEW_OBJECTS = 50_000
_YOUNGER_PASSES = (20, 100)


def collect_less_often() -> None:
    """Leave what is loaded by now alone, and look for cycles about once a batch.

    A batch is some ten thousand objects at once, next to none of them in
    cycles. Python's default of a pass per 700 new objects took an eighth of the
    CPU time of ingesting a file.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *_YOUNGER_PASSES)

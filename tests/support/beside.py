"""Work in a thread beside a test: waited for with patience, and never once it has died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

POLL_S = 0.001
WaitUntil = Callable[[Callable[[], bool]], None]
"""Returns once something holds; fails when the work beside ended before, with what it died of."""


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[WaitUntil]:
    """Within the block `work` runs in a thread; the event that it gets is set at the block's end.

    How long a wait may last is up to the test's own timeout. What the work died
    of is raised by the wait, or at the end of the block.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work, stop)

        def wait_until(holds: Callable[[], bool]) -> None:
            while not holds():
                if working.done():
                    working.result()
                    assert holds(), "the work beside ended, and it never came"
                    return
                time.sleep(POLL_S)

        try:
            yield wait_until
        finally:
            stop.set()
    working.result()

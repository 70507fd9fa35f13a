"""Messages under way to Pulsar: sent, and not yet known to be durable."""

from __future__ import annotations

import threading
from typing import Any

import pulsar


class Pending:
    """Counts what is under way; the driver answers on a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = 0
        self._failed: Any = None

    def one_more(self) -> Any:
        """The callback for one more message."""
        with self._changed:
            self._open += 1
        return self._answered

    def none_after_all(self) -> None:
        """The message of the last callback was not sent."""
        with self._changed:
            self._open -= 1

    def wait(self) -> Any:
        """Wait until all is answered: the first failure since the last call, or None.

        The producer's send timeout bounds it.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._open)
            failed, self._failed = self._failed, None
            return failed

    def _answered(self, result: Any, _: Any) -> None:
        with self._changed:
            self._open -= 1
            if result != pulsar.Result.Ok and self._failed is None:
                self._failed = result
            if not self._open:
                self._changed.notify_all()

"""All partitions of a source at once: a thread and a pipeline for each, stopped together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from ingest.pipeline import Pipeline, Step

OpenPipeline = Callable[[str], AbstractContextManager[Pipeline]]
"""Makes the pipeline of a partition, and closes what it was made of at the block's end."""


def consume(
    partitions: Sequence[str],
    open_pipeline: OpenPipeline,
    stop: threading.Event,
    after: Callable[[Step], None] | None = None,
) -> None:
    """Consume all partitions until `stop` is set or every one has ended.

    Every pipeline is opened, run and closed in a thread of its own; `after`
    hears of every batch, one call at a time. When one pipeline fails, the others
    finish their batch and stop, and the first failure is raised.

    Raises: as `Pipeline.run` and `open_pipeline`.
    """
    failures: list[BaseException] = []
    one_at_a_time = threading.Lock()

    def tell(step: Step) -> None:
        if after is not None:
            with one_at_a_time:
                after(step)

    def work(partition: str) -> None:
        try:
            with open_pipeline(partition) as pipeline:
                pipeline.run(tell)
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(failure)
            stop.set()

    threads = [
        threading.Thread(target=work, args=(each,), name=f"consume {each}") for each in partitions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@contextmanager
def stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """Within the block, SIGTERM and SIGINT set `stop`; a second one ends the process as usual.

    To be used in the main thread.
    """

    def told(number: int, _: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

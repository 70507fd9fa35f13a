"""`erase_unseen_p99_ms`, `erase_done_p99_ms`: one person erased among many identifiers.

From the call until the view leads nobody to them, and until all of it is done:
swept, resolved, published, letters looked through, logged, and each step durable.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kinfold.erasing import Erasing
from kinfold.feeds import local_feed, settle_into
from kinfold.privacy_places import open_erasing
from kinfold.settings import load
from kinfold.wiring import open_policies, open_store, open_vault, open_view
from load_tests.figures.homes import make_home
from load_tests.figures.model import Measured
from profiles.read_view import PROFILE, ReadView

NAMES = ("erase_unseen_p99_ms", "erase_done_p99_ms")


@dataclass(frozen=True, slots=True)
class Size:
    """People in the home, of two identifiers each, and how many of them are erased."""

    people: int
    erased: int


FULL = Size(people=500_000, erased=100)
SHORT = Size(people=2_000, erased=5)


class _Watch:
    """Notes when, at the beginning of a step, the view no longer shows somebody."""

    def __init__(self, view: ReadView) -> None:
        self._view = view
        self._person = ""
        self._began_s = 0.0
        self.unseen_ms: list[float] = []

    def begin(self, person: str) -> None:
        self._person, self._began_s = person, time.perf_counter()

    def __call__(self, _step: str) -> None:
        if not self._person:
            return
        stored = self._view.stored(self._person)
        if stored is None or stored.state != PROFILE:
            self.unseen_ms.append(self.passed_ms())
            self._person = ""

    def passed_ms(self) -> float:
        return 1_000 * (time.perf_counter() - self._began_s)


def measure(wanted: Collection[str], size: Size) -> list[Measured]:
    """The figures wanted, over so many people one after the other."""
    with tempfile.TemporaryDirectory(prefix="kinfold-load-") as name, ExitStack() as stack:
        home = Path(name) / "home"
        make_home(home, size.people)
        settings = load({"home.dir": str(home)}, {})
        policies = open_policies(settings)
        vault = stack.enter_context(closing(open_vault(settings)))
        store = stack.enter_context(closing(open_store(settings)))
        view = stack.enter_context(closing(open_view(settings)))
        watch = _Watch(view)
        settle_up = partial(settle_into, settings, policies, vault, store, local_feed(view))
        erasing = stack.enter_context(
            open_erasing(settings, policies, vault, store, settle_up=settle_up, step=watch)
        )
        every = [person for person, _ in zip(view.everything(), range(size.people), strict=False)]
        chosen = [person for person, _ in every[:: max(1, size.people // size.erased)]]
        done_ms = [_erase(erasing, watch, person) for person in chosen[: size.erased]]
    assert len(watch.unseen_ms) == len(done_ms), "somebody erased is still shown"
    told = {"erase_unseen_p99_ms": watch.unseen_ms, "erase_done_p99_ms": done_ms}
    return [
        Measured(name, [_p99(times)], {"p50_ms": [_p50(times)], "most_ms": [max(times)]})
        for name, times in told.items()
        if name in wanted
    ]


def _erase(erasing: Erasing, watch: _Watch, person: str) -> float:
    watch.begin(person)
    erasing.erase(f"request-{person}", person)
    return watch.passed_ms()


def _p99(times: list[float]) -> float:
    return sorted(times)[max(0, len(times) * 99 // 100 - 1)]


def _p50(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]

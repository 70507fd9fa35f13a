"""Where somebody lives, as ISO 3166 writes it: a country, or a region of one."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files

_SHAPE = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?")


def is_place(place: str) -> bool:
    """Whether it is a country of ISO 3166-1, or has the shape of a region (3166-2) of one."""
    found = _SHAPE.fullmatch(place)
    return found is not None and found[1] in countries()


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """The alpha-2 codes of ISO 3166-1, as the time zone database has them, and XK for Kosovo."""
    table = files("tzdata").joinpath("zoneinfo/iso3166.tab").read_text("utf-8")
    rows = [line.partition("\t")[0] for line in table.splitlines() if not line.startswith("#")]
    return frozenset({*rows, "XK"} - {""})

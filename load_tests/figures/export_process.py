"""One process that exports figures: `HOME OUT [--again]`; prints seconds and MiB."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from kinfold.collecting import collect_less_often
from kinfold.releasing import released
from kinfold.settings import load
from kinfold.statistics.writing import write_release
from load_tests.figures.machine import peak_mib


def main() -> int:
    """Export once, or again and again until it is ended."""
    home, out = Path(sys.argv[1]), Path(sys.argv[2])
    settings = load({"home.dir": str(home)}, {})
    collect_less_often()
    while True:
        began_s = time.monotonic()
        shutil.rmtree(out, ignore_errors=True)
        write_release(released(settings, place=str(out)), out, "parquet")
        took_s = time.monotonic() - began_s
        if "--again" not in sys.argv:
            print(took_s, peak_mib())
            return 0


if __name__ == "__main__":
    sys.exit(main())

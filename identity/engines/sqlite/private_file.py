"""Makes the files that SQLite opens, readable by their owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from threading import get_ident


def make_private(path: Path) -> None:
    """An empty file of mode 0600 where there is none; what is there is never even opened.

    To close a file drops every lock that this process has on it, those of
    SQLite's other connections included; another process then takes itself for
    the last one and removes the write-ahead log under them
    (https://www.sqlite.org/howtocorrupt.html, 2.2). So a new file is made under
    another name, closed, and only then given its own.

    Errors: `OSError` when it cannot be made.
    """
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600))
    try:
        os.link(draft, path)
    except FileExistsError:
        # Somebody else was faster.
        return
    finally:
        draft.unlink()

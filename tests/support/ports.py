"""Ports for the servers of tests: each is given out once in a long while, to one of them.

A port that was free when somebody asked for it is free no longer once the system
has made it the near end of a connection, or the next who asked got it, too. So
these lie below those that the system takes for connections, and take turns
between all processes of a user.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, END = 20_000, 32_768
"""From 32,768 on Linux takes ports for connections."""
TURN = Path(tempfile.gettempdir()) / f"kinfold-test-ports-{os.getuid()}"
"""Which port was given out last."""


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now, nor was given lately."""
    with TURN.open("a+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        at = int(turn.read() or FIRST)
        found: list[int] = []
        for _ in range(END - FIRST):
            at = at + 1 if at + 1 < END else FIRST
            if _is_free(at):
                found.append(at)
            if len(found) == number:
                break
        assert len(found) == number, f"no {number} free ports from {FIRST} to {END}"
        turn.truncate(0)
        turn.write(str(at))
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

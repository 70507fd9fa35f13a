"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_DISTRIBUTIONS = ("grpcio", "lmdb", "neo4j", "pulsar-client", "protobuf")


def described() -> dict[str, object]:
    """Processor, cores, memory, load and versions, as results.json keeps them."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _DISTRIBUTIONS},
        "load_average_before": round(os.getloadavg()[0], 2),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def peak_mib() -> float:
    """The most memory that this process has had at once, in MiB, since its program was loaded.

    Not `ru_maxrss`: a process starts with its parent's, which here has had a
    home of a million people in its address space.
    """
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / 1024
    raise AssertionError("the kernel tells a process its peak")


def a_core() -> int:
    """The core that a measured process is kept on where one core is what counts."""
    return max(os.sched_getaffinity(0))

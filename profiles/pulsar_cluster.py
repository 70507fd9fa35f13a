"""An Apache Pulsar cluster: where it is, how to connect, and what is asked of its administration.

Topics are named in full, ``persistent://tenant/namespace/name``.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulsar

Position = tuple[int, int]
"""Ledger and entry: where a message lies, whatever its place within a batch."""

ADMIN_TIMEOUT_S = 10.0
COMPACT_EVERY_BYTES = 64 * 1024 * 1024
COMPACTION = "__compaction"
MOST_OPEN_MIN, LEAST_OPEN_MIN = 240, 10
"""Between so many minutes Pulsar closes a ledger, unless its broker is told otherwise."""
LOOKS_S = 120
"""So often Pulsar looks for ledgers to delete, unless its broker is told otherwise."""


class PulsarRefused(Exception):
    """Pulsar cannot be reached, or did not do what was asked; the message names the request."""


@dataclass(frozen=True, slots=True)
class PulsarCluster:
    """Where Pulsar is.

    - `service_url`: ``pulsar://host:6650`` or ``pulsar+ssl://…``.
    - `admin_url`: ``http://host:8080`` or ``https://…``.
    - `token`: for token authentication; empty without.
    - `trust_certs`: file of the certificates to trust, for TLS; empty: the system's.
    - `driver_log`: file that the driver writes its errors to; they may name topics and hosts.
    """

    service_url: str
    admin_url: str
    token: str = ""
    trust_certs: str = ""
    driver_log: str = os.devnull

    def connect(self, *, operation_timeout_s: int = 10) -> pulsar.Client:
        """A client of its own. It connects when first used; close it when done."""
        authentication = pulsar.AuthenticationToken(self.token) if self.token else None
        return pulsar.Client(
            self.service_url,
            authentication=authentication,
            operation_timeout_seconds=operation_timeout_s,
            tls_trust_certs_file_path=self.trust_certs or None,
            tls_validate_hostname=True,
            logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, self.driver_log),
        )

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has: 0 for one without, None for no such topic."""
        answer = self._ask("GET", f"{_path(topic)}/partitions", also=(404,))
        return None if answer is None else int(answer["partitions"])

    def create_partitioned(self, topic: str, partitions: int) -> None:
        """Make a topic with so many partitions; a topic that is there is left as it is."""
        self._ask("PUT", f"{_path(topic)}/partitions", partitions, also=(409,))

    def ensure_compacted(self, topic: str) -> None:
        """As `create_compacted`, unless that was done, and to its end, before."""
        try:
            done = COMPACTION in self.subscriptions(topic)
        except PulsarRefused:
            done = False
        if not done:
            self.create_compacted(topic)

    def create_compacted(self, topic: str) -> None:
        """Make a topic that keeps the last message of every key for good, and compacts itself.

        Without the threshold nothing would hold the messages until the first
        compaction, and without the other policy an idle topic is deleted.
        """
        path = _path(topic)
        self._ask("PUT", path, also=(409,))
        self._ask("POST", f"{path}/compactionThreshold", COMPACT_EVERY_BYTES)
        kept = {
            "deleteWhileInactive": False,
            "inactiveTopicDeleteMode": "delete_when_no_subscriptions",
            "maxInactiveDurationSeconds": 3600,
        }
        self._ask("POST", f"{path}/inactiveTopicPolicies", kept)
        # The first run, over nothing, makes the cursor that keeps every later message.
        self.compact(topic)

    def exists(self, topic: str) -> bool:
        """Whether a topic without partitions is there."""
        return self._ask("GET", f"{_path(topic)}/stats", also=(404,)) is not None

    def delete(self, topic: str) -> None:
        """Delete a topic without partitions, with all it holds; its readers are cut off."""
        self._ask("DELETE", f"{_path(topic)}?force=true", also=(404,))

    def properties(self, topic: str) -> Mapping[str, str]:
        """What was noted of a topic without partitions beside what is in it."""
        found = self._ask("GET", f"{_path(topic)}/properties")
        return {str(key): str(value) for key, value in (found or {}).items()}

    def set_property(self, topic: str, key: str, value: str) -> None:
        """Note something of a topic without partitions; other properties stay."""
        self._ask("PUT", f"{_path(topic)}/properties", {key: value})

    def forgetting(self, topic: str) -> Forgetting:
        """When a topic forgets what was consumed, as it and the broker are set up.

        Who may not ask the broker is told of Pulsar's defaults, and that they are.
        """
        kept = self._ask("GET", f"{_path(topic)}/retention?applied=true", also=(404,)) or {}
        try:
            broker = self._asked("GET", "/admin/v2/brokers/configuration/runtime")
        except PulsarRefused:
            broker = {}
        most = int(broker.get("managedLedgerMaxLedgerRolloverTimeMinutes", MOST_OPEN_MIN))
        least = int(broker.get("managedLedgerMinLedgerRolloverTimeMinutes", LEAST_OPEN_MIN))
        return Forgetting(
            keeps_min=int(kept.get("retentionTimeInMinutes", 0)),
            keeps_mb=int(kept.get("retentionSizeInMB", 0)),
            open_min=max(most, least) if most > 0 else None,
            looks_s=int(broker.get("retentionCheckIntervalInSeconds", LOOKS_S)),
            is_told=bool(broker),
        )

    def compact(self, topic: str) -> None:
        """Start a compaction; one that is running goes on."""
        self._ask("PUT", f"{_path(topic)}/compaction", also=(409,))

    def is_compacting(self, topic: str) -> bool:
        """Whether a compaction is running.

        Raises:
            PulsarRefused: also when the last compaction failed.
        """
        status = str(self._asked("GET", f"{_path(topic)}/compaction")["status"])
        if status == "ERROR":
            raise PulsarRefused(f"compaction of {topic} failed")
        return status == "RUNNING"

    def subscriptions(self, topic: str) -> frozenset[str]:
        """The names of the subscriptions that a topic without partitions has."""
        return frozenset(self._asked("GET", f"{_path(topic)}/stats")["subscriptions"])

    def consumers(self, topic: str, subscription: str) -> list[str]:
        """The names of a subscription's consumers on a topic without partitions, sorted."""
        subscriptions = self._asked("GET", f"{_path(topic)}/stats")["subscriptions"]
        found = subscriptions.get(subscription, {}).get("consumers", [])
        return sorted(str(each["consumerName"]) for each in found)

    def extent(self, topic: str) -> TopicExtent:
        """How many entries a topic without partitions holds, and where."""
        return _extent(self._asked("GET", f"{_path(topic)}/internalStats"))

    def is_ready(self) -> bool:
        """Whether the admin interface answers that the broker is ready."""
        try:
            self._ask("GET", "/admin/v2/brokers/ready")
        except PulsarRefused:
            return False
        return True

    def _asked(self, method: str, path: str) -> Mapping[str, Any]:
        answer = self._ask(method, path)
        if not isinstance(answer, dict):
            raise PulsarRefused(f"{method} {path}: not the expected answer")
        return answer

    def _ask(self, method: str, path: str, body: object = None, also: tuple[int, ...] = ()) -> Any:
        """The answer's JSON; None when it holds none or its status is one of `also`."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        url = self.admin_url.rstrip("/") + path
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the operator's own address
        try:
            with urllib.request.urlopen(  # noqa: S310 - as above
                request, timeout=ADMIN_TIMEOUT_S, context=self._tls()
            ) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                if refusal.code in also:
                    return None
            raise PulsarRefused(f"{method} {path}: status {refusal.code}") from None
        except (OSError, http.client.HTTPException):
            raise PulsarRefused(f"{method} {path}: not reachable") from None
        try:
            return json.loads(text) if text else None
        except ValueError:
            return None

    def _tls(self) -> ssl.SSLContext | None:
        if not self.admin_url.startswith("https:"):
            return None
        return ssl.create_default_context(cafile=self.trust_certs or None)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """When a topic forgets what every subscription has acknowledged.

    It goes by ledgers: each is closed after a time, and deleted when all in it is
    acknowledged and its retention, which begins only then, is over.

    - `keeps_min`: the retention in time; negative: for good.
    - `keeps_mb`: beyond so much it goes earlier; negative: never mind how much.
    - `open_min`: after so long a ledger is closed; None: only when it is full.
    - `looks_s`: so often the broker looks for ledgers to delete.
    - `is_told`: whether the broker told the last two; Pulsar's defaults otherwise.
    """

    keeps_min: int
    keeps_mb: int
    open_min: int | None
    looks_s: int
    is_told: bool

    def at_most_s(self) -> int | None:
        """In how long what is sent now is forgotten, once acknowledged; None: nobody can say."""
        if self.keeps_min < 0 or self.open_min is None:
            return None
        # A broker closes each ledger up to a twentieth late, so that not all are due at once.
        open_s = self.open_min * 63
        return open_s + self.keeps_min * 60 + self.looks_s


@dataclass(frozen=True, slots=True)
class TopicExtent:
    """How many entries lie where in a topic.

    - `ledgers`: id and entries of each, in order.
    - `compacted`: entries that compaction has kept of all up to `horizon`.
    """

    ledgers: tuple[tuple[int, int], ...]
    compacted: int
    horizon: Position | None

    def ahead(self, position: Position | None, read: int) -> int:
        """About how many entries a reader of the compacted topic has ahead of it.

        It stands at `position` (None: at the beginning) and has read so many.
        """
        if self.horizon is None or (position is not None and position >= self.horizon):
            return self._after(position)
        return max(0, self.compacted - read) + self._after(self.horizon)

    def _after(self, position: Position | None) -> int:
        if position is None:
            return sum(entries for _, entries in self.ledgers)
        ledger, entry = position
        whole = sum(entries for each, entries in self.ledgers if each > ledger)
        return whole + sum(max(0, n - entry - 1) for each, n in self.ledgers if each == ledger)


def _extent(stats: Mapping[str, Any]) -> TopicExtent:
    ledgers = [(int(each["ledgerId"]), int(each["entries"])) for each in stats["ledgers"]]
    if ledgers:
        # The one being written is listed with no entries.
        ledgers[-1] = (ledgers[-1][0], int(stats["currentLedgerEntries"]))
    cursor = stats["cursors"].get(COMPACTION)
    horizon = None
    if cursor and int(stats["compactedLedger"]["entries"]) >= 0:
        ledger, _, entry = cursor["markDeletePosition"].partition(":")
        horizon = (int(ledger), int(entry))
    compacted = max(0, int(stats["compactedLedger"]["entries"]))
    return TopicExtent(tuple(ledgers), compacted, horizon)


def _path(topic: str) -> str:
    scheme, separator, rest = topic.partition("://")
    if not separator or rest.count("/") != 2:
        raise PulsarRefused(f"{topic} is not a topic's full name")
    return f"/admin/v2/{scheme}/{rest}"

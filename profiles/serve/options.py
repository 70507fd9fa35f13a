"""How a replica serves: addresses, limits, certificates."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

MAX_BATCH = 500
"""Most lookups in one batch; part of the interface, so not an option."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. They are read again when they change, so certificates renew without a restart.

    With `client_ca`, callers must show a certificate that it signed (mTLS).
    """

    certificate: Path
    private_key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How a replica serves. Call `verify` before use.

    - `address`: ``host:port``, ``[v6]:port`` or ``unix:/path``; port 0 takes any free one.
    - `tls`: None serves in the clear, which only loopback and Unix sockets allow
      unless `allow_insecure` is set.
    - `threads`: for lookups; `identity_threads`: for calls that read the graph,
      apart from them so that a slow graph holds up no lookup; `streams`: most
      streams open at once, each holds a thread.
    - `max_calls`: most calls at once, streams included; more are refused with
      RESOURCE_EXHAUSTED.
    - `max_request_bytes`, `max_answer_bytes`: sizes of one message.
    - `core`: keep the server's threads on this core: a tenth less CPU time per
      lookup and about a third more lookups a second; None: anywhere.
    - `reuse_port`: let several processes serve one port; worth it only when each
      has a core of its own.
    - `reflection`: list the services to whoever asks.
    """

    address: str = "127.0.0.1:50051"
    tls: TlsFiles | None = None
    allow_insecure: bool = False
    threads: int = 8
    identity_threads: int = 4
    streams: int = 64
    max_calls: int = 1_000
    max_request_bytes: int = 1 << 20
    max_answer_bytes: int = 32 << 20
    core: int | None = None
    reuse_port: bool = False
    reflection: bool = False

    def verify(self) -> list[str]:
        """Every problem at once, each naming its key; empty when there is none."""
        numbers = ("threads", "identity_threads", "streams", "max_calls")
        sizes = ("max_request_bytes", "max_answer_bytes")
        problems = [f"{key}: must be at least 1" for key in numbers if getattr(self, key) < 1]
        problems += [f"{key}: must be at least 1024" for key in sizes if getattr(self, key) < 1024]
        problems += self._verify_address()
        if self.tls is not None:
            problems += _verify_files(self.tls)
        if self.core is not None and self.core < 0:
            problems.append("core: must be 0 or more")
        return problems

    def _verify_address(self) -> list[str]:
        host, _, port = self.address.rpartition(":")
        if self.address.startswith("unix:"):
            return []
        if not host or not port.isdecimal() or int(port) > 65_535:
            return ["address: must be host:port, [v6]:port or unix:/path"]
        if self.tls is None and not self.allow_insecure and not _is_loopback(host):
            return ["address: reaches beyond this machine; give tls, or set allow_insecure"]
        return []


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _verify_files(tls: TlsFiles) -> list[str]:
    files = {"certificate": tls.certificate, "private_key": tls.private_key}
    if tls.client_ca is not None:
        files["client_ca"] = tls.client_ca
    return [f"tls.{key}: no such file" for key, path in files.items() if not path.is_file()]

"""Server credentials from PEM files that may be renewed while the server runs."""

from __future__ import annotations

import logging

import grpc

from profiles.serve.options import TlsFiles

_LOG = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int], ...]


class Certificates:
    """The certificate in force: that of the files as they are, or the last one that could be read.

    Errors: `OSError` when the files cannot be read at the start. Later, files
    that cannot be read are logged and the certificate in force stays.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = self._look()
        self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that look at the files again with every handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._first,
            # None means unchanged, which the stubs leave out.
            self._renewed,  # type: ignore[arg-type]
            require_client_authentication=self._files.client_ca is not None,
        )

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new certificate, or None when nothing has changed."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return None
            fresh = self._read()
        except OSError:
            _LOG.warning("the certificate files cannot be read; serving with those read before")
            return None
        self._stamp = stamp
        return fresh

    def _look(self) -> _Stamp:
        files = (self._files.certificate, self._files.private_key, self._files.client_ca)
        stats = [path.stat() for path in files if path is not None]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in stats)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._files.private_key.read_bytes(), self._files.certificate.read_bytes())
        ca = self._files.client_ca
        return grpc.ssl_server_certificate_configuration(
            [pair], root_certificates=None if ca is None else ca.read_bytes()
        )

"""The audit log of this home, and who writes to it."""

from __future__ import annotations

from ingest.auditing import Auditor
from kinfold.settings import Settings
from kinfold.wiring import made_home, now_us
from profiles.audit_sqlite import SqliteAuditLog
from profiles.vault import KeyVault


def open_audit(settings: Settings, vault: KeyVault) -> SqliteAuditLog:
    """The log in the home folder; made at first use. Threads may share it.

    Raises:
        AuditError: it cannot be used; the words say why.
    """
    return SqliteAuditLog(made_home(settings) / "audit.sqlite3", vault.audit_key())


def open_auditor(settings: Settings, vault: KeyVault) -> Auditor:
    """What writes decisions of signals to this home's log."""
    return Auditor(open_audit(settings, vault), now_us)

"""The audit log of this home, and what is written to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing

from ingest.auditing import Auditor
from ingest.dead_letters import DeadLetter
from kinfold.register import Exported
from kinfold.settings import Settings
from kinfold.wiring import made_home, now_us, open_vault
from profiles.audit import Event, Kind, token
from profiles.audit_sqlite import SqliteAuditLog
from profiles.request_book import staff_token
from profiles.vault import KeyVault


def open_audit(settings: Settings, vault: KeyVault) -> SqliteAuditLog:
    """The log in the home folder; made at first use. Threads may share it.

    Raises:
        AuditError: it cannot be used; the words say why.
    """
    return SqliteAuditLog(made_home(settings) / "audit.sqlite3", vault.audit_key())


def log_export(settings: Settings, number: int, export: Exported) -> None:
    """Log an export; the recipient, who may be a person, as a token.

    Raises:
        AuditError, VaultError: it was not logged, and nothing may be handed out.
    """
    event = Event(
        Kind.EXPORT,
        f"{number}:{export.at_us}",
        now_us(),
        "export",
        (f"recipient:{export.recipient}",),
        {
            "what": export.what,
            "purpose": export.purpose,
            "people": export.people,
            "expires_us": export.expires_us,
        },
    )
    with (
        closing(open_vault(settings)) as vault,
        closing(open_audit(settings, vault)) as log,
    ):
        log.append([event])


def log_removed(settings: Settings, vault: KeyVault, letters: Iterable[DeadLetter]) -> None:
    """Log that dead letters are removed by hand: the ids, and who of staff does it if they said so.

    Raises:
        AuditError, VaultError: it was not logged, and nothing may be removed.
    """
    at_us, key, staff = now_us(), vault.audit_key(), settings.home.staff
    by = {"staff": staff_token(key, staff)} if staff else {}
    events = [
        Event(
            Kind.LETTER,
            f"{letter.id}:{letter.received_us}",
            at_us,
            "dead-letters",
            (),
            {"removed": letter.id, **by},
        )
        for letter in letters
    ]
    with closing(open_audit(settings, vault)) as log:
        log.append(events)


def desk_ids(vault: KeyVault) -> Callable[[str], str]:
    """From what a decision of staff is called to its signal's id, always the same one. Whoever has
    not the audit key, which never rotates, cannot tell it beforehand.

    Raises: VaultError.
    """
    key = vault.audit_key()
    return lambda name: "desk-" + token(key, f"desk\0{name}")


def open_auditor(settings: Settings, vault: KeyVault) -> Auditor:
    """What writes decisions of signals to this home's log."""
    return Auditor(open_audit(settings, vault), now_us)

"""The command line: `kinfold VERB`."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from identity.store import StoreError
from ingest.dead_letters import LettersError
from kinfold.cli.options import settings_of
from kinfold.cli.output import ASKED_WRONGLY, FAILED, fail
from kinfold.model_errors import ModelsError
from kinfold.settings import SettingsError
from profiles.audit import AuditError
from profiles.deletions import LEDGER, LedgerError, has_entries
from profiles.feed import FeedError
from profiles.read_view import ViewError
from profiles.request_store import RequestsError
from profiles.sealing import Unreadable
from profiles.vault import VaultError

VERBS = {
    "demo": "kinfold.cli.demo",
    "generate": "kinfold.cli.generate",
    "ingest": "kinfold.cli.ingest",
    "run": "kinfold.cli.run",
    "serve": "kinfold.cli.serve",
    "get": "kinfold.cli.get",
    "explain": "kinfold.cli.explain",
    "lineage": "kinfold.cli.lineage",
    "model": "kinfold.cli.model",
    "review": "kinfold.cli.review",
    "consent": "kinfold.cli.consent",
    "privacy": "kinfold.cli.privacy",
    "audit": "kinfold.cli.audit",
    "dead-letters": "kinfold.cli.dead_letters",
    "evaluate": "kinfold.cli.evaluate",
    "stats": "kinfold.cli.stats",
    "export": "kinfold.cli.export",
    "report": "kinfold.cli.report",
    "expire": "kinfold.cli.expire",
    "keys": "kinfold.cli.keys",
    "doctor": "kinfold.cli.doctor",
}

BRINGS_UP = frozenset({
    "get", "explain", "lineage", "model", "review", "consent", "privacy", "dead-letters", "stats",
    "export", "report", "expire", "keys",
})  # fmt: skip
"""Verbs before which what was put back from a backup is brought up to the deletion ledger.

Of the others `ingest`, `run` and `serve` do so with what they open, `demo` and `evaluate` have
homes of their own, and `generate`, `audit` and `doctor` read nobody's data.
"""

FAILURES = (
    AuditError, StoreError, VaultError, ViewError, LettersError, LedgerError, FeedError,
    ModelsError, RequestsError, Unreadable,
)  # fmt: skip
"""What any verb may meet that is nobody's mistake; the words hold no value and no driver's text."""


_OF_FILES = {
    errno.ENOENT: "is the path right?",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "is the path right?",
    errno.EACCES: "may you read and write it?",
    errno.EPERM: "may you read and write it?",
}
"""What to look at when a file cannot be used."""
_TYPED = re.compile(r"(invalid \w+(?: value)?): ('[^']*'|\"[^\"]*\")")


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command the way every verb tells it."""

    def error(self, message: str) -> NoReturn:
        """Print the error and the way out; ends the process."""
        raise SystemExit(fail(_without_values(message), f"{self.prog} --help", ASKED_WRONGLY))


def _without_values(message: str) -> str:
    """As argparse says it, but for what was typed: it may be about somebody."""
    head, unrecognized, words = message.partition("unrecognized arguments: ")
    if unrecognized:
        flags = [word.partition("=")[0] for word in words.split() if word.startswith("--")]
        count = len(words.split()) - len(flags)
        told = flags + [f"{count} words without a flag; put quotes around words"] * (count > 0)
        return head + unrecognized + ", ".join(told)
    return _TYPED.sub(r"\1", message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns its exit code: 0, 1 (it failed) or 2 (asked wrongly)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    args = parser.parse_args(arguments)
    if not hasattr(args, "run"):
        parser.print_help()
        return ASKED_WRONGLY
    try:
        if args.verb in BRINGS_UP and getattr(args, "local", True):
            _bring_up(args)
        return int(args.run(args))
    except SettingsError as error:
        for problem in error.problems[:-1]:
            print(f"error: {problem}", file=sys.stderr)
        return fail(error.problems[-1], f"kinfold {args.verb} --help", ASKED_WRONGLY)
    except FAILURES as error:
        return fail(str(error), "kinfold doctor says what is reachable")
    except KeyboardInterrupt:
        return fail("interrupted", "what was committed is kept; run it again to go on")
    except BrokenPipeError:
        # Whoever read the output has left; give the interpreter nothing to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        words = f"cannot use {error.filename or 'a file'}: {error.strerror}"
        return fail(words, _OF_FILES.get(error.errno or 0, "is the disk full?"))


def _bring_up(args: argparse.Namespace) -> None:
    # Here, not above: a home in which nobody was erased need not wait until it is loaded.
    settings = settings_of(args)
    if has_entries(settings.home_dir / LEDGER):
        from kinfold.restoring import bring_up  # noqa: PLC0415

        bring_up(settings)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Only the verb asked for is imported: the others' drivers take time to load."""
    parser = Parser(
        prog="kinfold",
        description="Folds device, login, record and behaviour signals into people.",
        epilog="Start with: kinfold demo",
    )
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    asked = next((word for word in arguments if word in VERBS), None)
    for verb, module_name in VERBS.items():
        if asked in (None, verb):
            module: ModuleType = importlib.import_module(module_name)
            module.add_parser(subparsers)
    return parser

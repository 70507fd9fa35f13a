"""What the verbs of `kinfold model` work with: keys, models, records."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from kinfold.cli.options import settings_of
from kinfold.cli.output import progress
from kinfold.evaluate.reading import NotEvaluable
from kinfold.model_errors import ModelUnknown
from kinfold.modelling.sources import Source, file_source, graph_source
from kinfold.models import RECORDS, Models
from kinfold.settings import Settings
from kinfold.wiring import now_us, open_models, open_sealer, open_store, open_tokens, open_vault
from profiles.vault import KeyVault


@dataclass(frozen=True, slots=True)
class Desk:
    """One home folder's keys and models, opened."""

    settings: Settings
    vault: KeyVault
    key: bytes
    models: Models

    def named(self, name: str | None) -> str:
        """The fingerprint that a name stands for; without one the model for records in force.

        Raises:
            ModelUnknown: there is none, or more than one.
        """
        if name is not None:
            return self.models.find(name)
        active = self.models.active(RECORDS)
        if active is None:
            raise ModelUnknown("no model for records is in force: name one, or activate one")
        return active


@contextmanager
def open_desk(args: argparse.Namespace) -> Iterator[Desk]:
    """The desk of the home folder that the flags name."""
    settings = settings_of(args)
    with closing(open_vault(settings)) as vault:
        key = open_tokens(vault).matching_key()
        yield Desk(settings, vault, key, open_models(settings, vault))


def add_source(parser: argparse.ArgumentParser) -> None:
    """Flags that say which records."""
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="CSV, JSON Lines or Parquet"
    )
    parser.add_argument(
        "--from-graph", action="store_true", help="instead of FILE: the records of the graph"
    )
    add_map(parser)


def add_map(parser: argparse.ArgumentParser) -> None:
    """The flag that says what columns hold."""
    parser.add_argument(
        "--map",
        metavar="COLUMN=ATTRIBUTE",
        action="append",
        default=[],
        help="what a column holds; other:NAME for any other text, nothing to leave it out",
    )


def mapped(args: argparse.Namespace) -> dict[str, str]:
    """What `--map` says, by column."""
    return dict(pair.partition("=")[::2] for pair in args.map)


def source_of(args: argparse.Namespace, desk: Desk) -> Source:
    """The records that the flags name.

    Raises:
        NotEvaluable: neither or both of FILE and --from-graph, or the file is not what was said.
    """
    if bool(args.file) is args.from_graph:
        raise NotEvaluable("give either FILE or --from-graph")
    if args.file:
        return file_source(args.file, mapped(args))
    reading = progress("reading", None, args.json)
    with closing(open_store(desk.settings)) as store, reading as advance:
        return graph_source(store, open_sealer(desk.vault), advance)


def today(args: argparse.Namespace) -> str:
    """The date to remember: `--date`, else today's, UTC."""
    given: date | None = args.date
    return (given or datetime.fromtimestamp(now_us() / 1e6, UTC).date()).isoformat()


def add_date(parser: argparse.ArgumentParser) -> None:
    """The flag that says what date to remember."""
    parser.add_argument("--date", type=_day, metavar="DATE", help="to remember (default: today)")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not a date like 2026-01-05") from None

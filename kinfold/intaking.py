"""From a source to evidence: how the command line's words become pipelines."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from identity.store import GraphStore
from ingest import mapping
from ingest.blanking import Blanking
from ingest.dead_letters import DeadLetters, Envelopes
from ingest.erasing import LettersAbout
from ingest.forms import MappedRows, SegmentMessages, Signals, Understanding
from ingest.intake import Intake
from ingest.letter_writing import LetterWriter
from ingest.mapping import RowMapping
from ingest.pipeline import Pipeline
from ingest.source import SignalSource
from kinfold.auditing import open_auditor
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import (
    Policies,
    graph_namer,
    ledger_path,
    now_us,
    open_intake,
    open_sealer,
)
from profiles.vault import KeyVault


@dataclass(frozen=True)
class Reading:
    """How input is to be read: `form` is `signals` or `segment`; `mapping` is a file or a name."""

    form: str = "signals"
    mapping: str = ""

    def understanding(self, intake: Intake) -> Understanding:
        """What turns this input into contributions.

        Raises:
            SettingsError: the mapping cannot be used; names each problem.
        """
        if self.mapping:
            return MappedRows(intake, read_mapping(self.mapping), self.mapping)
        if self.form == "segment":
            return SegmentMessages(intake, "segment")
        return Signals(intake)


def readers(intake: Intake) -> Callable[[str], Understanding | None]:
    """From the form that a dead letter names to what reads it; None when nothing here does."""

    def understanding(form: str) -> Understanding | None:
        kind, _, name = form.partition(":")
        try:
            reading = Reading("segment" if kind == "segment" else "signals", name)
            return reading.understanding(intake)
        except SettingsError:
            return None

    return understanding


def shipped_mappings() -> list[str]:
    """Names of the mappings that ship with kinfold."""
    folder = files("kinfold").joinpath("mappings")
    return sorted(
        each.name.removesuffix(".toml") for each in folder.iterdir() if each.name.endswith(".toml")
    )


def read_mapping(name: str) -> RowMapping:
    """A mapping by the path of its file, or by the name of one that ships with kinfold.

    Raises:
        SettingsError: there is none, or it has problems; names each.
    """
    try:
        if name in shipped_mappings():
            text = files("kinfold").joinpath("mappings", f"{name}.toml").read_text("utf-8")
        else:
            text = Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(shipped_mappings())
        raise SettingsError(
            [f"--mapping: cannot read {name}; name a TOML file, or one of {known}"]
        ) from error
    found = mapping.read(text)
    if isinstance(found, list):
        raise SettingsError([f"--mapping {name}: {problem}" for problem in found])
    return found


def letters_about(
    settings: Settings, policies: Policies, vault: KeyVault, intake: Intake
) -> LettersAbout:
    """What tells whom dead letters name, as the intake's keys name nodes."""
    envelopes = Envelopes(open_sealer(vault), vault.order_key())
    name_of = graph_namer(settings, policies, vault)
    return LettersAbout(envelopes, readers(intake), name_of, now_us())


@dataclass(frozen=True)
class Intaking:
    """What pipelines of one thread share. Not for use by two threads."""

    settings: Settings
    policies: Policies
    vault: KeyVault
    reading: Reading

    def pipeline(
        self,
        source: SignalSource,
        partition: str,
        store: GraphStore,
        letters: DeadLetters,
        stop: threading.Event,
        *,
        replay: bool = False,
    ) -> Pipeline:
        """A pipeline for one partition, with an intake of its own."""
        sealer = open_sealer(self.vault)
        intake = open_intake(self.settings, self.policies, self.vault, sealer)
        understand = self.reading.understanding(intake)
        envelopes = Envelopes(sealer, self.vault.order_key())
        writer = LetterWriter(envelopes, understand, partition)
        about = letters_about(self.settings, self.policies, self.vault, intake)
        ledger, kinds = ledger_path(self.settings), list(self.policies.identity.kinds)
        return Pipeline(
            source,
            partition,
            store,
            understand,
            letters,
            writer,
            now_us=now_us,
            stop=stop,
            replay=replay,
            audit=open_auditor(self.settings, self.vault),
            keys=intake,
            blank=Blanking(envelopes, about, store, kinds, ledger.exists),
        )

"""The dead letters that the settings name: a topic where Pulsar is set, else a file at home."""

from __future__ import annotations

from ingest.dead_letters import DeadLetters
from ingest.dead_letters_file import FileLetters
from kinfold.clusters import cluster_of
from kinfold.settings import Settings
from kinfold.wiring import made_home


def open_letters(settings: Settings) -> DeadLetters:
    """The dead letters; one object per thread.

    Raises:
        LettersError: they cannot be reached.
    """
    cluster = cluster_of(settings)
    if cluster is not None:
        # Here, not above: a driver that is not asked for need not be loaded.
        from ingest.dead_letters_pulsar import PulsarLetters  # noqa: PLC0415

        return PulsarLetters(cluster, settings.pulsar.dead_letters_topic)
    return FileLetters(made_home(settings) / "dead_letters.sqlite3")

"""Settings: who wins, and what is said of what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from kinfold.settings import Settings, SettingsError, load, settings_fields


def _file(folder: Path, text: str) -> str:
    path = folder / "kinfold.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_flags_over_environment_over_file_over_default(tmp_path: Path) -> None:
    """Each layer is heeded where the one above it is silent."""
    path = _file(tmp_path, "[ingest]\nbatch_size = 5\nlinger_ms = 5\nmax_ahead_s = 5\n")
    environment = {"KINFOLD_INGEST_BATCH_SIZE": "6", "KINFOLD_INGEST_LINGER_MS": "6"}
    settings = load({"settings": path, "ingest.batch_size": "7"}, environment)
    ingest = settings.ingest
    assert (ingest.batch_size, ingest.linger_ms, ingest.max_ahead_s) == (7, 6, 5)
    assert settings.serve == Settings().serve


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Wrong types, unknown keys and bad values are told together, each by its key."""
    path = _file(tmp_path, "[ingest]\nbatch_size = 'many'\n[graph]\ncolour = 1\n")
    with pytest.raises(SettingsError) as caught:
        load({"settings": path}, {"KINFOLD_SERVE_INSECURE": "perhaps"})
    keys = {problem.partition(":")[0] for problem in caught.value.problems}
    assert keys == {"ingest.batch_size", "graph.colour", "serve.insecure"}


def test_what_is_in_no_section_is_told(tmp_path: Path) -> None:
    """A key outside every section, and a value where a section belongs, are told by their names."""
    path = _file(tmp_path, "colour = 1\ngraph = 3\n")
    with pytest.raises(SettingsError) as caught:
        load({"settings": path}, {})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["colour", "graph"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("graph.url", "mysql://x"),
        ("graph.url", "neo4j://"),
        ("graph.url", "neo4j://user:secret@host:1"),
        ("pulsar.url", "kafka://host"),
        ("home.region", "Switzerland"),
        ("ingest.batch_size", "0"),
        ("graph.lease_ms", "1"),
        ("serve.tls_certificate", "only-one.pem"),
    ],
)
def test_bad_values_name_their_key(key: str, value: str) -> None:
    """A value that cannot work is refused before anything starts, without repeating a password."""
    with pytest.raises(SettingsError) as caught:
        load({key: value}, {})
    assert any(problem.startswith(key) for problem in caught.value.problems)
    assert "secret" not in str(caught.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A settings file that is not there is an error, not an empty file."""
    with pytest.raises(SettingsError, match="cannot read"):
        load({"settings": str(tmp_path / "none.toml")}, {})


def test_broken_file_is_told(tmp_path: Path) -> None:
    """A settings file that is no TOML says where it breaks."""
    with pytest.raises(SettingsError, match="not TOML"):
        load({"settings": _file(tmp_path, "[")}, {})


def test_every_setting_has_words() -> None:
    """The help has a line for each setting."""
    assert all(setting.metadata["words"] for _, setting in settings_fields())

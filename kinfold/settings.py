"""Settings: flags over environment over a TOML file over defaults, every problem told at once.

A setting `graph.url` is the flag `--graph-url`, the variable `KINFOLD_GRAPH_URL`
and `url` under `[graph]` of the file named by `--settings` or `KINFOLD_SETTINGS`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ENVIRONMENT_PREFIX = "KINFOLD_"


def _setting(default: Any, words: str, least: int | None = None) -> Any:
    return field(default=default, metadata={"words": words, "least": least})


@dataclass(frozen=True)
class HomeSettings:
    """Where this machine keeps what is its own."""

    dir: str = _setting(".kinfold", "folder for the embedded graph, keys and read view")
    policy: str = _setting("", "policy file; empty: the one that ships with kinfold")
    region: str = _setting("US", "region of phone numbers without a country code, ISO 3166-1")
    staff: str = _setting("", "who of staff acts, an id of the policy's [staff.ID]")


@dataclass(frozen=True)
class GraphSettings:
    """Where the identity graph rests."""

    url: str = _setting("sqlite:", "`sqlite:` (in the home folder), or neo4j://HOST:PORT")
    user: str = _setting("neo4j", "Neo4j user")
    password: str = _setting("", "Neo4j password; better in password_file")
    password_file: str = _setting("", "file that holds the Neo4j password")
    database: str = _setting("neo4j", "Neo4j database")
    lease_ms: int = _setting(10_000, "how long a resolver holds its lease unrenewed", 1_000)


@dataclass(frozen=True)
class IngestSettings:
    """How signals come in."""

    batch_size: int = _setting(2_000, "most signals in one transaction", 1)
    linger_ms: int = _setting(20, "longest a signal waits for its batch to fill", 0)
    max_ahead_s: int = _setting(300, "how far ahead of now an event time may be", 0)


@dataclass(frozen=True)
class PulsarSettings:
    """Where Pulsar is and which topics are ours."""

    url: str = _setting("", "pulsar://HOST:PORT; empty: no Pulsar")
    admin_url: str = _setting("", "http://HOST:PORT of Pulsar's admin interface")
    topic: str = _setting("persistent://public/default/kinfold-signals", "signals")
    partitions: int = _setting(4, "partitions of the signals topic when it is made", 1)
    subscription: str = _setting("kinfold", "subscription of the consumers")
    feed_topic: str = _setting("persistent://public/default/kinfold-profiles", "profile feed")
    dead_letters_topic: str = _setting(
        "persistent://public/default/kinfold-dead-letters", "dead letters"
    )


@dataclass(frozen=True)
class ServeSettings:
    """How profiles are served."""

    listen: str = _setting("127.0.0.1:50061", "address of the gRPC server")
    max_silence_ms: int = _setting(
        60_000, "silence of the feed after which consent counts as unknown", 1_000
    )
    tls_certificate: str = _setting("", "PEM file with the server's certificate chain")
    tls_key: str = _setting("", "PEM file with the server's private key")
    tls_client_ca: str = _setting("", "PEM file with the authority of callers' certificates")
    insecure: bool = _setting(False, "serve without TLS beyond this machine")
    reflection: bool = _setting(False, "let callers list the services")


@dataclass(frozen=True)
class StatisticsSettings:
    """What of the figures may be seen."""

    minimum: int = _setting(20, "fewest people behind any number that is told", 3)
    group: str = _setting("", "attribute of records whose groups are compared for bias")
    register: str = _setting(
        "", "file of the register that homes on one graph share; empty: register.sqlite3 at home"
    )


@dataclass(frozen=True)
class KeysSettings:
    """How keys rotate."""

    rotate_days: int = _setting(90, "days after which an epoch's key is rotated; 0: by hand", 0)
    kms_key: str = _setting("", "AWS KMS key over the root key (ARN or alias/NAME); empty: a file")
    kms_endpoint: str = _setting("", "another address of AWS KMS")


@dataclass(frozen=True)
class Settings:
    """All settings, one part per concern."""

    home: HomeSettings = field(default_factory=HomeSettings)
    graph: GraphSettings = field(default_factory=GraphSettings)
    ingest: IngestSettings = field(default_factory=IngestSettings)
    pulsar: PulsarSettings = field(default_factory=PulsarSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    statistics: StatisticsSettings = field(default_factory=StatisticsSettings)
    keys: KeysSettings = field(default_factory=KeysSettings)

    @property
    def home_dir(self) -> Path:
        """The home folder as a path."""
        return Path(self.home.dir)


PARTS: Mapping[str, type[Any]] = {
    "home": HomeSettings,
    "graph": GraphSettings,
    "ingest": IngestSettings,
    "pulsar": PulsarSettings,
    "serve": ServeSettings,
    "statistics": StatisticsSettings,
    "keys": KeysSettings,
}


class SettingsError(Exception):
    """Settings that cannot be used. `problems` names each key and the way out."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def settings_fields() -> Iterator[tuple[str, Field[Any]]]:
    """Every setting as (key, field), for example ("graph.url", …)."""
    for name, part in PARTS.items():
        for setting in fields(part):
            yield f"{name}.{setting.name}", setting


def load(flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """Settings from flags (by key, None: not given), environment and file.

    Raises:
        SettingsError: with every problem at once.
    """
    problems: list[str] = []
    path = flags.get("settings") or environment.get(ENVIRONMENT_PREFIX + "SETTINGS")
    document = _read(Path(str(path)), problems) if path else {}
    problems += _unknown(document, str(path))
    sections = {name: body for name, body in document.items() if isinstance(body, dict)}
    values: dict[str, dict[str, Any]] = {name: {} for name in PARTS}
    for key, setting in settings_fields():
        section, name = key.split(".")
        variable = ENVIRONMENT_PREFIX + key.replace(".", "_").upper()
        given = flags.get(key)
        if given is None:
            given = environment.get(variable)
        if given is None:
            given = sections.get(section, {}).get(name)
        if given is not None:
            values[section][name] = _convert(key, setting, given, problems)
    if problems:
        raise SettingsError(problems)
    settings = Settings(**{name: part(**values[name]) for name, part in PARTS.items()})
    problems = verify(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problems.append(f"settings: cannot read {path}: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"settings: {path} is not TOML: {error}")
    return {}


def _unknown(document: Mapping[str, Any], path: str) -> list[str]:
    known = {key for key, _ in settings_fields()}
    given = [
        key
        for section, body in document.items()
        for key in (_keys(section, body) if isinstance(body, dict) else [section])
    ]
    return [
        f"{key}: unknown in {path}; `kinfold doctor --settings-help` lists all settings"
        for key in given
        if key not in known
    ]


def _keys(section: str, body: Mapping[str, Any]) -> list[str]:
    return [f"{section}.{name}" for name in body]


def _convert(key: str, setting: Field[Any], given: object, problems: list[str]) -> object:
    default: object = setting.default
    if isinstance(default, bool):
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(given).lower() in words:
            return words[str(given).lower()]
        problems.append(f"{key}: must be true or false")
    elif isinstance(default, int):
        try:
            return int(str(given).replace("_", ""))
        except ValueError:
            problems.append(f"{key}: must be a whole number")
    elif isinstance(given, str):
        return given
    else:
        problems.append(f"{key}: must be text")
    return default


def verify(settings: Settings) -> list[str]:
    """Every problem with the settings, each naming its key and the way out; [] when sound."""
    problems = []
    for key, setting in settings_fields():
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name)
        least = setting.metadata["least"]
        if least is not None and value < least:
            problems.append(f"{key}: must be {least} or more")
    problems += _url_problem("graph.url", settings.graph.url, ("sqlite", "neo4j", "bolt"))
    if settings.pulsar.url:
        problems += _url_problem("pulsar.url", settings.pulsar.url, ("pulsar", "pulsar+ssl"))
        problems += _url_problem("pulsar.admin_url", settings.pulsar.admin_url, ("http", "https"))
    if len(settings.home.region) != 2 or not settings.home.region.isalpha():
        problems.append("home.region: must be two letters, for example CH")
    if bool(settings.serve.tls_certificate) is not bool(settings.serve.tls_key):
        problems.append("serve.tls_certificate: give it together with serve.tls_key")
    return problems


def _url_problem(key: str, url: str, schemes: tuple[str, ...]) -> list[str]:
    parts = urlsplit(url)
    if parts.scheme not in schemes:
        wanted = " or ".join(f"{scheme}:" for scheme in schemes)
        return [f"{key}: must begin with {wanted}"]
    if parts.scheme != "sqlite" and not parts.hostname:
        return [f"{key}: names no host"]
    if parts.password:
        return [f"{key}: holds a password; use graph.password_file"]
    return []

"""Builds every part from the settings: the only place that knows them all."""

from __future__ import annotations

import os
import secrets
import socket
import time
import tomllib
from base64 import b32encode
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from identity import policy as identity_policy
from identity import retention
from identity.model import RECORD_KIND, NodeKey, PersonId
from identity.naming import Naming
from identity.normalize import Unusable, identifier
from identity.policy import IdentityPolicy
from identity.retention import Retention
from identity.store import GraphStore
from identity.tokens import Tokens
from ingest.intake import Intake
from ingest.payloads import read_purchase, read_record
from kinfold import policy_file
from kinfold.keys import STAGE, GraphNaming, KeyWatch, VaultKeys, chain_of
from kinfold.settings import Settings, SettingsError
from profiles import access, privacy_policy
from profiles import attributes as survivorship
from profiles import purposes as purpose_policy
from profiles.access import Access
from profiles.attributes import Survivorship
from profiles.build import Builder, Payloads, ProfilePolicy
from profiles.deletions import LEDGER, destroy_again
from profiles.lookup import Lookup
from profiles.people_quota import PeopleQuotas
from profiles.privacy_policy import PrivacyPolicy
from profiles.purposes import PurposePolicy
from profiles.read_view import ReadView
from profiles.sealing import Sealer
from profiles.turning import open_current
from profiles.vault import KeyVault
from profiles.vault_root import RootKey
from profiles.vault_sqlite import SqliteVault

if TYPE_CHECKING:
    from kinfold.comparing import ActiveModels
    from kinfold.models import Models


def new_person_id() -> PersonId:
    """A fresh person id: 128 random bits as 26 characters of lower-case base32."""
    return b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()


def now_us() -> int:
    """The time, microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def owner_name() -> str:
    """A name for this process as the holder of a lease."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Policies:
    """The policy file's parts."""

    identity: IdentityPolicy
    purposes: PurposePolicy
    survivorship: Survivorship
    half_life_days: int
    access: Access
    privacy: PrivacyPolicy
    retention: Retention


def open_policies(settings: Settings) -> Policies:
    """The policy file, verified.

    Raises:
        SettingsError: with every problem in it.
    """
    try:
        if settings.home.policy:
            text = Path(settings.home.policy).read_text("utf-8")
        else:
            text = files("kinfold").joinpath("default_policy.toml").read_text("utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"home.policy: cannot read {settings.home.policy}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            [f"home.policy: {settings.home.policy} is not TOML: {error}"]
        ) from error
    problems = policy_file.verify(document)
    if problems:
        raise SettingsError([f"home.policy: {problem}" for problem in problems])
    purposes = purpose_policy.parse(document)
    return Policies(
        identity_policy.parse(document),
        purposes,
        survivorship.parse(document),
        policy_file.half_life_days(document),
        access.parse(document, purposes),
        privacy_policy.parse(document),
        retention.parse(document),
    )


def made_home(settings: Settings) -> Path:
    """The home folder, made at first use; nobody else may enter it.

    Raises:
        SettingsError: it cannot be made.
    """
    home = settings.home_dir
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError([f"home.dir: cannot make {home}: {error.strerror}"]) from None
    return home


def open_vault(settings: Settings) -> SqliteVault:
    """The embedded key vault in the home folder; made at first use.

    Keys that the deletion ledger says are destroyed, and that came back with a
    backup, are destroyed again before anything is read with them.

    Raises:
        VaultError, LedgerError: it cannot be used; the words say why.
    """
    keys = made_home(settings) / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    vault = SqliteVault(keys / "vault.sqlite3", _root_key(settings, keys))
    destroy_again(ledger_path(settings), vault)
    return vault


def _root_key(settings: Settings, keys: Path) -> Path | RootKey:
    """Where the root key rests: in a file, or under a key of AWS KMS.

    Raises:
        SettingsError: what speaks to KMS is not installed.
    """
    key_id = settings.keys.kms_key
    if not key_id:
        return keys / "root.key"
    try:
        # Here, not above: few need it, and it is not installed unless asked for.
        from profiles.vault_kms import KmsRoot  # noqa: PLC0415
    except ImportError:
        raise SettingsError(["keys.kms_key: needs boto3; install kinfold[kms]"]) from None
    return KmsRoot(key_id, keys / "root.kms", settings.keys.kms_endpoint)


def ledger_path(settings: Settings) -> Path:
    """Where this home's deletion ledger is."""
    return made_home(settings) / LEDGER


def open_store(settings: Settings, *, patience_s: float = 30.0) -> GraphStore:
    """The graph store that `graph.url` names, migrated; waits so long for a server.

    Raises:
        StoreError: it cannot be reached or used.
        SettingsError: the password file cannot be read.
    """
    if settings.graph.url.startswith("sqlite"):
        # Here, not above: a driver that is not asked for need not be loaded.
        from identity.engines.sqlite import SqliteGraphStore  # noqa: PLC0415

        home = made_home(settings)
        path = settings.graph.url.partition(":")[2]
        return SqliteGraphStore(Path(path) if path else home / "graph.sqlite3")
    from identity.engines.neo4j.store import Neo4jGraphStore  # noqa: PLC0415

    auth = (settings.graph.user, store_password(settings))
    url, database = settings.graph.url, settings.graph.database
    return Neo4jGraphStore(url, auth, database, patience_s=patience_s)


def store_password(settings: Settings) -> str:
    """The password for Neo4j, from its file where one is named.

    Raises:
        SettingsError: the file cannot be read.
    """
    path = settings.graph.password_file
    if not path:
        return settings.graph.password
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise SettingsError([f"graph.password_file: cannot read {path}"]) from error


def open_sealer(vault: KeyVault) -> Sealer:
    """A sealer under the vault's current epoch."""
    return Sealer(vault, os.urandom)


def open_tokens(vault: KeyVault) -> Tokens:
    """The tokens by which the graph's nodes are named."""
    return Tokens(chain_of(vault), vault.order_key())


def open_models(settings: Settings, vault: KeyVault) -> Models:
    """The match models in the home folder, learnt and used with the vault's matching key."""
    # Here, not above: who compares nothing need not wait until numpy is loaded.
    from kinfold import models  # noqa: PLC0415

    keyed = models.keyed_by(open_tokens(vault).matching_key())
    return models.Models(made_home(settings) / "models", keyed)


def open_intake(
    settings: Settings, policies: Policies, vault: KeyVault, sealer: Sealer | None = None
) -> Intake:
    """An intake with the vault's keys; one per thread. It renews the sealer, where one is given."""
    keys = VaultKeys(vault, sealer or open_sealer(vault))
    return Intake(
        policies.identity,
        keys.chain,
        vault.order_key(),
        keys.sealer,
        region=settings.home.region.upper(),
        max_ahead_s=settings.ingest.max_ahead_s,
        purposes=policies.purposes,
        keys=keys,
        retention=policies.retention,
    )


def open_view(settings: Settings, *, read_only: bool = False) -> ReadView:
    """This machine's read view, in the home folder.

    Raises:
        ViewError: it cannot be opened; the words say why.
    """
    return open_current(view_root(settings), read_only=read_only)


def view_root(settings: Settings) -> Path:
    """The folder of this machine's read view, whose present file is in it or below."""
    return made_home(settings) / "view"


def open_builder(policies: Policies, vault: KeyVault, sealer: Sealer | None = None) -> Builder:
    """A builder of profiles, which seals with the sealer; one per thread."""
    policy = ProfilePolicy(
        policies.identity,
        policies.purposes,
        policies.survivorship,
        policies.half_life_days,
    )
    return Builder(policy, sealer or open_sealer(vault), Payloads(read_record, read_purchase))


def open_people_quotas(policies: Policies) -> PeopleQuotas:
    """The counts of whom callers are told of; one for all that a process serves."""
    return PeopleQuotas(policies.access, secrets.token_bytes(32), now_us)


def open_lookup(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    view: ReadView,
    people: PeopleQuotas | None = None,
    watch: KeyWatch | None = None,
) -> Lookup:
    """Lookups over a view; threads may share it. Without `people`, for this process alone.

    They take up rotated keys when `watch` tells.
    """
    sealer = open_sealer(vault)
    naming, former = (namer(settings, policies, open_tokens(vault)) for _ in range(2))
    silence_ms = settings.serve.max_silence_ms
    lookup = Lookup(view, sealer, policies.purposes, naming, silence_ms, people)

    def renew() -> None:
        chain, order = vault.token_keys(), vault.order_key()
        former.use(Tokens(chain[:-1] or chain, order))
        lookup.former = former if vault.agreed(STAGE) or chain != chain_of(vault) else None
        naming.use(Tokens(chain, order))
        sealer.renew()
        lookup.forget()

    renew()
    if watch is not None:
        watch.tell(renew)
    return lookup


def open_active_models(
    settings: Settings, policies: Policies, vault: KeyVault, sealer: Sealer | None = None
) -> ActiveModels:
    """The match models in force in the home folder; records are opened by the sealer."""
    sealer = sealer or open_sealer(vault)
    # Here, not above: as in `open_models`.
    from kinfold import comparing  # noqa: PLC0415

    means = comparing.Means(open_tokens(vault), sealer, policies.identity, policies.purposes)
    return comparing.ActiveModels(open_models(settings, vault), means)


def namer(settings: Settings, policies: Policies, tokens: Tokens) -> Naming:
    """Turns an identifier as callers know it into its node; None when it cannot be one."""
    return Naming(policies.identity, tokens, settings.home.region.upper())


def graph_namer(settings: Settings, policies: Policies, vault: KeyVault) -> GraphNaming:
    """Names identifiers as the graph's nodes are named at the moment, also while keys rotate."""
    return GraphNaming(vault, lambda tokens: namer(settings, policies, tokens))


def node_key(named: str, settings: Settings, policies: Policies, tokens: Tokens) -> NodeKey:
    """The node of an identifier named on the command line as `KIND:VALUE`.

    A record is named by the signal that asserted it: `record:SOURCE:SIGNAL_ID`.

    Raises:
        SettingsError: the kind is unknown or the value cannot be one of its kind.
    """
    kind, _, value = named.partition(":")
    if kind == RECORD_KIND:
        source, _, signal_id = value.partition(":")
        if not source or not signal_id:
            raise SettingsError(["identifier: write a record as record:SOURCE:SIGNAL_ID"])
        return tokens.record(source, signal_id)
    if kind == identity_policy.EXTERNAL:
        name, _, value = value.partition(":")
        kind = f"{kind}:{name}"
    if policies.identity.kind(kind) is None or not value:
        known = ", ".join(policies.identity.kinds)
        raise SettingsError([f"identifier: write KIND:VALUE, KIND being one of {known}"])
    form = identifier(kind, value, settings.home.region.upper())
    if isinstance(form, Unusable):
        raise SettingsError([f"identifier: this {kind} breaks the rule {form.rule}: {form.hint}"])
    return tokens.key(kind, form)

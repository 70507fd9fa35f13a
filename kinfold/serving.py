"""Serving from settings: a replica over its own read view, with identity beside it."""

from __future__ import annotations

from pathlib import Path

from identity.serve import IdentityAnswers
from kinfold.consents import open_consents
from kinfold.figures_served import export_stats
from kinfold.keys import KeyWatch
from kinfold.privacy import open_privacy
from kinfold.settings import Settings, SettingsError
from kinfold.wiring import (
    Policies,
    graph_namer,
    open_active_models,
    open_lookup,
    open_people_quotas,
    open_sealer,
    open_store,
)
from profiles.consent import is_apart
from profiles.read_view import ReadView
from profiles.serve.identity_service import IdentitySource
from profiles.serve.options import ServeOptions, TlsFiles
from profiles.serve.server import ProfileServer
from profiles.vault import KeyVault

_KEYS = {"address": "serve.listen", "tls.certificate": "serve.tls_certificate",
         "tls.private_key": "serve.tls_key", "tls.client_ca": "serve.tls_client_ca"}  # fmt: skip


def serve_options(settings: Settings) -> ServeOptions:
    """How to serve, verified.

    Raises:
        SettingsError: with every problem, by the setting's key.
    """
    serve = settings.serve
    tls = None
    if serve.tls_certificate:
        client_ca = Path(serve.tls_client_ca) if serve.tls_client_ca else None
        tls = TlsFiles(Path(serve.tls_certificate), Path(serve.tls_key), client_ca)
    options = ServeOptions(
        address=serve.listen,
        tls=tls,
        allow_insecure=serve.insecure,
        reflection=serve.reflection,
    )
    problems = options.verify()
    if problems:
        split = (problem.partition(": ") for problem in problems)
        raise SettingsError([f"{_KEYS.get(key, key)}: {words}" for key, _, words in split])
    return options


def open_server(
    settings: Settings,
    policies: Policies,
    vault: KeyVault,
    view: ReadView,
    watch: KeyWatch | None = None,
) -> ProfileServer:
    """A server over the view, not started and not ready yet; it hears from `watch` of rotated keys.

    Raises:
        SettingsError: it cannot serve so.
    """
    name_of = graph_namer(settings, policies, vault)
    consents = open_consents(settings, policies, vault)
    sealer = open_sealer(vault)
    models = open_active_models(settings, policies, vault, sealer)
    if watch is not None:
        watch.tell(sealer.renew)
    people = open_people_quotas(policies)
    identity = IdentitySource(
        lambda: open_store(settings),
        IdentityAnswers(policies.identity, name_of, is_apart, models.comparers),
        consents,
        lambda request: export_stats(settings, request),
        people,
        open_privacy(settings, policies, vault, people),
    )
    lookup = open_lookup(settings, policies, vault, view, people, watch)
    return ProfileServer(serve_options(settings), lookup, identity, access=policies.access)

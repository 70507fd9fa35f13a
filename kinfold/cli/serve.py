"""`kinfold serve`: answer lookups over gRPC from this replica's own read view."""

from __future__ import annotations

import argparse
import threading
import time
from contextlib import ExitStack, closing

from ingest.consumer import stopping_on_signals
from kinfold.cli.options import Subparsers, settings_of, verb
from kinfold.cli.output import OK, fail, warn
from kinfold.collecting import collect_less_often
from kinfold.feeds import keep_fresh
from kinfold.keys import KeyWatch
from kinfold.restoring import brought_up
from kinfold.serving import open_server
from kinfold.wiring import open_policies, open_vault, open_view
from profiles.access import reachable
from profiles.serve.server import CannotServe

_EXAMPLES = """  kinfold serve
  kinfold serve --serve-listen 127.0.0.1:0
  kinfold serve --pulsar-url pulsar://broker:6650 --pulsar-admin-url http://broker:8080 \\
      --serve-listen 0.0.0.0:50061 --serve-tls-certificate cert.pem --serve-tls-key key.pem
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the verb to the command line."""
    parser = verb(
        subparsers,
        "serve",
        "answer lookups over gRPC",
        examples=_EXAMPLES,
        sections=("home", "graph", "pulsar", "serve"),
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until told to stop. 0: stopped when told; 1: no address, or it cannot keep up."""
    settings = settings_of(args)
    policies = open_policies(settings)
    stop = threading.Event()
    with ExitStack() as stack:
        vault = stack.enter_context(closing(open_vault(settings)))
        view = stack.enter_context(closing(open_view(settings)))
        brought_up(settings, policies, vault, view)
        watch = KeyWatch(vault, time.monotonic)
        server = open_server(settings, policies, vault, view, watch)
        try:
            port = server.start()
        except CannotServe as error:
            return fail(str(error), "is another server running? choose with --serve-listen")
        stack.callback(server.stop)
        host = settings.serve.listen.rpartition(":")[0]
        if not reachable(policies.access, secured=bool(settings.serve.tls_certificate)):
            warn("the policy lets nobody call", "name callers under [callers] of the policy")
        print(f"listening on {host}:{port}; building the read view", flush=True)
        stack.enter_context(stopping_on_signals(stop))
        stack.enter_context(keep_fresh(settings, policies, vault, view, watch=watch, ended=stop))
        # A pass over everything would hold up every lookup for as long as it takes.
        collect_less_often()
        server.set_ready(True)
        print(f"ready: {view.people_count():,} ids known; Ctrl-C stops", flush=True)
        stop.wait()
    return OK

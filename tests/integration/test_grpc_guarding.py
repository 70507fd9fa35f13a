"""Nothing that a started server has registered answers a caller that may do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from kinfold.serving import open_server
from kinfold.wiring import open_policies, open_vault, open_view
from profiles.access import METHODS
from profiles.serve.server import ProfileServer
from tests.support.deployment import Deployment
from tests.support.grpc_calls import serving, told_by

ROOT = Path(__file__).parents[2]
TOKEN = "of a caller who may do nothing"  # noqa: S105 - it opens nothing
MORE = f"""
[callers.idle]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = []
"""
IDLE = (("authorization", f"Bearer {TOKEN}"),)
STRANGER = (("authorization", "Bearer nobody's"),)
FOR_ANYBODY = {
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}
"""What tells of the server, and of nobody."""
SOON_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ProfileServer]:
    """The whole of it, as `kinfold serve` puts it together, under a policy that lets nobody in."""
    shipped = (ROOT / "kinfold" / "default_policy.toml").read_text("utf-8")
    policy = tmp_path / "policy.toml"
    policy.write_text(shipped.replace('may = ["*"]', "may = []") + MORE, "utf-8")
    more = {
        "KINFOLD_HOME_POLICY": str(policy),
        "KINFOLD_SERVE_LISTEN": "127.0.0.1:0",
        "KINFOLD_SERVE_REFLECTION": "true",
    }
    settings = Deployment(tmp_path / "home", more).settings
    with closing(open_vault(settings)) as vault, closing(open_view(settings)) as view:
        made = open_server(settings, open_policies(settings), vault, view)
        made.set_ready(True)
        yield made


def registered(server: ProfileServer) -> Mapping[str, grpc.RpcMethodHandler[Any, Any]]:
    """Every method that a started server answers, as gRPC itself has it."""
    # There is no other way to ask; a library that keeps them elsewhere fails here.
    state: Any = server._server._state  # type: ignore[union-attr]
    found = dict(state.registered_method_handlers)
    for generic in state.generic_handlers:
        found.update(generic._method_handlers)
    return {name.removeprefix("/"): handler for name, handler in found.items()}


def refusals(
    channel: grpc.Channel, server: ProfileServer, shown: tuple[tuple[str, str], ...]
) -> dict[str, str]:
    """Code and reason with which each registered method refuses a caller; of one that does not,
    what else became of the call.
    """
    return {
        name: _called(channel, name, handler, shown) for name, handler in registered(server).items()
    }


def _called(
    channel: grpc.Channel,
    name: str,
    handler: grpc.RpcMethodHandler[Any, Any],
    shown: tuple[tuple[str, str], ...],
) -> str:
    sends = "stream" if handler.request_streaming else "unary"
    answers = "stream" if handler.response_streaming else "unary"
    method = getattr(channel, f"{sends}_{answers}")(f"/{name}")
    asked = iter([b""]) if handler.request_streaming else b""
    try:
        answer = method(asked, metadata=shown, timeout=SOON_S)
        if handler.response_streaming:
            next(answer)
            answer.cancel()
    except grpc.RpcError as error:
        refused = told_by(error)
        return f"{refused.code.name} {refused.reason}"
    return "answered"


@pytest.mark.parametrize(
    ("shown", "refusal"),
    [
        ((), "PERMISSION_DENIED NOT_ALLOWED"),
        (IDLE, "PERMISSION_DENIED NOT_ALLOWED"),
        (STRANGER, "UNAUTHENTICATED CALLER_UNKNOWN"),
    ],
    ids=["local", "known", "unknown"],
)
def test_no_method_answers_who_may_do_nothing(
    server: ProfileServer, shown: tuple[tuple[str, str], ...], refusal: str
) -> None:
    """Every method of a started server but health and reflection, each with its access rule."""
    with serving(server) as channel:
        found = refusals(channel, server, shown)
    assert set(found) - FOR_ANYBODY == set(METHODS)
    refused = {name for name, what in found.items() if what == refusal}
    assert refused == set(METHODS)


def test_a_method_without_a_guard_is_found(
    server: ProfileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was registered past the guard is among what the walk sees, as answered."""
    assemble = server._assemble

    def and_more() -> grpc.Server:
        assembled = assemble()
        handler = grpc.unary_unary_rpc_method_handler(lambda _, __: b"everything")
        service = "profiles.v1.ProfileService"
        methods = {"DropAll": handler}
        assembled.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods)])
        return assembled

    monkeypatch.setattr(server, "_assemble", and_more)
    with serving(server) as channel:
        found = refusals(channel, server, IDLE)
    assert set(found) - FOR_ANYBODY - set(METHODS) == {"profiles.v1.ProfileService/DropAll"}
    assert found["profiles.v1.ProfileService/DropAll"] == "answered"

"""Options say everything that is wrong with them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.serve.options import ServeOptions, TlsFiles


def test_what_ships_is_right() -> None:
    """The defaults have no problem and serve on loopback alone."""
    assert ServeOptions().verify() == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.8.9.1:1", "localhost:50051", "[::1]:50051", "unix:/tmp/k.sock"]
)
def test_this_machine_alone_may_be_served_in_the_clear(address: str) -> None:
    """Loopback addresses and Unix sockets need no certificate."""
    assert ServeOptions(address=address).verify() == []


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.com:1"])
def test_beyond_this_machine_needs_tls_or_a_clear_word(address: str, tmp_path: Path) -> None:
    """Any other address is a problem, unless there are certificates or it is allowed outright."""
    assert [p.split(":")[0] for p in ServeOptions(address=address).verify()] == ["address"]
    assert ServeOptions(address=address, allow_insecure=True).verify() == []
    pem = tmp_path / "a.pem"
    pem.touch()
    assert ServeOptions(address=address, tls=TlsFiles(pem, pem)).verify() == []


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Problems do not hide each other, and each begins with its key."""
    missing = tmp_path / "missing.pem"
    options = ServeOptions(
        address="nowhere",
        tls=TlsFiles(missing, missing, missing),
        threads=0,
        max_answer_bytes=1,
        core=-1,
    )
    assert [problem.split(":")[0] for problem in options.verify()] == [
        "threads",
        "max_answer_bytes",
        "address",
        "tls.certificate",
        "tls.private_key",
        "tls.client_ca",
        "core",
    ]

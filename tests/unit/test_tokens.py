"""Tokens are what their formulas say, and rotate without the values."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from identity.model import kind_of, token_of
from identity.tokens import Tokens, rekeying

FIRST = b"first key of thirty-two bytes...."
SECOND = b"second key of thirty-two bytes..."
ORDER = b"order key of thirty-two bytes...."


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def _text(token: bytes) -> str:
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


@given(st.text(), st.binary(min_size=32, max_size=200))
def test_a_token_is_the_hmac_of_kind_and_value(value: str, key: bytes) -> None:
    """For keys shorter and longer than a hash block, key() gives what `hmac` gives."""
    message = b"external:crm\0" + value.encode()
    expected = _text(_mac(key, message)[:16])
    assert Tokens([key], ORDER).key("external:crm", value) == f"external:crm:{expected}"


def test_a_rotation_wraps_the_token_before_it() -> None:
    """The token under two keys follows from the token under the first key alone."""
    before = Tokens([FIRST], ORDER).key("email", "a@example.com")
    after = Tokens([FIRST, SECOND], ORDER).key("email", "a@example.com")
    token = base64.urlsafe_b64decode(token_of(before) + "==")
    assert token_of(after) == _text(_mac(SECOND, token)[:16])
    assert kind_of(after) == "email"


def test_what_the_order_key_makes_outlives_a_rotation() -> None:
    """Order, signal, record and matching key stay the same when a token key is added."""
    one, two = Tokens([FIRST], ORDER), Tokens([FIRST, SECOND], ORDER)
    assert one.order("email", "a") == two.order("email", "a")
    assert one.signal("crm", "7") == two.signal("crm", "7")
    assert one.record("crm", "7") == two.record("crm", "7")
    assert one.matching_key() == two.matching_key() == _mac(ORDER, b"matching")


def test_order_and_signal_are_the_upper_63_bits_of_their_digests() -> None:
    """Both fit a signed 64-bit column and follow the stated formula."""
    tokens = Tokens([FIRST], ORDER)
    order = int.from_bytes(_mac(ORDER, b"email\0a")[:8], "big") >> 1
    signal = int.from_bytes(_mac(ORDER, b"signal\0crm\x007")[:8], "big") >> 1
    assert (tokens.order("email", "a"), tokens.signal("crm", "7")) == (order, signal)


def test_a_record_is_a_node_of_its_own_kind() -> None:
    """record() follows its formula and its kind is `record`."""
    key = Tokens([FIRST], ORDER).record("crm", "7")
    assert key == "record:" + _text(_mac(ORDER, b"record\0crm\x007")[:16])
    assert kind_of(key) == "record"


def test_kinds_keep_equal_values_apart() -> None:
    """The same value under two kinds gives tokens that cannot be compared."""
    tokens = Tokens([FIRST], ORDER)
    assert token_of(tokens.key("login", "x")) != token_of(tokens.key("customer_id", "x"))


def test_a_cell_follows_its_formula_and_outlives_a_rotation() -> None:
    """What activity counts by is named under the order key alone."""
    expected = _text(_mac(ORDER, b"cell\0network\x0010.0.0.1")[:16])
    assert Tokens([FIRST], ORDER).cell("network", "10.0.0.1") == expected
    assert Tokens([FIRST, SECOND], ORDER).cell("network", "10.0.0.1") == expected


@given(st.text(), st.lists(st.binary(min_size=32, max_size=80), max_size=3))
def test_rekeying_gives_what_the_longer_chain_gives(value: str, more: list[bytes]) -> None:
    """A key is wrapped without its value; a record's stays."""
    before = Tokens([FIRST], ORDER).key("external:crm", value)
    rekey = rekeying(more)
    assert rekey(before) == Tokens([FIRST, *more], ORDER).key("external:crm", value)
    assert rekey("record:0000000000000000000000") == "record:0000000000000000000000"

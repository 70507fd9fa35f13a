"""What every test may ask for: rewritten asserts in the contract suites, and real servers."""

from pathlib import Path

import pytest

# Without this a failing contract prints a bare AssertionError: its module is not a test file.
for _contract in sorted((Path(__file__).parent / "contracts").glob("*.py")):
    pytest.register_assert_rewrite(f"tests.contracts.{_contract.stem}")

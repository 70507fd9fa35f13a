"""docs/signals.md says what is true: each example is taken in, and no field or limit is wrong."""

import csv
import io
import re
import tomllib
from pathlib import Path

import orjson
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import Parse

import kinfold
from identity.model import Contribution
from identity.policy import parse
from ingest import mapping, normalise, validate
from ingest.dead_letters import OUTCOMES
from ingest.intake import Intake
from ingest.rejected import RULES
from ingest.v1 import signal_pb2
from profiles import purposes

PAGE = (Path(kinfold.__file__).parents[1] / "docs" / "signals.md").read_text()
BLOCKS = re.findall(r"^```(\w+) ?([\w ]*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
RECEIVED_US = 1_780_000_000_000_000


class Blank:
    """Seals by forgetting: this test opens nothing."""

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Nothing of either."""
        del plaintext, context
        return b""


def blocks(language: str, use: str) -> list[str]:
    """The page's examples of one use."""
    return [text for found, words, text in BLOCKS if (found, words) == (language, use)]


@pytest.fixture(scope="module")
def intake() -> Intake:
    """An intake under the policy that kinfold ships."""
    policy = Path(kinfold.__file__).with_name("default_policy.toml")
    document = tomllib.loads(policy.read_text())
    keys = ([b"t" * 32], b"o" * 32)
    return Intake(parse(document), *keys, Blank(), purposes=purposes.parse(document))


def one_line(text: str) -> bytes:
    """A spread-out example as the line it is in a file."""
    return orjson.dumps(orjson.loads(text))


def test_every_block_is_of_a_known_use() -> None:
    """So that no example escapes these tests by a misspelled mark."""
    names = {words.split()[1] for _, words, _ in BLOCKS if words.startswith("mapping")}
    known = {("json", "signal"), ("json", "segment")} | {
        pair
        for name in names
        for pair in (("toml", f"mapping {name}"), ("csv", f"rows {name}"), ("json", f"rows {name}"))
    }
    assert {(language, words) for language, words, _ in BLOCKS} <= known


@pytest.mark.parametrize("example", blocks("json", "signal"))
def test_every_signal_is_taken_in(intake: Intake, example: str) -> None:
    """As kinfold reads it and as protobuf's own JSON does."""
    Parse(example, signal_pb2.Signal())
    assert isinstance(intake.from_json(one_line(example), RECEIVED_US), Contribution)


def test_every_content_has_an_example() -> None:
    """Each content of the envelope, and every field of a record."""
    signals = [Parse(example, signal_pb2.Signal()) for example in blocks("json", "signal")]
    contents = signal_pb2.Signal.DESCRIPTOR.oneofs_by_name["content"].fields
    assert {s.WhichOneof("content") for s in signals} == {field.name for field in contents}
    said = {f.name for s in signals for f, _ in s.record_asserted.ListFields()}
    assert said == {f.name for f in signal_pb2.RecordAsserted.DESCRIPTOR.fields}


@pytest.mark.parametrize("example", blocks("json", "segment"))
def test_every_segment_message_is_taken_in(intake: Intake, example: str) -> None:
    """One outcome for each message of a batch."""
    outcomes = intake.from_segment(one_line(example), RECEIVED_US)
    assert len(outcomes) == len(orjson.loads(example).get("batch", [None]))
    assert all(isinstance(outcome, Contribution) for outcome in outcomes)


def test_every_mapped_row_is_taken_in(intake: Intake) -> None:
    """Each mapping has rows, and each row becomes a signal."""
    names = [words.split()[1] for _, words, _ in BLOCKS if words.startswith("mapping")]
    assert names
    for name in names:
        read = mapping.read(blocks("toml", f"mapping {name}")[0])
        assert isinstance(read, mapping.RowMapping), read
        rows = [row for text in blocks("csv", f"rows {name}") for row in _csv(text)]
        rows += [
            line.encode()
            for text in blocks("json", f"rows {name}")
            for line in text.split("\n")
            if line
        ]
        assert rows
        for position, row in enumerate(rows):
            outcome = intake.from_row(read, row, position, RECEIVED_US)
            assert isinstance(outcome, Contribution), outcome


def _csv(text: str) -> list[bytes | dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_no_field_is_left_out() -> None:
    """Every field of every message, and every behaviour, is told by its name."""
    told = set(re.findall(r"`([^`\n]+)`", PAGE))
    descriptors: list[Descriptor] = list(signal_pb2.DESCRIPTOR.message_types_by_name.values())
    for message in descriptors:
        if message.name in ("Signal", "LinkEnd", "SignalName", "Identifier", "PurposeDecision"):
            continue
        missing = {field.name for field in message.fields} - told
        assert not missing, (message.name, missing)
    for enum in (signal_pb2.BehaviourType, signal_pb2.Assurance, signal_pb2.LinkVerdict):
        assert {n for n in enum.keys() if not n.endswith("UNSPECIFIED")} <= told  # noqa: SIM118
    assert set(normalise.DEVICE_TYPES) <= told


def test_every_rule_is_told_in_its_words() -> None:
    """The tables of rules and reasons are the program's own."""
    for rule, words in {**RULES, **OUTCOMES}.items():
        assert f"| `{rule}` | {words} |" in PAGE


def test_limits_are_the_programs() -> None:
    """Numbers on the page are those that signals are judged by."""
    for line in (
        f"`source` | required, at most {validate.MAX_SOURCE_CHARS} characters",
        f"`signal_id` | required, at most {validate.MAX_SIGNAL_ID_CHARS} characters",
        f"more than {validate.MAX_AHEAD_S} seconds ahead",
        f"`identifiers` | 1 to {validate.MAX_IDENTIFIERS}",
        f"at most {normalise.MAX_AGENT_CHARS:,} characters",
        f"at most {validate.MAX_OTHER}, names of",
        f"Texts have at most {validate.MAX_TEXT_CHARS} characters",
        f"`sport/running`; at most {validate.MAX_CATEGORY_CHARS} characters",
    ):
        assert line in PAGE

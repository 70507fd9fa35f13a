"""`kinfold evaluate` on published data with known answers: the figures it must reach."""

import csv
import json
import os
import random
from pathlib import Path

import pytest

from identity.matching.attributes import understand
from identity.matching.matcher import Matcher
from identity.matching.model import MatchModel
from identity.matching.score import Scorer
from identity.matching.training import train
from kinfold.cli import main
from kinfold.modelling.resolving import order_of

KEY = b"a key of a test!"
DATA = Path(os.environ.get("KINFOLD_DATA", Path(__file__).parents[3] / "shared" / "data"))
QUALITIES = ("pairwise", "pairwise_best", "b3", "cluster_pairs")
FIGURES = {
    "records", "people", "true_people", "blocking_recall", *QUALITIES, "exact_people",
    "calibration_error", "log_loss", "churn", "intervals", "train_s", "stream_s",
    "records_per_s", "p50_ms", "p99_ms",
}  # fmt: skip


def data(name: str) -> Path:
    """A file of the published data, or a skip that says what is missing."""
    path = DATA / "people" / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"no {path}: set KINFOLD_DATA to the folder of the published data")
    return path


def evaluate(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> dict[str, object]:
    """What the command prints for a file."""
    assert main(["evaluate", str(path), "--labels", "cluster", "--json", *more]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def number(figures: dict[str, object], *path: str) -> float:
    """One figure, by the keys that lead to it."""
    value: object = figures
    for key in path:
        assert isinstance(value, dict)
        value = value[key]
    assert isinstance(value, float)
    return value


def records_of(path: Path) -> dict[str, dict[str, str]]:
    """A file's records by line, without its labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = understand([name for name in rows[0] if name not in ("cluster", "record_id")], {})
    return {
        str(line): {attribute: row[name] for name, attribute in columns.items() if row[name]}
        for line, row in enumerate(rows)
    }


def matched(
    records: dict[str, dict[str, str]], model: MatchModel, order: list[str], at_once: int
) -> list[frozenset[str]]:
    """The people of the records, given in an order, so many at a time."""
    matcher = Matcher(Scorer(model, KEY), order=lambda record: order_of(KEY, record))
    for start in range(0, len(order), at_once):
        matcher.update({record: records[record] for record in order[start : start + at_once]})
    return matcher.people()


MINUTES = pytest.mark.skipif(
    os.environ.get("KINFOLD_EVALUATE") != "all",
    reason="takes minutes: KINFOLD_EVALUATE=all runs it",
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "b3", "pairs"),
    [
        ("fake_1000", 0.93, 0.90),
        ("febrl3", 0.998, 0.998),
        pytest.param("households", 0.993, 0.975, marks=MINUTES),
        pytest.param("historical_dev", 0.92, 0.90, marks=MINUTES),
    ],
)
def test_people_are_found_as_promised(
    name: str, b3: float, pairs: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the default threshold, without labels or settings, people and probabilities are right."""
    figures = evaluate(capsys, data(name))
    assert figures.keys() >= FIGURES
    assert number(figures, "b3", "f1") >= b3
    assert number(figures, "cluster_pairs", "f1") >= pairs
    assert number(figures, "pairwise", "precision") >= 0.97
    assert number(figures, "calibration_error") <= 0.05
    assert number(figures, "log_loss") < number(figures, "log_loss_uncalibrated")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_real_records_give_the_same_people_in_any_order() -> None:
    """All at once, in batches and one at a time, in four orders: the same people."""
    records = records_of(data("fake_1000"))
    model = train(list(records.values()), name="fake", seed=1, key=KEY)
    lines = list(records)
    whole = matched(records, model, lines, len(lines))
    for seed, at_once in ((1, 1), (2, 1), (3, 7), (4, 300)):
        order = random.Random(seed).sample(lines, len(lines))
        assert matched(records, model, order, at_once) == whole


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_labels_change_nothing_but_the_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its labels scrambled, a file gives the same model and the same number of people."""
    rows = list(csv.DictReader(data("fake_1000").read_text("utf-8").splitlines()))
    labels = [row["cluster"] for row in rows]
    random.Random(5).shuffle(labels)
    scrambled = tmp_path / "scrambled.csv"
    with scrambled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"cluster": label} for row, label in zip(rows, labels, strict=True))
    told, untold = evaluate(capsys, data("fake_1000")), evaluate(capsys, scrambled)
    assert told["model"] == untold["model"]
    assert told["people"] == untold["people"]
    assert number(untold, "b3", "f1") < number(told, "b3", "f1")


def test_wrong_questions_are_answered_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column that is not there, or a mapping to no attribute, is named; the exit code is 2."""
    path = tmp_path / "people.csv"
    path.write_text("name,who\nAnn Lee,1\nBob Gray,2\n", "utf-8")
    assert main(["evaluate", str(path), "--labels", "cluster"]) == 2
    assert "cluster" in capsys.readouterr().err
    assert main(["evaluate", str(path), "--labels", "who", "--map", "name=nonsense"]) == 2
    assert "name=nonsense" in capsys.readouterr().err

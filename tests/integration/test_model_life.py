"""`kinfold model`: from records to a model in force, and back, as people use it."""

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import orjson
import pytest

from identity.matching.waterfall import cells
from kinfold.cli import main
from tests.support.command_line import EVENT
from tests.support.match_models import FAMILY, GIVEN, town, town_file

Capture = pytest.CaptureFixture[str]


class Home:
    """A home folder, and what the command line prints when run in it."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self.folder = folder
        self._capsys = capsys

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Run `kinfold model` with these words; what it printed."""
        assert main(["model", *map(str, words), "--home", str(self.folder / "home")]) == code
        out, err = self._capsys.readouterr()
        return err if code else out

    def json(self, *words: str | Path) -> Any:
        """The same, as data."""
        return json.loads(self.run(*words, "--json"))

    def trained(self, path: Path, *more: str) -> str:
        """The fingerprint of a model of a file."""
        model = self.json("train", path, *more)["model"]
        assert isinstance(model, str)
        return model


@pytest.fixture
def home(tmp_path: Path, capsys: Capture) -> Home:
    """An empty home folder."""
    return Home(tmp_path, capsys)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A town's records."""
    return town_file(tmp_path / "people.csv", people=200, seed=5)


def test_training_is_seeded(home: Home, people: Path) -> None:
    """The same file and seed give the same model; another file gives another."""
    one = home.trained(people)
    assert home.trained(people) == one
    other = town_file(home.folder / "others.csv", people=120, seed=6)
    assert home.trained(other) != one
    assert [kept["active"] for kept in home.json("list")] == [False, False]


def test_labels_and_groups_do_not_change_the_model(home: Home, people: Path) -> None:
    """Whoever the labels say, and whatever is told by group, the model learnt is the same."""
    rows = rows_of(people)
    scrambled = home.folder / "scrambled.csv"
    with scrambled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "who": "x", "canton": "y"} for row in rows)
    plain = home.trained(people, "--name", "town")
    assert home.trained(scrambled, "--name", "town", "--group", "canton") == plain


def test_the_card_tells_all_and_nothing_personal(home: Home, people: Path) -> None:
    """Data, date, parameters, blocking, estimates, calibration, groups and limits are told."""
    pin = home.trained(people, "--group", "canton", "--date", "2026-01-05")
    told = home.json("show", pin[:6])
    card = told["card"]
    assert card["date"] == "2026-01-05"
    assert card["data"]["name"] == "people.csv"
    assert card["data"]["records"] == told["records"] == len(rows_of(people))
    same = told["comparisons"][0]["levels"][0]
    assert same["level"] == "same"
    assert 0 < same["u"] < same["m"] < 1 < same["bits"]
    assert 0 < told["blocking_recall"] <= 1
    assert all(own["pairs"] >= 0 and own["bound"] > 1 for own in told["blocking"])
    falling = [own["pairs"] for own in card["at_thresholds"]]
    assert falling == sorted(falling, reverse=True)
    assert sum(own["pairs"] for own in card["histogram"]) == card["resolved"]["pairs"]
    assert [own["group"] for own in card["groups"]["groups"]] == ["gr", "tg", "vs"]
    assert any("No answers were used" in limit for limit in card["limits"])
    files = "".join(path.read_text() for path in (home.folder / "home/models").iterdir())
    lines = home.run("show", pin)
    for name in GIVEN + FAMILY:
        assert name not in files
        assert name not in lines
    for words in ("estimated from its own", "known limits", "by group in canton", "blocking:"):
        assert words in lines
    assert max(map(cells, lines.splitlines())) <= 80


def rows_of(path: Path) -> list[dict[str, str]]:
    """A file's rows."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_group_at_a_disadvantage_shows(home: Home) -> None:
    """Where one group's records are poorer, more of its matches are withheld, and it shows."""
    records, _ = town(260, seed=8)
    path = home.folder / "uneven.csv"
    columns = ["given_name", "family_name", "birth_date", "email", "city", "gender", "side"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        for record in records:
            poor = record.get("family_name", "").startswith(("a", "b", "c", "d", "e", "f", "g"))
            kept = {} if poor else {"email": record.get("email", "")}
            said = {name: record.get(name, "") for name in ("given_name", "city", "gender")}
            date = record.get("birth_date", "")[:4] if poor else record.get("birth_date", "")
            family = record.get("family_name", "")
            writer.writerow({**said, **kept, "birth_date": date, "family_name": family,
                             "side": "poor" if poor else "rich"})  # fmt: skip
    pin = home.trained(path, "--group", "side")
    groups = home.json("show", pin)["card"]["groups"]
    poor, rich = groups["groups"]
    assert (poor["group"], rich["group"]) == ("poor", "rich")
    assert poor["withheld"] > 1.3 * rich["withheld"]
    assert poor["expected_precision"] < rich["expected_precision"] - 0.01
    assert groups["apart"]["withheld"] == pytest.approx(
        poor["withheld"] - rich["withheld"], abs=2e-4
    )


def test_a_column_of_many_values_is_no_group(home: Home, people: Path) -> None:
    """A column whose values are hardly shared might be personal: it is refused."""
    told = home.run("train", people, "--group", "email", code=2)
    assert "a column of groups" in told
    assert "post.example" not in told
    assert not home.json("list")


def test_activate_and_back(home: Home, people: Path) -> None:
    """A model is in force when somebody says so, and the one before when somebody goes back."""
    one, two = home.trained(people), home.trained(people, "--seed", "9")
    assert one != two
    assert home.json("activate", one[:8])["active"] == one
    assert home.json("activate", two)["before"] == one
    assert f"model {two} (in force)" in home.run("show")
    assert home.json("back")["active"] == one
    assert home.json("back")["active"] is None
    assert "no model for records is in force" in home.run("back", code=1)
    assert "no model for records is in force" in home.run("show", code=1)


def test_compare_says_what_becomes_of_the_people(home: Home, people: Path) -> None:
    """Merged, split and unchanged people add up; examples name rows; the way back is the mirror."""
    one = home.trained(people)
    two = home.trained(town_file(home.folder / "others.csv", people=40, seed=3))
    there, back = home.json("compare", one, two, people), home.json("compare", two, one, people)
    for told in (there, back):
        changed = [told[kind] for kind in ("merged", "split", "regrouped")]
        for side in ("before", "after"):
            assert told[side]["people"] == told["unchanged"] + sum(
                own[f"people_{side}"] for own in changed
            )
        assert 0 < told["churn"]["records"] <= sum(own["records"] for own in changed)
    assert there["merged"]["people_before"] == back["split"]["people_after"]
    assert there["churn"] == back["churn"]
    examples = [own for kind in ("merged", "split") for own in there[kind]["examples"]]
    named = [name for own in examples for person in own["before"] for name in person]
    assert named
    assert all(name.startswith("row ") for name in named)
    assert home.json("compare", one, one, people)["churn"] == {"records": 0, "share": 0.0}
    assert "churn" in home.run("compare", one, two, people)


def test_calibrate_makes_a_new_model(home: Home, people: Path) -> None:
    """Labels give another version with the same weights, whose origin its card names."""
    one = home.trained(people)
    made = home.json("calibrate", one, people, "--labels", "who")
    two = made["model"]
    assert two != one
    measured = made["card"]["calibration"]
    assert measured["from"] == "labels"
    assert measured["matches"] < measured["pairs"]
    assert measured["log_loss_after"] < measured["log_loss_uncalibrated"]
    assert made["card"]["made_by"] == f"calibrated from {one}"
    first, second = home.json("show", one), home.json("show", two)
    assert second["comparisons"] == first["comparisons"]
    assert second["calibration_points"] != first["calibration_points"]
    assert not any("No answers" in limit for limit in second["card"]["limits"])


def test_explain_shows_two_rows(home: Home, people: Path) -> None:
    """Data, lines of 80 columns and a drawing tell the same weight; no value is shown."""
    pin = home.trained(people)
    labels = [row["who"] for row in rows_of(people)]
    first, second = next(
        (a, b) for a in range(len(labels)) for b in range(a) if labels[a] == labels[b]
    )
    rows = (str(first + 1), str(second + 1))
    drawing = home.folder / "why.svg"
    told = home.json("explain", *rows, people, "--model", pin, "--svg", drawing)
    assert told["verdict"] == "link"
    assert sum(bar["bits"] for bar in told["bars"]) == pytest.approx(told["weight_bits"])
    lines = home.run("explain", *rows, people, "--model", pin).splitlines()
    assert all(cells(line) <= 80 for line in lines)
    assert f"{told['weight_bits']:+.2f}" in lines[len(told["bars"]) + 1]
    root = ET.parse(drawing).getroot()  # noqa: S314 - our own drawing
    assert root.findtext("{http://www.w3.org/2000/svg}title") == (
        f"Rows {rows[0]} and {rows[1]} under model {pin}"
    )
    shown = drawing.read_text() + "\n".join(lines)
    assert not any(name in shown for name in GIVEN + FAMILY)
    assert "rows 1 to" in home.run("explain", "0", "1", people, "--model", pin, code=2)


def test_review_lists_what_is_in_doubt(home: Home, people: Path) -> None:
    """Only pairs between the two thresholds wait, the likeliest first, at most as many as asked."""
    home.run("activate", home.trained(people))
    told = home.json("review", people, "--limit", "3")
    assert told["waiting"] >= len(told["cases"]) > 0
    chances = [case["probability"] for case in told["cases"]]
    assert chances == sorted(chances, reverse=True)
    assert all(0.1 <= chance < 0.5 for chance in chances)
    assert len(told["cases"]) <= 3
    assert f"{told['waiting']:,} pairs to review" in home.run("review", people, "--limit", "3")


def test_mistakes_are_told(home: Home, people: Path) -> None:
    """What cannot be is answered with what is wrong and code 2, or 1 where a model is missing."""
    assert "FILE or --from-graph" in home.run("train", code=2)
    assert "FILE or --from-graph" in home.run("train", people, "--from-graph", code=2)
    assert "no such column" in home.run("train", people, "--map", "nonsense=email", code=2)
    assert "cannot be read" in home.run("train", home.folder / "none.csv", code=2)
    assert "has no column beast" in home.run("train", people, "--group", "beast", code=2)
    assert "no model begins with 77aa" in home.run("show", "77aa", code=1)
    assert "no model begins" in home.run("calibrate", "77aa", people, "--labels", "who", code=1)
    pin = home.trained(people)
    assert "--labels" in home.run("calibrate", pin, people, code=2)
    (home.folder / "home/models" / f"{pin}.json").write_text("{}")
    assert "not a model" in home.run("show", pin, code=1)


def test_thresholds_may_be_set(home: Home, people: Path) -> None:
    """Other thresholds make another model, with other pairs to link and to review."""
    usual = home.json("train", people)
    strict = home.json("train", people, "--link", "0.99", "--review", "0.05")
    assert strict["model"] != usual["model"]
    assert home.json("show", strict["model"])["thresholds"] == {"link": 0.99, "review": 0.05}
    assert strict["card"]["resolved"]["link"] < usual["card"]["resolved"]["link"]
    assert strict["card"]["resolved"]["review"] > usual["card"]["resolved"]["review"]
    for wrong in (("--link", "1.5"), ("--link", "0.2", "--review", "0.3"), ("--review", "0")):
        assert "probabilities" in home.run("train", people, *wrong, code=2)


def test_two_records_are_enough(home: Home) -> None:
    """The least that can be learnt from gives a model that can be shown; one record does not."""
    path = home.folder / "two.csv"
    path.write_text("name\nann lee\nbob ray\n")
    assert home.json("show", home.trained(path))["card"]["resolved"]["people"] == 2
    path.write_text("name\nann lee\n")
    assert "two records" in home.run("train", path, code=2)


# ---- from the graph ---------------------------------------------------------


def asserted(records: list[dict[str, str]]) -> list[dict[str, Any]]:
    """A signal per record."""
    names = {"given_name": "givenName", "family_name": "familyName", "birth_date": "birthDate",
             "email": "email", "gender": "gender"}  # fmt: skip
    return [
        {
            "source": "crm", "signalId": f"r-{number}", "eventTime": EVENT,
            "recordAsserted": {
                **{names[own]: value for own, value in record.items() if own in names},
                **({"address": {"city": record["city"]}} if "city" in record else {}),
            },
        }
        for number, record in enumerate(records)
    ]  # fmt: skip


def decided(left: int, right: int, number: int, *, same: bool) -> dict[str, Any]:
    """A decision of staff on two records."""
    ends = [{"record": {"source": "crm", "signalId": f"r-{own}"}} for own in (left, right)]
    verdict = "LINK_VERDICT_SAME" if same else "LINK_VERDICT_NOT_SAME"
    return {
        "source": "staff", "signalId": f"d-{number}", "eventTime": EVENT,
        "linkDecided": {"left": ends[0], "right": ends[1], "verdict": verdict},
    }  # fmt: skip


def test_the_graph_s_records_train_and_calibrate(home: Home, capsys: Capture) -> None:
    """Records in the graph give a model by token; what staff decided of them calibrates it."""
    records, labels = town(120, seed=4)
    signals = asserted(records)
    number = 0
    for left in range(len(records)):
        for right in range(left):
            same = labels[left] == labels[right]
            namesakes = records[left].get("family_name") == records[right].get("family_name", "-")
            if same or namesakes:
                signals.append(decided(left, right, number, same=same))
                number += 1
    path = home.folder / "signals.jsonl"
    path.write_bytes(b"".join(orjson.dumps(signal) + b"\n" for signal in signals))
    assert main(["ingest", str(path), "--home", str(home.folder / "home"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counted"] == len(signals)
    made = home.json("train", "--from-graph")
    assert made["card"]["data"]["name"] == "the graph"
    assert made["card"]["data"]["records"] == len(records)
    assert "city" in made["card"]["data"]["attributes"]
    fitted = home.json("calibrate", made["model"], "--from-graph")
    assert fitted["card"]["calibration"]["from"] == "decisions of staff"
    assert fitted["card"]["calibration"]["pairs"] > 0
    told = home.json("compare", made["model"], fitted["model"], "--from-graph")
    assert told["records"] == len(records)

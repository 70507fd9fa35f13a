import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kinfold.cli import main
from kinfold.evaluate.devices import evaluate, judge
from kinfold.evaluate.devices_reading import Study, read
from kinfold.evaluate.reading import NotEvaluable

DATA = Path(os.environ.get("KINFOLD_DATA", "../shared/data")) / "devices"


def study(folder: Path) -> tuple[Path, Path, Path]:
    """Four people with a phone and a desktop each at a home of their own, and one with neither."""
    events, about, truth = [], [], ["device,kind,person"]
    for person in range(4):
        for kind, said in (("phone", "mobile"), ("desktop", "desktop")):
            device = f"{kind}{person}"
            about.append({"device": device, "kind": kind, "os": "Android", "language": "lang=en"})
            truth.append(f"{device},{said},owner{person}")
            events += [
                {
                    "device": device,
                    "kind": kind,
                    "at": f"2026-03-{day + person:02}T{18 + person}:00:00Z",
                    "ip": f"home{person}",
                    "site": None,
                }
                for day in range(1, 9)
            ]
    paths = folder / "events.jsonl", folder / "about.jsonl", folder / "truth.csv"
    paths[0].write_text("\n".join(json.dumps(event) for event in events))
    paths[1].write_text("\n".join(json.dumps(own) for own in about))
    paths[2].write_text("\n".join(truth))
    return paths


def test_every_pair_of_a_small_study_is_found(tmp_path: Path) -> None:
    """Homes that nobody else uses link their devices, at the default threshold."""
    figures = evaluate(*study(tmp_path), seed=1)
    assert figures["pairwise"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert figures["true_pairs"] == figures["linked_pairs"] == 4
    assert figures["people"] == 4


def test_the_verb_prints_the_figures_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`kinfold evaluate --devices … --about … --truth … --json` prints one JSON document."""
    events, about, truth = map(str, study(tmp_path))
    asked = ["evaluate", "--devices", events, "--about", about, "--truth", truth, "--json"]
    assert main(asked) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["pairwise"]["f1"] == 1.0
    assert set(figures["baseline"]) == {"precision", "recall", "f1"}


def test_asked_without_all_three_files_it_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the missing flag's name."""
    assert main(["evaluate", "--devices", "events.jsonl"]) == 2
    assert "--about" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"device": "a", "kind": "phone", "at": "noon"}', "is not a time"),
        ('{"kind": "phone", "at": "2026-03-01T00:00:00Z"}', "no device"),
        ("[1]", "not an object"),
        ("{", "not JSON"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    """The error says which file and line, and what is wrong."""
    events, about, truth = study(tmp_path)
    events.write_text(line)
    with pytest.raises(NotEvaluable, match=f"events.jsonl:1: .*{problem}"):
        evaluate(events, about, truth, seed=1)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no study at {DATA}; KINFOLD_DATA names its folder")
def test_a_real_study_is_matched_better_than_by_its_baselines() -> None:
    """F1 and precision of .9, no worse than TF-IDF cosine with mutual best, and calibrated."""
    figures = evaluate(
        DATA / "events_dev.jsonl.gz", DATA / "devices_dev.jsonl", DATA / "truth_dev.csv", seed=1
    )
    assert figures["pairwise"]["f1"] >= max(
        0.9, figures["baseline"]["f1"], figures["baseline_network_site"]["f1"]
    )
    assert figures["pairwise"]["precision"] >= 0.9
    assert figures["calibration_error"] <= 0.05
    assert figures["log_loss"] < figures["log_loss_uncalibrated"]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no study at {DATA}; KINFOLD_DATA names its folder")
@pytest.mark.parametrize("number", range(4))
def test_part_of_a_real_study_is_matched_as_well_as_by_its_baselines(number: int) -> None:
    """Half of the people, or half of the time, precisely and no worse than TF-IDF cosine."""
    whole = read(DATA / "events_dev.jsonl.gz", DATA / "devices_dev.jsonl", DATA / "truth_dev.csv")
    part = half_of_the_time(whole, number) if number < 2 else half_of_the_people(whole, number)
    figures = judge(part, name="part", seed=1)
    assert figures["pairwise"]["f1"] >= figures["baseline"]["f1"]
    assert figures["pairwise"]["precision"] >= 0.85


def half_of_the_time(whole: Study, number: int) -> Study:
    """The sightings up to the middle one, or from there on."""
    times = sorted(seen.at_us for own in whole.sightings.values() for seen in own)
    middle = times[len(times) // 2]
    kept = {
        key: [seen for seen in own if (seen.at_us < middle) == (number == 0)]
        for key, own in whole.sightings.items()
    }
    return replace(whole, sightings={key: own for key, own in kept.items() if own})


def half_of_the_people(whole: Study, number: int) -> Study:
    """Every other person with all devices."""
    people = sorted({whole.owners.get(key, key) for key in whole.sightings})[number % 2 :: 2]
    kept = {
        key: own for key, own in whole.sightings.items() if whole.owners.get(key, key) in people
    }
    owners = {key: owner for key, owner in whole.owners.items() if owner in people}
    return replace(whole, sightings=kept, owners=owners)

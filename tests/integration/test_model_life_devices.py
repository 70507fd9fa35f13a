"""`kinfold model` for devices: trained from events, shown, put in force beside records."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from identity.matching.waterfall import cells
from kinfold.cli import main
from tests.support.match_models import town_file

START = datetime(2026, 3, 2, tzinfo=UTC)


def study(folder: Path, people: int, seed: int) -> tuple[Path, Path]:
    """Events and devices of people with a phone and a desktop, at home and in one office."""
    draw = random.Random(seed)
    events, about = [], []
    for number in range(people):
        for kind in ("phone", "desktop"):
            device = f"{kind[0]}-{number}"
            about.append({"device": device, "kind": kind, "os": "", "language": "de"})
            for day in draw.sample(range(20), 12):
                for hour, network in ((9, f"office-{number // 8}"), (20, f"home-{number}")):
                    at = START + timedelta(days=day, hours=hour, minutes=draw.randrange(60))
                    site = f"site-{draw.randrange(200)}"
                    events.append({"device": device, "kind": kind, "at": at.isoformat(),
                                   "ip": network, "site": site})  # fmt: skip
    paths = folder / "events.jsonl", folder / "devices.jsonl"
    for path, rows in zip(paths, (events, about), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def test_a_device_model_has_the_same_life(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seeded training, a card without a network or site, in force apart from records, and back."""

    def run(*words: str | Path) -> Any:
        assert main(["model", *map(str, words), "--home", str(tmp_path / "home"), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    events, about = study(tmp_path, people=25, seed=3)
    made = run("train", "--devices", events, "--about", about, "--date", "2026-03-30")
    assert run("train", "--devices", events, "--about", about)["model"] == made["model"]
    assert made["card"]["data"] == {
        "name": "events.jsonl", "devices": 50, "types": {"desktop": 25, "phone": 25},
    }  # fmt: skip
    assert made["card"]["linked"]["link"] >= 20
    told = run("show", made["model"])
    network = next(own for own in told["comparisons"] if own["comparison"] == "network")
    bits = [level["bits"] for level in network["levels"]]
    assert bits == sorted(bits)
    assert bits[-1] > 0
    records = run("train", town_file(tmp_path / "people.csv", people=60, seed=1))["model"]
    assert {own["kind"] for own in run("list")} == {"devices", "records"}
    for pin in (records, made["model"]):
        run("activate", pin)
    assert [own["active"] for own in run("list")] == [True, True]
    assert run("back", "--kind", "devices")["active"] is None
    assert run("show")["model"] == records
    assert main(["model", "show", made["model"], "--home", str(tmp_path / "home")]) == 0
    lines = capsys.readouterr().out
    assert max(map(cells, lines.splitlines())) <= 80
    written = "".join(path.read_text() for path in (tmp_path / "home/models").glob("*.json"))
    for value in ("home-1", "office-1", "site-1", "p-1"):
        assert value not in written
        assert value not in lines


def test_mistakes_about_devices_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Events without devices, or of devices that cannot be linked, are answered with code 2."""
    events, about = study(tmp_path, people=2, seed=3)
    words = ["model", "train", "--home", str(tmp_path / "home"), "--devices", str(events)]
    assert main(words) == 2
    assert "--about" in capsys.readouterr().err
    assert main([*words, "--about", str(about), "--from-graph"]) == 2
    assert "no other data" in capsys.readouterr().err
    phones = [line for line in events.read_text().splitlines() if "phone" in line]
    events.write_text("\n".join(phones))
    assert main([*words, "--about", str(about)]) == 2
    assert "no two devices of different types" in capsys.readouterr().err

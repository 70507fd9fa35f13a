"""What a user installs holds everything that the project wrote for them."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("identity", "profiles", "ingest", "kinfold")


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    """Every tracked file of the four packages is in the wheel, generated code and types too."""
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES],  # noqa: S607 - the user's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = {line for line in listed.stdout.splitlines() if (ROOT / line).exists()}
    assert any(each.endswith("_pb2.py") for each in expected)
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", *build, str(ROOT)], check=True)

    (wheel,) = tmp_path.glob("kinfold-*.whl")
    with ZipFile(wheel) as opened:
        held = set(opened.namelist())
    assert sorted(expected - held) == []
    assert any(each.endswith("licenses/LICENSE") for each in held)

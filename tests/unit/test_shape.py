"""The shape of the code: what no linter knows, each failure naming its cure."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HAND_WRITTEN = ("identity", "profiles", "ingest", "kinfold", "tests", "load_tests")
FUNCTION_LINES = 70
FILE_LINES = 500
VAGUE_FILES = {"utils.py", "helpers.py", "common.py", "misc.py", "common"}
VAGUE_CLASS = re.compile(r"Manager(s)?$|^Base(?=[A-Z]|$)|Base$")
CLOCKS_AND_CHANCE = {"now", "today", "utcnow", "uuid1", "uuid4", "urandom"}
# The design's list; a module of it that exists must be held by the contract in pyproject.toml.
PURE_CORE = (
    "identity.model",
    "identity.evidence",
    "identity.normalize",
    "identity.blocking",
    "identity.weights",
    "identity.limits",
    "identity.resolve",
    "identity.lineage",
    "identity.matching",
    "profiles.consent",
    "profiles.affinities",
)
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
# Written apart, so that this file does not hold what it looks for.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("registry", "npmjs", "org"),
        ("static", "crates", "io"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
    )
)


def tracked_files() -> list[Path]:
    """Every file of the project: under version control or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the user's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / line for line in listed.stdout.splitlines())
    return sorted(path for path in paths if path.is_file())


def hand_written() -> list[Path]:
    """Every Python file that a person wrote."""
    files = [
        path
        for path in tracked_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in HAND_WRITTEN
        and not GENERATED.search(path.name)
    ]
    assert files, "no Python found: is the test looking in the right folder?"
    return files


def functions(source: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a source text, nested ones and methods included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def too_long_functions(source: str) -> list[str]:
    """Each function over the limit, with its line and length, decorators and docstring counted."""
    found = []
    for function in functions(source):
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        lines = (function.end_lineno or first) - first + 1
        if lines > FUNCTION_LINES:
            found.append(f"{first} {function.name} has {lines} lines")
    return found


def untold_tests(source: str) -> list[str]:
    """Each test function without a docstring."""
    return [
        f"{function.lineno} {function.name}"
        for function in functions(source)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]


def vague_classes(source: str) -> list[str]:
    """Each class whose name says only that it manages something or that others build on it."""
    return [
        f"{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and VAGUE_CLASS.search(node.name)
    ]


def clock_and_chance(source: str) -> list[str]:
    """Each use of a clock or of chance that comes by way of a harmless import."""
    return [
        f"{node.lineno} {node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS_AND_CHANCE
    ]


def core_by_contract() -> list[str]:
    """The modules that the import contract holds to be pure."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (held,) = [each["source_modules"] for each in contracts if each["type"] == "forbidden"]
    assert isinstance(held, list)
    return held


def files_of(module: str) -> list[Path]:
    """The file of a module, or every file of a package."""
    path = ROOT / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def registry_hosts(text: str) -> list[str]:
    """Each package registry that a text names."""
    return [host for host in REGISTRY_HOSTS if host in text]


def report(found: dict[Path, list[str]], cure: str) -> None:
    """Fail with every place at once, and with what to do about it."""
    places = [f"{path.relative_to(ROOT)}:{each}" for path, all_ in found.items() for each in all_]
    if places:
        pytest.fail("\n".join([*places, f"cure: {cure}"]), pytrace=False)


def test_functions_are_short() -> None:
    """No function has more than 70 lines."""
    found = {path: too_long_functions(path.read_text()) for path in hand_written()}
    report(found, "take a step out of it that has a name of its own; aim under 40 lines")


def test_files_are_short() -> None:
    """No Python file has more than 500 lines."""
    lengths = {path: len(path.read_text().splitlines()) for path in hand_written()}
    found = {path: [f" {lines} lines"] for path, lines in lengths.items() if lines > FILE_LINES}
    report(found, "move what has another reason to change into a file of its own; aim under 400")


def test_every_test_says_what_it_shows() -> None:
    """Every test function has a docstring."""
    tests = [path for path in hand_written() if path.relative_to(ROOT).parts[0] == "tests"]
    found = {path: untold_tests(path.read_text()) for path in tests}
    report(found, "say in one sentence what holds when the test passes")


def test_no_file_is_a_drawer() -> None:
    """No file or folder has a name under which anything might be put."""
    found: dict[Path, list[str]] = {
        path: [""] for path in tracked_files() if VAGUE_FILES & set(path.relative_to(ROOT).parts)
    }
    report(found, "name the file for the one thing that it holds")


def test_no_class_is_a_manager_or_a_base() -> None:
    """No class is named Manager or Base, alone or as part of a longer name."""
    found = {path: vague_classes(path.read_text()) for path in hand_written()}
    report(found, "name what it does or promises; share by a function or a protocol")


def test_the_core_reads_no_clock_and_throws_no_dice() -> None:
    """No module of the core asks what time it is or makes up an id, by whatever import."""
    files = [path for module in core_by_contract() for path in files_of(module)]
    found = {path: clock_and_chance(path.read_text()) for path in files}
    report(found, "take the time or the id as an argument")


def test_the_whole_core_is_under_contract() -> None:
    """Every module of the design's pure core that exists is held by the import contract."""
    held = core_by_contract()
    found = {
        path: [" is not in the contract"]
        for module in PURE_CORE
        for path in files_of(module)
        if path.exists() and module not in held
    }
    report(found, "add it to source_modules of the forbidden contract in pyproject.toml")


def test_no_file_names_a_package_registry() -> None:
    """No file holds the address of a package registry: where packages come from is the user's."""
    found = {path: registry_hosts(path.read_text(errors="ignore")) for path in tracked_files()}
    report(found, "leave the address out; pip and the others know theirs from their own settings")


def test_the_measures_find_what_they_are_for() -> None:
    """Each measure finds an example of what it forbids and passes one of what it allows."""
    long = "def f():\n" + "    pass\n" * FUNCTION_LINES
    short = "def f():\n" + "    pass\n" * (FUNCTION_LINES - 1)
    assert too_long_functions(long) == [f"1 f has {FUNCTION_LINES + 1} lines"]
    assert too_long_functions(short) == []
    assert untold_tests("def test_x():\n    pass") == ["1 test_x"]
    assert untold_tests('def test_x():\n    """Holds."""') == []
    assert vague_classes("class LeaseManager: ...\nclass BaseStore: ...\nclass Baseline: ...") == [
        "1 LeaseManager",
        "2 BaseStore",
    ]
    assert clock_and_chance("import datetime\ndatetime.datetime.now()") == ["2 now"]
    assert clock_and_chance("def at(now): return now") == []
    assert registry_hosts(f"--index-url https://{REGISTRY_HOSTS[0]}/simple") == [REGISTRY_HOSTS[0]]
    assert registry_hosts("apache.org") == []

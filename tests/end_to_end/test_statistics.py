"""Figures, graph and profiles of a whole cohort, as analysts take them away."""

from __future__ import annotations

import io
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import networkx as nx
import orjson
import polars as pl
import pytest

from identity.v1.identity_service_pb2 import ExportStatsRequest
from identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from kinfold.generate.spec import CohortSpec
from kinfold.statistics.figures import SPECS
from tests.support.cohort import lines, made, personal_values
from tests.support.command_line import CommandLine

SPEC = CohortSpec(people=250, days=4, seed=11, pace=0.4)
READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "parquet": pl.read_parquet,
    "csv": pl.read_csv,
    "json": pl.read_json,
}
TO = ("--recipient", "lab", "--expires", "2030-01-31")


@pytest.fixture(scope="module")
def cohort() -> tuple[list[dict[str, Any]], Any]:
    """The cohort's signals and its truth."""
    return made(SPEC)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, cohort: Any) -> CommandLine:
    """A home that has taken the cohort in."""
    line = CommandLine(tmp_path_factory.mktemp("statistics"))
    (line.folder / "signals.jsonl").write_bytes(b"".join(lines(cohort[0])))
    line.does("ingest", "signals.jsonl", "--json")
    return line


def test_stats_tell_every_figure(line: CommandLine) -> None:
    """`kinfold stats` tells each figure, in text with bars and as JSON, rounded and explained."""
    told = line.does("stats").out
    assert all(spec.id in told for spec in SPECS)
    assert "█" in told
    answer = line.does("stats", "--json").json
    assert [one["id"] for one in answer["manifest"]["figures"]] == [spec.id for spec in SPECS]
    assert all(
        cell["value"] is None or cell["value"] % cell["to_nearest"] == 0 for cell in answer["cells"]
    )
    (everybody,) = [
        cell["value"]
        for cell in answer["cells"]
        if (cell["figure"], cell["part"]) == ("people_by_kind", "all")
    ]
    assert everybody > 200


@pytest.mark.parametrize("form", ["parquet", "csv", "json"])
def test_export_stats_as_files(line: CommandLine, form: str) -> None:
    """The same cells in each form, with a manifest of snapshot, policy, terms and definitions."""
    line.does("export", "stats", "--out", f"figures-{form}", "--format", form, *TO)
    folder = line.folder / f"figures-{form}"
    read = READERS[form]
    cells = read(folder / f"figures.{form}")
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    told = set(cells["figure"])
    of_models = {"score_distribution", "calibration", "decided_pairs", "record_attributes", "drift"}
    rare = {"erased", "match_by_group", "withheld_by_group", "repeated", "shared", "dead_letters"}
    assert {spec.id for spec in SPECS} - told <= of_models | rare
    assert (manifest["recipient"], manifest["minimum_people"]) == ("lab", 20)
    assert manifest["expires_at"] == "2030-01-31T00:00:00+00:00"
    assert len(manifest["policy"]) == 12
    assert manifest["snapshot"]["is_resolved"]
    assert {one["id"] for one in manifest["figures"]} == {spec.id for spec in SPECS}
    rates = read(folder / f"rates.{form}")
    assert {"match rate", "churn"} <= set(rates["rate"])
    assert rates["share"].is_between(0, 1).all()
    names = {f"figures.{form}", f"rates.{form}", "manifest.json"}
    assert {path.name for path in folder.iterdir()} == names


def test_largest_people_are_for_review_only(line: CommandLine) -> None:
    """`kinfold stats` lists ids of the largest people; they look up, and are in no figure."""
    answer = line.does("stats", "--json").json
    largest = answer.pop("largest_people")
    assert 0 < len(largest) <= 20
    told = line.does("stats", "--figure", "known").out
    assert all(person in told for person in largest)
    assert line.does("get", largest[0], "--local", "--json").json["person_id"] == largest[0]
    assert largest[0] not in orjson.dumps(answer).decode()


def test_nothing_personal_is_in_an_export(line: CommandLine, cohort: Any) -> None:
    """No raw value is in figures or graph, and no token is in the figures."""
    line.does("export", "stats", "--out", "clean", "--format", "json", *TO)
    line.does("export", "graph", "--out", "clean-graph", *TO)
    figures = (line.folder / "clean" / "figures.json").read_text()
    graph = (line.folder / "clean-graph" / "graph.graphml").read_text()
    values = {value for _, value in personal_values(cohort[0]) if len(value) > 6}
    assert not [value for value in values if value in figures or value in graph]
    tokens = {node.rpartition(":")[2] for node in nx.parse_graphml(graph).nodes}
    assert len(tokens) > 500
    assert not [token for token in tokens if token in figures]


def test_export_graph_in_both_forms(line: CommandLine) -> None:
    """GraphML and Parquet say the same: links between keys, and whose each key is."""
    line.does("export", "graph", "--out", "graph-xml", "--format", "graphml", *TO)
    line.does("export", "graph", "--out", "graph-tables", "--format", "parquet", *TO)
    graph = nx.read_graphml(line.folder / "graph-xml" / "graph.graphml")
    links = pl.read_parquet(line.folder / "graph-tables" / "links.parquet")
    members = pl.read_parquet(line.folder / "graph-tables" / "members.parquet")
    assert (links.columns, members.columns) == (["left", "right"], ["person_id", "node"])
    edges = {frozenset(edge) for edge in graph.edges}
    assert edges == {frozenset(pair) for pair in links.rows()} | {
        frozenset((f"person:{person}", node)) for person, node in members.rows()
    }
    assert not any(data for _, data in graph.nodes(data=True))


def exported(line: CommandLine) -> Iterator[tuple[Any, ...]]:
    """The rows of the register."""
    with sqlite3.connect(line.folder / ".kinfold" / "register.sqlite3") as register:
        yield from register.execute("SELECT what, recipient, purpose, people FROM exported")


def test_export_profiles_of_who_allows_it(line: CommandLine) -> None:
    """Only who said yes is in it, with what the purpose covers and no token; and it is logged."""
    line.does("export", "profiles", "--for", "analytics", "--out", "people.parquet", *TO)
    people = pl.read_parquet(line.folder / "people.parquet")
    assert people.height > 50
    assert people["identifiers"].null_count() == people.height
    assert "token" not in people.write_json()
    granted = [
        {said["purpose"]: said.get("granted") for said in orjson.loads(row)}
        for row in people["consents"]
    ]
    assert all(said["analytics"] for said in granted)
    assert ("profiles", "lab", "analytics", people.height) in set(exported(line))
    with sqlite3.connect(line.folder / ".kinfold" / "register.sqlite3") as register:
        listed = dict(register.execute("SELECT row_id, person FROM exported_person").fetchall())
    assert listed.keys() == set(people["row_id"])
    for row, devices in people.select("row_id", "devices").drop_nulls().head(3).rows():
        asked = ("get", listed[row], "--local", "--for", "analytics", "--json")
        assert len(line.does(*asked).json["devices"]) == len(orjson.loads(devices))
    everybody = line.does("stats", "--figure", "people_by_kind", "--json").json["cells"]
    assert people.height < max(cell["value"] or 0 for cell in everybody)


def test_who_withholds_is_left_out(line: CommandLine) -> None:
    """For a purpose that needs a yes, whoever did not say yes is not in the file."""
    line.does("export", "profiles", "--for", "marketing", "--out", "marketing.parquet", *TO)
    for row in pl.read_parquet(line.folder / "marketing.parquet").to_dicts():
        states = {one["purpose"]: one.get("granted") for one in orjson.loads(row["consents"])}
        assert states["marketing"] is True


def test_exports_cannot_be_joined(line: CommandLine) -> None:
    """No id of an exported profile is in another export of the same people, nor in the graph."""
    for name in ("one", "other"):
        line.does("export", "profiles", "--for", "analytics", "--out", f"{name}.parquet", *TO)
    line.does("export", "graph", "--out", "joining", "--format", "parquet", *TO)
    one, other = (pl.read_parquet(line.folder / f"{name}.parquet") for name in ("one", "other"))
    assert one.height == other.height > 50
    assert not set(one["row_id"]) & set(other["row_id"])
    members = pl.read_parquet(line.folder / "joining" / "members.parquet")
    known = set(members["person_id"]) | set(members["node"])
    values = {value for row in one.rows() for value in row if value}
    assert not [name for name in known if any(name in value for value in values)]


def test_nothing_is_at_its_place_unregistered(line: CommandLine) -> None:
    """Where the register cannot be written, no export is made, nor any part of one left."""
    path = line.folder / ".kinfold" / "register.sqlite3"
    with sqlite3.connect(path) as register:
        register.execute(
            "CREATE TRIGGER full BEFORE INSERT ON exported BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    try:
        before = sorted(line.folder.iterdir())
        line.fails(1, "export", "profiles", "--for", "analytics", "--out", "unregistered", *TO)
        line.fails(1, "export", "graph", "--out", "unregistered", *TO)
        line.fails(1, "export", "stats", "--out", "unregistered", *TO)
        line.fails(1, "report", "--out", "unregistered", *TO)
        assert sorted(line.folder.iterdir()) == before
    finally:
        with sqlite3.connect(path) as register:
            register.execute("DROP TRIGGER full")


def test_export_graph_leaves_out_who_is_set_apart(line: CommandLine, tmp_path: Path) -> None:
    """Whoever is under a legal hold or a restriction is in no graph, with none of their nodes."""
    shutil.copytree(line.folder / ".kinfold", tmp_path / ".kinfold")
    other = CommandLine(tmp_path, {"KINFOLD_HOME_STAFF": "desk"})
    largest = other.does("stats", "--figure", "known", "--json").json["largest_people"]
    other.does("export", "graph", "--out", "before", "--format", "parquet", *TO)
    other.does("privacy", "hold", largest[0], "--reason", "court order")
    other.does("privacy", "hold", largest[1], "--reason", "contested", "--restriction")
    other.does("export", "graph", "--out", "after", "--format", "parquet", *TO)
    before, after = (
        pl.read_parquet(tmp_path / name / "members.parquet") for name in ("before", "after")
    )
    apart = pl.col("person_id").is_in(largest[:2])
    assert after.sort("node").equals(before.filter(~apart).sort("node"))
    nodes = set(before.filter(apart)["node"])
    links = pl.read_parquet(tmp_path / "after" / "links.parquet")
    assert len(nodes) > 2
    assert not nodes & {*links["left"], *links["right"]}
    other.does("privacy", "release", largest[0], "--reason", "closed")
    other.does("export", "graph", "--out", "released", "--format", "parquet", *TO)
    released = pl.read_parquet(tmp_path / "released" / "members.parquet")
    assert set(before.filter(pl.col("person_id") == largest[0])["node"]) <= set(released["node"])


def test_who_gets_it_until_when_is_said_so_that_it_can_be_told(line: CommandLine) -> None:
    """A recipient is a name on one line, and the day by which it is deleted is still to come."""
    wrong: tuple[str, ...] = ()
    for recipient, expires in (
        ("", "2030-01-31"),
        ("lab\nboard", "2030-01-31"),
        ("l" * 201, "2030-01-31"),
        ("lab", "1999-12-31"),
        ("lab", "soon"),
    ):
        wrong = ("--recipient", recipient, "--expires", expires)
        line.fails(2, "export", "graph", "--out", "wrong", *wrong)
    line.fails(2, "export", "stats", "--out", "wrong", *wrong)
    line.fails(2, "export", "profiles", "--for", "analytics", "--out", "wrong", *wrong)
    line.fails(2, "report", "--out", "wrong", *wrong)
    assert not (line.folder / "wrong").exists()


def test_places_are_made(line: CommandLine) -> None:
    """An export makes the folders above its place."""
    line.does("export", "profiles", "--for", "analytics", "--out", "a/b/people.parquet", *TO)
    line.does("export", "graph", "--out", "c/d/graph", *TO)
    assert (line.folder / "a" / "b" / "people.parquet").is_file()
    assert [path.name for path in (line.folder / "c" / "d").iterdir()] == ["graph"]
    assert "--charts" in line.fails(2, "report", "--out", "e", "--charts", "e").err


@pytest.mark.parametrize(
    "asked",
    [
        ("stats", "--figure", "email:ann@example.org"),
        ("stats", "--person", "7mbo5n2ecnlkdgwdmqvq4zs3ya"),
        ("stats", "--statistics-minimum", "1"),
        ("export", "stats", "--out", "x", "--where", "source=web"),
        ("export", "profiles", "--for", "nothing", "--out", "x", *TO),
        ("export", "graph", "--out", "x"),
    ],
)
def test_a_filter_on_one_person_is_refused(line: CommandLine, asked: tuple[str, ...]) -> None:
    """There is no way to ask about some people only, nor for less than the least minimum."""
    line.fails(2, *asked)
    assert not (line.folder / "x").exists()


def test_export_stats_over_grpc(line: CommandLine) -> None:
    """ExportStats streams the manifest and then each figure, the same as the command line tells."""
    wanted = ["known", "reach"]
    told = line.does("stats", "--figure", "known", "--figure", "reach", "--json").json
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        stub = IdentityServiceStub(channel)
        request = ExportStatsRequest(figures=wanted, recipient="board")
        request.expires_at.FromJsonString("2030-01-31T00:00:00Z")
        manifest, *figures = stub.ExportStats(request, timeout=60)
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.ExportStats(ExportStatsRequest(figures=["ann"]), timeout=60))
        wrong = [ExportStatsRequest(recipient="a\nb"), ExportStatsRequest(recipient="l" * 201)]
        for seconds in (1, 0, -(2**40), 2**50):
            wrong.append(ExportStatsRequest())
            wrong[-1].expires_at.seconds = seconds
        for each in wrong:
            with pytest.raises(grpc.RpcError) as invalid:
                list(stub.ExportStats(each, timeout=60))
            assert invalid.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "EXPORT_INVALID" in str(invalid.value.details())
    said = orjson.loads(manifest.manifest_json)
    assert (said["recipient"], said["expires_at"][:10]) == ("board", "2030-01-31")
    assert [each.figure.id for each in figures] == wanted
    cells = [
        {"figure": each.figure.id, **cell}
        for each in figures
        for cell in pl.read_ipc(io.BytesIO(each.figure.cells_arrow)).to_dicts()
    ]
    assert cells == told["cells"]
    assert "FIGURE_UNKNOWN" in str(refused.value.details())
    assert ("figures", "board", "", 0) in set(exported(line))


def test_nothing_is_overwritten(line: CommandLine) -> None:
    """An export never replaces what is there."""
    (line.folder / "taken").mkdir()
    line.fails(2, "export", "stats", "--out", "taken")
    assert not list(Path(line.folder / "taken").iterdir())


def test_report_with_charts(line: CommandLine, cohort: Any) -> None:
    """`kinfold report` writes a page of all figures and a file per chart, without raw values."""
    line.does("report", "--out", "report.html", "--charts", "charts", *TO)
    text = (line.folder / "report.html").read_text("utf-8")
    assert all(f'id="{spec.id}"' in text for spec in SPECS)
    assert "lab" in text
    values = {value for _, value in personal_values(cohort[0]) if len(value) > 6}
    assert not [value for value in values if value in text]
    charts = {path.stem for path in (line.folder / "charts").glob("*.svg")}
    assert charts == set(re.findall(r'<title id="(\w+)-wide-title">', text))
    assert ("figures", "lab") in {row[:2] for row in exported(line)}
    line.does("report", "--out", "again.html", "--charts", "pictures", "--chart-format", "png")
    pictures = list((line.folder / "pictures").iterdir())
    assert {path.stem for path in pictures} == charts
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in pictures)
    line.fails(2, "report", "--out", "report.html")


def test_a_lower_minimum_than_before_is_refused(line: CommandLine) -> None:
    """Figures of one register are not rounded to several minima: the way out names the least."""
    line.does("stats", "--figure", "known")
    refused = line.fails(2, "stats", "--statistics-minimum", "5")
    assert "--statistics-minimum 20" in refused.err
    assert line.does("stats", "--figure", "known", "--json").json["manifest"]["held_since"]


def test_figures_of_a_model(line: CommandLine, tmp_path: Path) -> None:
    """With a model in force its scores, its drift and how groups fare are told, and which it is."""
    shutil.copytree(line.folder / ".kinfold", tmp_path / ".kinfold")
    other = CommandLine(tmp_path)
    pin = other.does("model", "train", "--from-graph", "--json").json["model"]
    other.does("model", "activate", pin)
    other.does("ingest", "-", given=b"")
    own = ("--statistics-register", tmp_path / "own.sqlite3", "--statistics-minimum", "5")
    asked = ("--statistics-group", "gender", *own, "--json")
    told = other.does("stats", *asked).json
    (model,) = told["manifest"]["models"]
    assert (model["of"], model["fingerprint"]) == ("records", pin)
    cells = [cell for cell in told["cells"] if cell["value"] is not None]
    by_figure = {cell["figure"] for cell in cells}
    assert {"score_distribution", "record_attributes", "match_by_group"} <= by_figure
    drifted = {cell["part"]: cell["value"] for cell in cells if cell["figure"] == "drift"}
    assert drifted["family_name"] == 0
    assert drifted["match weights"] < 100
    (scored,) = [
        cell for cell in cells if (cell["figure"], cell["part"]) == ("links_by_basis", "scored")
    ]
    assert scored["value"] > 20

"""Releases and graphs as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import polars as pl

from identity.snapshot import Snapshot
from kinfold.statistics.apart import apart
from kinfold.statistics.exporting import Release

FORMATS = ("parquet", "csv", "json")
GRAPH_FORMATS = ("graphml", "parquet")
MANIFEST = "manifest.json"
_WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
    "json": lambda frame, path: frame.write_json(path),
}


def write_release(release: Release, folder: Path, form: str) -> list[Path]:
    """`figures` and `rates` in the form, and the manifest; the files written.

    The largest people are not among them: their ids are for whoever reviews them here.
    """
    with placed(folder) as draft:
        draft.mkdir()
        _WRITERS[form](release.table(), draft / f"figures.{form}")
        _WRITERS[form](release.rates(), draft / f"rates.{form}")
        (draft / MANIFEST).write_bytes(orjson.dumps(release.manifest, option=orjson.OPT_INDENT_2))
    return [folder / name for name in (f"figures.{form}", f"rates.{form}", MANIFEST)]


@contextmanager
def placed(place: Path) -> Iterator[Path]:
    """A path beside `place` to write at; once the body is done it is at `place`, with its parents.

    Cut short, nothing is at `place`.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".kinfold-", dir=place.parent) as folder:
        draft = Path(folder) / place.name
        yield draft
        draft.rename(place)


def write_graph(snapshot: Snapshot, folder: Path, form: str) -> list[Path]:
    """Which nodes were seen together and whose they are: keys of tokens and ids, nothing else.

    `graphml`: one file with a node per identifier, record and person, an edge
    per link and per membership. `parquet`: `links` (left, right) and
    `members` (person_id, node). Whoever is set apart is left out with all their nodes. The
    folder is made.
    """
    folder.mkdir()
    keys = _whole(snapshot.keys(), {"node": pl.Int64, "key": pl.String})
    ids = _whole(snapshot.ids(), {"person": pl.Int64, "id": pl.String})
    nodes = pl.concat(
        [frame.select("node", "person") for frame in snapshot.nodes()] or [_NO_MEMBERS]
    ).drop_nulls()
    hidden = nodes.filter(pl.col("person").is_in(apart(snapshot, nodes).implode()))
    nodes, keys = (
        nodes.join(hidden, on="person", how="anti"),
        keys.join(hidden, on="node", how="anti"),
    )
    members = (
        nodes.join(keys, on="node")
        .join(ids, on="person")
        .select(person_id="id", node="key")
        .sort("person_id", "node")
    )
    pairs = [frame.select("left", "right").unique() for frame in snapshot.links()]
    links = (
        pl.concat(pairs or [_NO_LINKS])
        .unique()
        .join(keys, left_on="left", right_on="node")
        .join(keys, left_on="right", right_on="node", suffix="_right")
        .select(
            left=pl.min_horizontal("key", "key_right"), right=pl.max_horizontal("key", "key_right")
        )
        .sort("left", "right")
    )
    if form == "parquet":
        links.write_parquet(folder / "links.parquet")
        members.write_parquet(folder / "members.parquet")
        return [folder / "links.parquet", folder / "members.parquet"]
    path = folder / "graph.graphml"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_graphml(links, members))
    return [path]


_NO_MEMBERS = pl.DataFrame(schema={"node": pl.Int64, "person": pl.Int64})
_NO_LINKS = pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64})


def _whole(frames: Iterator[pl.DataFrame], schema: dict[str, type[pl.DataType]]) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _graphml(links: pl.DataFrame, members: pl.DataFrame) -> Iterator[str]:
    """Keys and ids hold no character that XML would take for its own."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    yield '<graph id="kinfold" edgedefault="undirected">\n'
    for name in pl.concat([members["node"], links["left"], links["right"]]).unique().sort():
        yield f'<node id="{name}"/>\n'
    for person in members["person_id"].unique().sort():
        yield f'<node id="person:{person}"/>\n'
    for left, right in links.rows():
        yield f'<edge source="{left}" target="{right}"/>\n'
    for person, node in members.rows():
        yield f'<edge source="person:{person}" target="{node}"/>\n'
    yield "</graph>\n</graphml>\n"

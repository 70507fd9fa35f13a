"""The tables of the embedded engine, and what each is laid out for.

`grain` holds all evidence of a node side by side, so that a signal writes to
one page per node it names. Its rows, by (node, other, part):

- other = 0: what the node did, one document per period (part = period number);
- other > node: sightings of the link with the other, one document per period;
- 0 < other < node: the link's documents are at the other node (part = 0);
- other = -kind: a fact of that `EvidenceKind` (part = its signal).

`node` has one row per key; its index tells all that counting asks for, the id
and whether the sealed value is missing, without the row.

`known` sorts by day: the signals of a day lie together, so a batch writes to
few pages however many signals are remembered, and a day expires in one piece.
A signal has one row, at the day of the content that counts, or at `NO_DAY`
while only its retraction is known.

`horizon` has the first day that is kept by kind of evidence, `horizon_of_kind`
by kind of identifier, `cutoff` by what profiles use evidence for.

`fence` has the moment up to which what names a key is kept out. `known_whole`
finds the few signals that are remembered whole, whose contents may name nodes
that hold no evidence on their day.

`block` has the members of each block of matching side by side, `matched` the
block keys of each node (8 bytes each), `scored` each scored link from both ends.
"""

from __future__ import annotations

APPLICATION_ID = 0x6B696E66
VERSION = 6

TABLES = """
CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    commits INTEGER NOT NULL DEFAULT 0,
    next_node INTEGER NOT NULL DEFAULT 1,
    forgets INTEGER NOT NULL DEFAULT 0,
    resolution INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT NOT NULL DEFAULT '',
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER NOT NULL DEFAULT 0
);
INSERT INTO state (id) VALUES (1);
CREATE TABLE checkpoint (
    partition TEXT PRIMARY KEY,
    position BLOB NOT NULL,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE horizon (kind INTEGER PRIMARY KEY, before_day INTEGER NOT NULL);
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    is_bare INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    shared INTEGER NOT NULL DEFAULT 0,
    person INTEGER
);
CREATE UNIQUE INDEX node_by_key ON node (key, is_bare);
CREATE INDEX node_by_person ON node (person) WHERE person IS NOT NULL;
CREATE TABLE known (
    day INTEGER NOT NULL,
    signal INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (day, signal)
) WITHOUT ROWID;
CREATE TABLE arrived (number INTEGER PRIMARY KEY, signals BLOB NOT NULL);
CREATE TABLE grain (
    node INTEGER NOT NULL,
    other INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (node, other, part)
) WITHOUT ROWID;
CREATE TABLE decision (
    signal INTEGER PRIMARY KEY,
    left_key TEXT NOT NULL,
    right_key TEXT NOT NULL,
    same INTEGER NOT NULL,
    decided_us INTEGER NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX decision_by_left ON decision (left_key);
CREATE INDEX decision_by_right ON decision (right_key);
CREATE TABLE mark (
    node INTEGER PRIMARY KEY,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    changed INTEGER NOT NULL
);
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    stands_for INTEGER
);
CREATE TABLE lineage (
    number INTEGER PRIMARY KEY,
    change INTEGER NOT NULL,
    person INTEGER NOT NULL,
    other INTEGER,
    resolution INTEGER NOT NULL,
    at_us INTEGER NOT NULL
);
CREATE INDEX lineage_by_person ON lineage (person);
CREATE INDEX lineage_by_other ON lineage (other) WHERE other IS NOT NULL;
CREATE TABLE outbox (
    person INTEGER PRIMARY KEY,
    resolution INTEGER NOT NULL,
    merged_into INTEGER,
    gone INTEGER NOT NULL
);
CREATE INDEX outbox_by_resolution ON outbox (resolution);
"""

MATCHING = """
ALTER TABLE state ADD COLUMN model TEXT NOT NULL DEFAULT '';
CREATE TABLE block (
    key INTEGER NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (key, node)
) WITHOUT ROWID;
CREATE TABLE matched (node INTEGER PRIMARY KEY, keys BLOB NOT NULL);
CREATE TABLE scored (
    node INTEGER NOT NULL,
    other INTEGER NOT NULL,
    mbits INTEGER NOT NULL,
    PRIMARY KEY (node, other)
) WITHOUT ROWID;
"""

ERASING = """
CREATE TABLE fence (key TEXT PRIMARY KEY, until_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX known_whole ON known (day, signal) WHERE substr(body, 1, 1) = x'c1';
"""

KEYS = """
ALTER TABLE state ADD COLUMN keys_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE state ADD COLUMN keys_tokens INTEGER NOT NULL DEFAULT 0;
"""

RETENTION = """
CREATE TABLE horizon_of_kind (kind TEXT PRIMARY KEY, before_day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cutoff (name TEXT PRIMARY KEY, before_day INTEGER NOT NULL) WITHOUT ROWID;
"""

FOLDING = """
ALTER TABLE state ADD COLUMN folding TEXT NOT NULL DEFAULT '';
"""

STEPS = (TABLES, MATCHING, ERASING, KEYS, RETENTION, FOLDING)
"""What leads from each version of the file to the next; a file has `user_version` of them."""

"""Makes a Neo4j graph empty between tests without making its schema anew."""

from __future__ import annotations

from neo4j import Driver

RESET = (
    "MATCH (n) WHERE NOT n:Migration AND NOT n:Graph AND NOT n:Lease DETACH DELETE n",
    (
        "MATCH (l:Lease) "
        "SET l.owner = '', l.epoch = 0, l.until_ms = 0, l.resolutions = 0, l.resolved = 0, "
        "l.model = ''"
    ),
    "MATCH (g:Graph) REMOVE g.keys_epoch, g.keys_tokens, g.rekeying, g.rekeyed_to",
)


def empty(driver: Driver) -> None:
    """Take away whatever was counted, resolved or owned; the migrations stay."""
    with driver.session() as session:
        for statement in RESET:
            session.run(statement).consume()

"""The Neo4j engine of `GraphStore`, for production."""

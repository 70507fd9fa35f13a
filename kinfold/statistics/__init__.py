"""Statistics of a graph: figures from one snapshot, and what of them may be shared."""

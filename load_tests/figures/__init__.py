"""The load tests' figures, group by group."""

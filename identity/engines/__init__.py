"""Engines of the graph store, each on its own; wiring chooses one."""

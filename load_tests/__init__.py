"""Load tests: what kinfold costs, measured."""

"""Probabilistic matching of person-like records: comparisons, weights, candidates, clustering."""

"""Signals in: read, validated, normalised, pseudonymised and committed exactly once."""

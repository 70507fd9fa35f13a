"""Matching measured on a file whose answers are known."""

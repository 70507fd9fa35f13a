"""Probabilistic matching of devices: what they have in common, what it weighs, who competes."""

"""A made-up cohort whose truth is known: households, their devices, what sources say of them."""

"""Everything held about one person, gathered for them: as data, and as a page they can read."""

"""Who is whom: evidence, the people it resolves to, and the lineage of their ids."""

"""AiiDA data nodes: a set of structures, and a fitted potential."""

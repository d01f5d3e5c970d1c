"""WorkChains: they route nodes and compute nothing."""

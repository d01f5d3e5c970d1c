"""MACE: the surrogate of the selection."""

"""Strategies that make structures: lattices, quasirandom alloys and their distortions."""

"""Filters and selectors that choose, among many structures, those worth a label."""

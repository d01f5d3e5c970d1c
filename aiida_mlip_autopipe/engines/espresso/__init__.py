"""Quantum ESPRESSO: input, output, jobs of many runs, and remedies."""

"""ASE and NumPy in, ASE and NumPy out: generation, selection, fits, uncertainty, metrics, stopping. No AiiDA."""

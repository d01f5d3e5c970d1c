"""ASE: structures read from files, and labels by its calculators."""

"""Linear ACE on the C++ rows of `pyace`: its fit, its active set and its evaluation."""

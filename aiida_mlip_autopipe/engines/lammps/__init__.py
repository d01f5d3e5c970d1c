"""LAMMPS: its library in a child process, its files, MD that watches the grade, and what an engine has to give."""

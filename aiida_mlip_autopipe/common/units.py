"""Conversion factors between the package's units (eV, Å, fs, K) and those of users and other programs."""

from typing import Final

from ase import units

GPA: Final[float] = float(units.GPa)
"""eV/Å³ in one GPa."""

BAR: Final[float] = float(units.bar)
"""eV/Å³ in one bar, LAMMPS's pressure in `units metal`."""

PICOSECOND: Final[float] = 1000.0
"""fs in one ps, LAMMPS's time in `units metal`."""

MILLI: Final[float] = 1000.0
"""meV in one eV."""

JOULE_PER_M2: Final[float] = float(units.J / units.m**2)
"""eV/Å² in one J/m²."""

"""POD potentials: descriptors from LAMMPS, a linear fit, and molecular dynamics with the extrapolation grade."""

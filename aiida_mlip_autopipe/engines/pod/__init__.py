"""POD: descriptors of LAMMPS, the linear fit on them, and the grade from them."""

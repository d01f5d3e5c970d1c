"""Self-checks of a potential: each makes the structures that it needs and judges what LAMMPS says about them."""

"""Properties of crystals: which structures each one needs, and its value from their energies, forces and stresses."""

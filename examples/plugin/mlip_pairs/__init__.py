"""Pair potentials as a plug-in of aiida-mlip-autopipe, in one file for each thing that it adds."""

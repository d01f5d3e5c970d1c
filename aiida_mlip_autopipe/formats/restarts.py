"""Names of the restart files of trajectories: used by the CalcJob, the parser and the worker alike."""

RESTARTS = 'restarts'
"""Folder of the restart files."""


def restart_file(index: int) -> str:
    """Return the name of the restart file of a start."""
    return f'restart_{index:03d}.lammps'

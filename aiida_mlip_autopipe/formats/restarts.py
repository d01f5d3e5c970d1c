"""Names of the restart files of trajectories: used by the CalcJob, the parser and the worker alike."""

RESTARTS = 'restarts'
"""Folder of the restart files: those of an earlier job are replaced by those of the job itself."""


def restart_file(index: int) -> str:
    """Return the name of the restart file of a start."""
    return f'restart_{index:03d}.lammps'

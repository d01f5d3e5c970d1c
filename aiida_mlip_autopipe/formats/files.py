"""Names of the files that a job of `mlip-worker` reads and writes: used by the CalcJobs, the parsers and the worker alike."""

SETTINGS = 'settings.json'
"""Settings of the stage, written by the CalcJob."""

REPORT = 'report.json'
"""What the stage has to say about its result."""

ERROR = 'error.json'
"""Written in place of a result: kind and sentence of the error that stopped the stage."""

STDOUT = 'mlip-worker.out'
STDERR = 'mlip-worker.err'

POTENTIAL = 'potential'
"""Folder of the files of a potential."""

MODEL = 'surrogate.model'
"""The model of the surrogate, in the folder of the job."""

POTENTIAL_RECORD = 'potential.json'
"""In that folder: elements, cutoff, LAMMPS lines and everything else that is needed to use the files."""

CAN = '--can'
CANNOT = 3
"""Option and exit status by which `mlip-worker` says whether it can run the potentials of an engine."""

ARRAYS_SUFFIX = '.npz'


def arrays_file(port: str) -> str:
    """Return the name of the file that holds the arrays of an input or output port."""
    return f'{port}{ARRAYS_SUFFIX}'

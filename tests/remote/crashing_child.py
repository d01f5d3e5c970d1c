"""The program in whose process LAMMPS lives, with a real segmentation fault at the fifth look at the grade."""

import os
import signal
import sys

from aiida_mlip_autopipe.remote import lammps_child
from aiida_mlip_autopipe.science.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

CHECKS = 4
"""Looks that the run survives."""

_calls = []


def crashing(grade):
    def counted(*arguments):
        _calls.append(arguments)
        if len(_calls) > CHECKS:
            os.kill(os.getpid(), signal.SIGSEGV)
        return grade(*arguments)

    return counted


if __name__ == '__main__':
    ActiveSet.grade = crashing(ActiveSet.grade)
    AceEvaluator.grade = crashing(AceEvaluator.grade)
    sys.exit(lammps_child.main())

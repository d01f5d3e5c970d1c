"""A run of MD with a real segmentation fault at the fifth look at the grade."""

from __future__ import annotations

import os
import signal
from typing import Any

from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
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


def crashing_md(*arguments: Any) -> Any:
    ActiveSet.grade = crashing(ActiveSet.grade)
    AceEvaluator.grade = crashing(AceEvaluator.grade)
    return run_md(*arguments)

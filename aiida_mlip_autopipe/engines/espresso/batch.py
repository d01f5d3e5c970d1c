"""Files of a job that runs `pw.x` for many frames, and the words for what became of each run."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from aiida_mlip_autopipe.formats.frame_archive import DIGITS

INPUT: Final = 'aiida.in'
STDOUT: Final = 'aiida.out'
STDERR: Final = 'aiida.err'
CRASH: Final = 'CRASH'
PSEUDO: Final = 'pseudo'
"""Folder of the pseudopotentials, as aiida-quantumespresso names it in the input."""

XML: Final = 'data-file-schema.xml'
XML_PATH: Final = f'out/aiida.save/{XML}'
KEPT: Final = (STDOUT, STDERR, CRASH, XML_PATH)
"""What is kept of each run; the rest, above all the wave functions, is removed as soon as it ends."""

INPUTS: Final = 'inputs.tar'
"""Input text of each frame, see `formats.frame_archive`; a file for each would cost the repository more than `tar` costs us."""
RESULTS: Final = 'results.tar'
"""What is kept of each run, compressed."""

INPUT_SUFFIX: Final = '.in'
RESULT_SUFFIX: Final = '.zip'


class RunStatus(StrEnum):
    """What became of a run; `ENDED` says nothing about its success."""

    ENDED = 'ended'
    NOT_STARTED = 'not_started'
    OUT_OF_TIME = 'out_of_time'
    NO_PROGRAM = 'no_program'
    FAILED = 'failed'


def frame_folder(index: int) -> str:
    """Return the path of the folder in which a frame runs."""
    return f'frames/{index:0{DIGITS}d}'

"""Files of a job that runs `pw.x` for many frames, and the words for what became of each run."""

from __future__ import annotations

from typing import Final

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

RESULTS: Final = 'results'
INPUTS: Final = 'inputs'

ENDED: Final = 'ended'
NOT_STARTED: Final = 'not_started'
OUT_OF_TIME: Final = 'out_of_time'
FAILED: Final = 'failed'
"""Status of a run: `ended` says nothing about its success."""

DIGITS: Final = 5


def input_file(index: int) -> str:
    """Return the path of the input text of a frame."""
    return f'{INPUTS}/{index:0{DIGITS}d}.in'


def result_name(index: int) -> str:
    """Return the name of the archive of what a run left."""
    return f'{index:0{DIGITS}d}.zip'


def result_file(index: int) -> str:
    """Return the path of that archive."""
    return f'{RESULTS}/{result_name(index)}'


def frame_folder(index: int) -> str:
    """Return the path of the folder in which a frame runs."""
    return f'frames/{index:0{DIGITS}d}'

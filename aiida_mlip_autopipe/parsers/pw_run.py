"""One run of `pw.x` out of its archive, by the XML and stdout parsers of aiida-quantumespresso."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from functools import cache
from types import FunctionType
from typing import IO, Any, Final

import numpy as np
from aiida_quantumespresso.parsers import QEOutputParsingError
from aiida_quantumespresso.parsers.parse_raw.pw import parse_stdout
from aiida_quantumespresso.parsers.parse_xml import parse
from aiida_quantumespresso.parsers.parse_xml.exceptions import XMLParseError, XMLUnsupportedFormatError
from xmlschema import XMLSchema

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.output import QeResult, read_result

SCF: Final = {'CONTROL': {'calculation': 'scf'}}
"""All that the parser of the log needs to know of the input."""

END_OF_LOG: Final = 'JOB DONE'
OUR_WORDS: Final = {'electronic_convergence_not_reached': 'scf_not_converged'}
"""One reason has one name, whether the log or the XML tells it."""

BANDS: Final = re.compile(r'<ks_energies>.*</ks_energies>', re.DOTALL)
"""Energies and occupations at all k-points: most of the file, of which only the occupations are of use here."""
OCCUPATIONS: Final = re.compile(r'<occupations[^>]*>([^<]*)</occupations>')

EMPTY: Final = 0.005
"""Largest occupation of the highest band, as `PwBaseWorkChain` has it: with more, charge is missing and the energy is wrong."""

parse_xml: Final = FunctionType(parse.parse_xml.__code__, {**vars(parse), 'XMLSchema': cache(XMLSchema)}, 'parse_xml')
"""aiida-quantumespresso's parser with each schema built once: it builds it for every file, which takes longer than all else."""


def read_run(archive: IO[bytes], n_atoms: int) -> QeResult:
    """Return the result of a run, judged by its XML.

    :param n_atoms: of the frame.
    :raises FormatError: the run gave no result; the message is the reason, in the words of aiida-quantumespresso.
    """
    texts = _texts(archive)
    problems = _problems(texts.get(pw_batch.STDOUT, ''), texts.get(pw_batch.CRASH))
    if pw_batch.XML not in texts:
        raise FormatError(problems[0] if problems else 'output_xml_missing')
    try:
        result = _result(texts[pw_batch.XML])
    except FormatError as error:
        raise FormatError(problems[0] if problems else str(error)) from error
    if problems:
        raise FormatError(problems[0])
    if len(result.forces) != n_atoms:
        raise FormatError(f'output_of_another_structure: forces on {len(result.forces)} atoms, expected {n_atoms}')
    return result


def _texts(archive: IO[bytes]) -> dict[str, str]:
    """Return the text of each file of an archive."""
    try:
        with zipfile.ZipFile(archive) as stored:
            return {name: stored.read(name).decode(errors='replace') for name in stored.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError('output_archive_damaged') from error


def _result(xml: str) -> QeResult:
    bands = BANDS.search(xml)
    try:
        parsed, _ = parse_xml(io.StringIO(BANDS.sub('', xml)))
        occupied = _highest_occupation(bands[0] if bands else '', 2 if parsed.get('lsda') else 1)
    except (XMLParseError, XMLUnsupportedFormatError) as error:
        raise FormatError('output_xml_parse') from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:  # well formed, but not what it should be
        raise FormatError('output_xml_incomplete') from error
    if parsed.get('convergence_info', {}).get('scf_conv', {}).get('convergence_achieved') is False:  # pw.x then writes no forces
        raise FormatError('scf_not_converged')
    if occupied >= EMPTY:
        raise FormatError('too_few_bands')
    trajectory = parsed.pop('trajectory', {})
    arrays = {name: np.asarray(trajectory[name][-1]) for name in ('forces', 'stress') if len(trajectory.get(name, [])) > 0}
    return read_result(_parameters(parsed, trajectory), arrays)


def _highest_occupation(bands: str, n_spins: int) -> float:
    """Return the largest occupation of the highest band of a spin at any k-point, between 0 and 1."""
    values = [np.array(text.split(), dtype=float).reshape(n_spins, -1) for text in OCCUPATIONS.findall(bands)]
    return max((float(found[:, -1].max()) for found in values), default=0.0)


def _parameters(parsed: dict[str, Any], trajectory: dict[str, Any]) -> dict[str, Any]:
    return {**parsed, 'energy': float(np.asarray(trajectory['energy'])[-1])} if len(trajectory.get('energy', [])) else parsed


def _problems(stdout: str, crash: str | None) -> list[str]:
    """Return what the parser of the log calls an error, in lower case and without its prefix."""
    try:
        _, logs = parse_stdout(stdout, SCF, None, crash_file=crash)
    except (QEOutputParsingError, KeyError, TypeError, ValueError, IndexError, AttributeError):  # cut, or stopped at the start
        return ['output_stdout_parse' if END_OF_LOG in stdout else 'output_stdout_incomplete']
    reasons = [text.removeprefix('ERROR_').lower() for text in logs['error'] if str(text).startswith('ERROR_')]
    return [OUR_WORDS.get(reason, reason) for reason in reasons]

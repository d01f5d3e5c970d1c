"""One run of `pw.x` out of its archive: its XML as aiida-quantumespresso converts it, its log by that package's parser."""

from __future__ import annotations

import zipfile
import zlib
from collections import defaultdict
from typing import IO, Any, Final
from xml.etree import ElementTree

import numpy as np
from aiida_quantumespresso.parsers import QEOutputParsingError
from aiida_quantumespresso.parsers.parse_raw.pw import parse_stdout
from aiida_quantumespresso.parsers.parse_xml.exceptions import XMLParseError, XMLUnsupportedFormatError
from aiida_quantumespresso.parsers.parse_xml.parse import get_schema_filepath, parse_step_to_trajectory

from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError, Reason
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.failures import failure_of
from aiida_mlip_autopipe.engines.espresso.output import QeResult, read_result

SCF: Final = {'CONTROL': {'calculation': 'scf'}}
"""All that the parser of the log needs to know of the input."""

END_OF_LOG: Final = 'JOB DONE'

EMPTY: Final = 0.005
"""Largest occupation of the highest band, as `PwBaseWorkChain` has it: with more, charge is missing and the energy is wrong."""

TRUE: Final = ('true', '1')
"""How XML writes it."""


def read_run(archive: IO[bytes], n_atoms: int) -> QeResult:
    """Return the result of a run, judged by its XML.

    :param n_atoms: of the frame.
    :raises LabelError: the run gave no result; what the log says comes before what the XML lacks.
    """
    texts = _texts(archive)
    problem = _problem(texts.get(pw_batch.STDOUT, ''), texts.get(pw_batch.CRASH))
    if problem is None and pw_batch.XML not in texts:
        problem = failure_of('output_xml_missing')
    if problem is not None:
        raise LabelError(problem.reason, problem.detail)
    result = _result(texts[pw_batch.XML])
    if len(result.forces) != n_atoms:
        raise LabelError(Reason.OUTPUT_UNREADABLE, f'forces on {len(result.forces)} atoms, expected {n_atoms}')
    return result


def _texts(archive: IO[bytes]) -> dict[str, str]:
    """Return the text of each file of an archive."""
    try:
        with zipfile.ZipFile(archive) as stored:
            return {name: stored.read(name).decode(errors='replace') for name in stored.namelist()}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise LabelError(Reason.OUTPUT_UNREADABLE, 'output_archive_damaged') from error


def _result(xml: str) -> QeResult:
    """Return what the XML says; it is not checked against its schema, which would take longer than all else."""
    try:
        root = ElementTree.fromstring(xml)
        get_schema_filepath(ElementTree.ElementTree(root))  # refuses versions that aiida-quantumespresso does not know
    except (ElementTree.ParseError, XMLParseError, XMLUnsupportedFormatError) as error:
        raise LabelError(Reason.OUTPUT_UNREADABLE, 'output_xml_parse') from error
    try:
        return _judged(root)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:  # well formed, but not what it should be
        raise LabelError(Reason.OUTPUT_INCOMPLETE, 'output_xml_incomplete') from error


def _judged(root: ElementTree.Element) -> QeResult:
    (output,) = root.iterfind('output')
    if output.findtext('convergence_info/scf_conv/convergence_achieved', '').strip() not in TRUE:  # pw.x then writes no forces
        raise LabelError(Reason.SCF_NOT_CONVERGED)
    if (occupied := _highest_occupation(root)) >= EMPTY:
        raise LabelError(Reason.TOO_FEW_BANDS, f'occupation {occupied:.2g}')
    (creator,) = root.iterfind('general_info/creator')
    arrays = _last_step(output)
    facts = {
        'energy': arrays.pop('energy', None),
        'number_of_electrons': output.findtext('band_structure/nelec'),
        'convergence_info': {'scf_conv': {'convergence_achieved': True}},
        'creator_version': creator.attrib['VERSION'],
        'dft_exchange_correlation': root.findtext('input/dft/functional'),
    }
    return read_result({name: value for name, value in facts.items() if value is not None}, arrays)


def _highest_occupation(root: ElementTree.Element) -> float:
    """Return the largest occupation of the highest band of a spin at any k-point, between 0 and 1."""
    n_spins = 2 if root.findtext('input/spin/lsda', '').strip() in TRUE else 1
    points = root.iterfind('output/band_structure/ks_energies/occupations')
    values = [np.array((point.text or '').split(), dtype=float).reshape(n_spins, -1) for point in points]
    return max((float(found[:, -1].max()) for found in values), default=0.0)


def _last_step(output: ElementTree.Element) -> dict[str, Any]:
    """Return energy, forces and stress in the units of aiida-quantumespresso; what the XML lacks is left out."""
    energy = output.findtext('total_energy/etot')
    step: dict[str, Any] = {name: _array(block) for name in ('forces', 'stress') if (block := output.find(name)) is not None}
    if energy is not None:
        step['total_energy'] = {'etot': float(energy)}
    found: dict[str, list[Any]] = defaultdict(list)
    parse_step_to_trajectory(found, step, skip_structure=True)
    return {name: values[-1] for name, values in found.items()}


def _array(block: ElementTree.Element) -> dict[str, Any]:
    """Return a block of numbers in the form in which xmlschema gives it to aiida-quantumespresso."""
    return {'$': [float(word) for word in (block.text or '').split()], '@dims': [int(n) for n in block.attrib['dims'].split()]}


def _problem(stdout: str, crash: str | None) -> FrameFailure | None:
    """Return the first error that the parser of the log finds."""
    try:
        _, logs = parse_stdout(stdout, SCF, None, crash_file=crash)
    except (QEOutputParsingError, KeyError, TypeError, ValueError, IndexError, AttributeError):  # cut, or stopped at the start
        return failure_of('output_stdout_parse' if END_OF_LOG in stdout else 'output_stdout_incomplete')
    return next((failure_of(text) for text in logs['error'] if str(text).startswith('ERROR_')), None)

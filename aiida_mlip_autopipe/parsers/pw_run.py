"""One run of `pw.x` out of its archive, by the XML and stdout parsers of aiida-quantumespresso."""

from __future__ import annotations

import io
import zipfile
from typing import IO, Any, Final

import numpy as np
from aiida_quantumespresso.parsers.parse_raw.pw import parse_stdout
from aiida_quantumespresso.parsers.parse_xml.exceptions import XMLParseError, XMLUnsupportedFormatError
from aiida_quantumespresso.parsers.parse_xml.parse import parse_xml

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.formats import pw_batch
from aiida_mlip_autopipe.formats.espresso import QeResult, read_result

SCF: Final = {'CONTROL': {'calculation': 'scf'}}
"""All that the parser of the log needs to know of the input."""


def read_run(archive: IO[bytes], n_atoms: int) -> QeResult:
    """Return the result of a run, judged by its XML.

    :param n_atoms: of the frame.
    :raises FormatError: the run gave no result; the message is the reason, in the words of aiida-quantumespresso.
    """
    with zipfile.ZipFile(archive) as stored:
        texts = {name: stored.read(name).decode(errors='replace') for name in stored.namelist()}
    stdout = texts.get(pw_batch.STDOUT, '')
    problems = _problems(stdout, texts.get(pw_batch.CRASH))
    if pw_batch.XML not in texts:
        raise FormatError(problems[0] if problems else 'output_xml_missing')
    try:
        parsed, _ = parse_xml(io.StringIO(texts[pw_batch.XML]))
    except (XMLParseError, XMLUnsupportedFormatError) as error:
        raise FormatError(problems[0] if problems else 'output_xml_parse') from error
    except (KeyError, TypeError, ValueError, IndexError) as error:  # an XML that ends in the middle, but is well formed
        raise FormatError(problems[0] if problems else 'output_xml_incomplete') from error
    trajectory = parsed.pop('trajectory', {})
    arrays = {name: np.asarray(trajectory[name][-1]) for name in ('forces', 'stress') if len(trajectory.get(name, [])) > 0}
    result = read_result(_parameters(parsed, trajectory), arrays)
    if problems and result.converged:
        raise FormatError(problems[0])
    if len(result.forces) != n_atoms:
        raise FormatError(f'output_of_another_structure: forces on {len(result.forces)} atoms, expected {n_atoms}')
    return result


def _parameters(parsed: dict[str, Any], trajectory: dict[str, Any]) -> dict[str, Any]:
    return {**parsed, 'energy': float(np.asarray(trajectory['energy'])[-1])} if len(trajectory.get('energy', [])) else parsed


def _problems(stdout: str, crash: str | None) -> list[str]:
    """Return what the parser of the log calls an error, in lower case and without its prefix."""
    _, logs = parse_stdout(stdout, SCF, None, crash_file=crash)
    return [text.removeprefix('ERROR_').lower() for text in logs['error'] if str(text).startswith('ERROR_')]

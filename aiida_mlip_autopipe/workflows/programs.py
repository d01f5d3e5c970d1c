"""Whether the programs of a configuration can run the potentials of its trainer, asked before a fit is paid for."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Final

from aiida import orm

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE
from aiida_mlip_autopipe.engines.lammps.pair_styles import missing_style, pair_styles
from aiida_mlip_autopipe.formats.files import CAN, CANNOT

TIME_LIMIT: Final = 120.0
"""s; a worker answers within 3 s, of which LAMMPS and pyace take most."""

_LISTED: Final = 'Pair styles:'


def ask_worker(code: orm.AbstractCode, field: str) -> tuple[str, ...]:
    """Return a sentence where nobody can say whether a code of `mlip-worker` can run ACE; nothing where it can.

    :param field: of the configuration, for the message.
    :raises InputError: it cannot.
    """
    return _ask_worker(_script(code, (CAN, PACE)), _named(code, field))


def ask_lmp(code: orm.AbstractCode, field: str) -> tuple[str, ...]:
    """Return a sentence where nobody can say whether a code of `lmp` can run ACE; nothing where it can.

    :param field: of the configuration, for the message.
    :raises InputError: it cannot.
    """
    return _ask_lmp(_script(code, ('-log', 'none', '-nocite')), _named(code, field))


@cache
def _ask_worker(script: str | None, name: str) -> tuple[str, ...]:
    found = _run(script, '')
    if found is not None and found.returncode == CANNOT:
        raise InputError(f'{name}; it cannot run potentials of ACE: {found.stderr.strip().splitlines()[-1]}')
    return () if found is not None and found.returncode == 0 else (_unknown(name, f'`mlip-worker {CAN} {PACE}` on its machine'),)


@cache
def _ask_lmp(script: str | None, name: str) -> tuple[str, ...]:
    # `lmp -h` leaves out the styles of plugins
    found = _run(script, 'info styles pair\n')
    if found is None or _LISTED not in found.stdout:
        return (_unknown(name, '`info styles pair` in its LAMMPS'),)
    if GRADE_STYLE not in found.stdout.split():
        raise InputError(f'{name}; {missing_style(GRADE_STYLE)}; or leave out explore.explorer, then mlip-worker runs the MD')
    return ()


def lacks_pair_styles(code: orm.AbstractCode, pair_lines: Sequence[str]) -> bool | None:
    """Whether the LAMMPS of a code lacks a pair style that the lines of a potential name; None where nobody can say."""
    listed = _listed_styles(_script(code, ('-log', 'none', '-nocite')))
    return None if listed is None else not set(pair_styles(pair_lines)) <= listed


@cache
def _listed_styles(script: str | None) -> frozenset[str] | None:
    found = _run(script, 'info styles pair\n')
    return None if found is None or _LISTED not in found.stdout else frozenset(found.stdout.split())


def _named(code: orm.AbstractCode, field: str) -> str:
    return f'{field}: got {code.full_label!r}'


def _unknown(name: str, how: str) -> str:
    return (
        f'{name}; from here nobody can say whether it can run potentials of ACE, and a run ends after its fit if not; {how} tells'
    )


def _script(code: orm.AbstractCode, arguments: tuple[str, ...]) -> str | None:
    """Return the lines that start a code with arguments, or None for one that is not on this machine."""
    if not isinstance(code, orm.InstalledCode) or code.computer.transport_type != 'core.local':
        return None
    command = shlex.join([str(code.filepath_executable), *arguments])
    return '\n'.join([code.computer.get_prepend_text(), code.prepend_text, command])


def _run(script: str | None, standard_input: str) -> subprocess.CompletedProcess[str] | None:
    if script is None:
        return None
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    try:
        return subprocess.run(
            ['bash', '-c', script],
            input=standard_input,
            env=environment,
            capture_output=True,
            text=True,
            errors='replace',
            check=False,
            timeout=TIME_LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None

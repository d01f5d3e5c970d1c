"""The shell commands around a run of Pacemaker: a self-test before it, and the export of the potential after it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiida_mlip_autopipe.common.pace import ACTIVE_SET, POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.formats.pacemaker import FITTING_DATA

STDOUT: Final = 'pacemaker.out'
STDERR: Final = 'pacemaker.err'
"""The log, and the traceback of a failure at its end."""

SELF_TEST: Final = 'selftest'
FIT: Final = 'pacemaker'
EXPORT: Final = 'yaml2yace'
SELECT: Final = 'activeset'
STEPS: Final = (SELF_TEST, FIT, EXPORT, SELECT)
"""Each step leaves its return code in `STEP.rc`; the output of the others than the fit is in `STEP.out`."""

YAML2YACE: Final = 'pace_yaml2yace'
ACTIVESET: Final = 'pace_activeset'
IMPORTS: Final = 'import tensorflow, tensorpotential, pyace, maxvolpy'
"""What all steps need; the scripts find out in the middle of their work."""


@dataclass(frozen=True)
class Program:
    """A program and the commands that make it runnable, such as the activation of an environment.

    :param path: of the executable, or its name alone.
    :param prepend: shell commands before it, empty when it runs in the environment of the job.
    """

    path: str
    prepend: str = ''


def return_code_file(step: str) -> str:
    """Return the name of the file that holds the return code of a step."""
    return f'{step}.rc'


def output_file(step: str) -> str:
    """Return the name of the file that holds what a step other than the fit printed."""
    return f'{step}.out'


def self_test_commands(pacemaker: str, programs: Sequence[str]) -> str:
    """Return the shell commands that end the job at once when the installation is broken.

    The Python that is tried is the one beside `pacemaker`, else the first in `PATH`.

    :param pacemaker: path or name of the executable.
    :param programs: names that must be found beside it or in `PATH`.
    """
    out, code = output_file(SELF_TEST), return_code_file(SELF_TEST)
    return f"""mlip_pacemaker=$(command -v {shlex.quote(pacemaker)})
mlip_beside=$(dirname "${{mlip_pacemaker:-.}}")
mlip_find() {{ if [ -n "$mlip_pacemaker" ] && [ -x "$mlip_beside/$1" ]; then echo "$mlip_beside/$1"; else command -v "$1"; fi; }}
mlip_self_test() {{
    [ -n "$mlip_pacemaker" ] || {{ echo {shlex.quote(f'{pacemaker}: not found')}; return 127; }}
    for mlip_program in {' '.join([*programs, 'python'])}; do
        mlip_find "$mlip_program" > /dev/null || {{ echo "$mlip_program: not found beside pacemaker or in PATH"; return 127; }}
    done
    "$(mlip_find python)" -c '{IMPORTS}'
}}
mlip_self_test > {out} 2>&1
echo "$?" > {code}
[ "$(cat {code})" -eq 0 ] || exit 0"""


def export_commands(yaml2yace: Program | None, activeset: Program | None, *, all_atoms: bool) -> str:
    """Return the shell commands that follow the fit: its return code, the fast form of the potential and its active set.

    Without a fit that returned 0 there is nothing to export. The linear active set is asked for: the nonlinear one of
    python-ace 0.2.7 is 10¹⁶ times the unit matrix.

    :param yaml2yace: None: the program of the usual name beside Pacemaker.
    :param activeset: likewise.
    :param all_atoms: choose among all atoms, so that no training atom has a grade above 1.01; Pacemaker alone leaves out those
        with large force errors.
    """
    option = '-a ' if all_atoms else ''
    export = _step(EXPORT, _call(yaml2yace, YAML2YACE), f'{POTENTIAL_YAML} -o {POTENTIAL_YACE}')
    select = _step(SELECT, _call(activeset, ACTIVESET), f'{option}-d {FITTING_DATA} {POTENTIAL_YAML}')
    return f"""echo "$?" > {return_code_file(FIT)}
if [ "$(cat {return_code_file(FIT)})" -eq 0 ] && [ -s {POTENTIAL_YAML} ]; then
    rm -f {POTENTIAL_YACE} {ACTIVE_SET}
    {export}
    {select}
fi"""


def _step(step: str, call: str, arguments: str) -> str:
    return f'( {call} {arguments} ) > {output_file(step)} 2>&1; echo "$?" > {return_code_file(step)}'


def _call(program: Program | None, name: str) -> str:
    if program is None:
        return f'"$(mlip_find {name})"'
    lines = [*program.prepend.splitlines(), shlex.quote(program.path)]
    return '\n    '.join(lines)


def return_code(text: str) -> int | None:
    """Return the number in a file of a return code, or None when the job ended before it was written."""
    stripped = text.strip()
    return int(stripped) if stripped.lstrip('-').isdigit() else None

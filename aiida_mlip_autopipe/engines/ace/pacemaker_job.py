"""The shell commands around a run of Pacemaker: a self-test before it, and the export of the potential after it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.potential import FITTING_DATA

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
IMPORTS: Final = """import importlib, sys
def load(what, *names):
    causes = []
    for name in names:
        try:
            return importlib.import_module(name)
        except Exception as error:
            causes.append(f'{name}: {type(error).__name__}: {error}')
    sys.exit(f'{what} cannot be loaded ({"; ".join(causes)})')
numpy = load('NumPy', 'numpy')
load('TensorFlow', 'tensorflow')
new = 'tensorpotential.compat.pace.fit'
fit = load('TensorPotential', new, 'tensorpotential.fit', 'tensorpotential')
load('python-ace', 'pyace')
load('MaxVol', 'pyace.maxvol', 'maxvolpy')
if fit.__name__ == new and tuple(int(part) for part in numpy.__version__.split('.')[:2]) >= (2, 4):
    sys.exit(f'NumPy {numpy.__version__} breaks the fit of this TensorPotential at its first iteration; install "numpy<2.4"')
"""
"""What all steps need; the scripts find out in the middle of their work. An older Pacemaker has its MaxVol in `maxvolpy`."""

SELECT_SCRIPT: Final = 'select_active_set.py'
"""Name in the job of the module `pacemaker_active_set`."""

TOO_FEW_ATOMS: Final = 'Insufficient atomic environments'
"""What `pace_activeset` says of an element with fewer atoms than functions."""


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
    "$(mlip_find python)" -c {shlex.quote(IMPORTS)}
}}
mlip_self_test > {out} 2>&1
echo "$?" > {code}
[ "$(cat {code})" -eq 0 ] || exit 0"""


def export_commands(yaml2yace: Program | None, activeset: Program | None, *, all_atoms: bool) -> str:
    """Return the shell commands that follow the fit: its return code, the fast form of the potential and its active set.

    Without a fit that returned 0 there is nothing to export. The linear active set is asked for: the nonlinear one of
    python-ace 0.2.7 is 10¹⁶ times the unit matrix. Where an element has fewer atoms than functions, :data:`SELECT_SCRIPT` does
    what `pace_activeset` refuses.

    :param yaml2yace: None: the program of the usual name beside Pacemaker.
    :param activeset: likewise.
    :param all_atoms: choose among all atoms, so that no training atom has a grade above 1.01; Pacemaker alone leaves out those
        with large force errors.
    """
    option = '-a ' if all_atoms else ''
    export = _step(EXPORT, f'{_call(yaml2yace, YAML2YACE)} {POTENTIAL_YAML} -o {POTENTIAL_YACE}')
    script = f'"$(mlip_find python)" {SELECT_SCRIPT} {FITTING_DATA} {POTENTIAL_YAML}'
    retry = f"{{ grep -q '{TOO_FEW_ATOMS}' {output_file(SELECT)} && {script}; }}"
    select = _step(SELECT, f'{_call(activeset, ACTIVESET)} {option}-d {FITTING_DATA} {POTENTIAL_YAML} || {retry}')
    return f"""echo "$?" > {return_code_file(FIT)}
if [ "$(cat {return_code_file(FIT)})" -eq 0 ] && [ -s {POTENTIAL_YAML} ]; then
    rm -f {POTENTIAL_YACE} {ACTIVE_SET}
    {export}
    {select}
fi"""


def _step(step: str, command: str) -> str:
    return f'( {command} ) > {output_file(step)} 2>&1; echo "$?" > {return_code_file(step)}'


def _call(program: Program | None, name: str) -> str:
    if program is None:
        return f'"$(mlip_find {name})"'
    lines = [*program.prepend.splitlines(), shlex.quote(program.path)]
    return '\n    '.join(lines)


def return_code(text: str) -> int | None:
    """Return the number in a file of a return code, or None when the job ended before it was written."""
    stripped = text.strip()
    return int(stripped) if stripped.lstrip('-').isdigit() else None

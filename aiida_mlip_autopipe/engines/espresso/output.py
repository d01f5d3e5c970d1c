"""Quantum ESPRESSO: the parameters of `pw.x`, and labels out of what aiida-quantumespresso parsed, in the package's units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_mlip_autopipe.common.reasons import LabelError, Reason
from aiida_mlip_autopipe.common.units import GPA

EXPECTED_UNITS = {'energy_units': 'eV', 'forces_units': 'ev / angstrom', 'stress_units': 'GPascal'}

BANDS_OVER_FILLED = 1.6
MIN_EMPTY_BANDS = 5
"""Bands beyond the filled ones, as a factor and at least as many."""


def number_of_bands(n_electrons: float) -> int:
    """Return how many bands to compute, so that the highest one stays empty also where levels crowd at one k-point.

    QE's own default for metals (1.2 times the filled bands) was too few for half of the Al-Mg frames of the demo, and
    aiida-quantumespresso then runs the calculation a second time.
    """
    filled = n_electrons / 2
    return math.ceil(max(BANDS_OVER_FILLED * filled, filled + MIN_EMPTY_BANDS))


def pw_parameters(
    settings: Mapping[str, Any], symbols: Sequence[str], valence: Mapping[str, float], moments: Mapping[str, float]
) -> dict[str, Any]:
    """Return the namelists of an SCF calculation with forces and stress.

    :param settings: fields of `DFTConfig` and its `charge_cutoff`: cutoffs and smearing in Ry.
    :param symbols: element of each atom; the SCF threshold grows with their number.
    :param valence: valence electrons of the pseudopotential of each element.
    :param moments: μB, initial moment of each element; none for a calculation without spin.
    """
    n_electrons = float(sum(valence[symbol] for symbol in symbols))
    system = {
        'ecutwfc': settings['cutoff_wfc'],
        'ecutrho': settings['charge_cutoff'],
        'occupations': 'smearing',
        'smearing': settings['smearing'],
        'degauss': settings['degauss'],
        'nbnd': number_of_bands(n_electrons),
    }
    kinds = sorted(set(symbols))
    if moments:
        system['nspin'] = 2
        # pw.x wants the share of the valence electrons that is not paired.
        system['starting_magnetization'] = {e: max(-1.0, min(1.0, moments.get(e, 0.0) / valence[e])) for e in kinds}
    shells = {e: settings['hubbard'][e]['u'] for e in kinds if e in settings['hubbard']}
    if shells and settings['hubbard_input'] == 'namelist':
        system.update(lda_plus_u=True, hubbard_u=shells)
    if settings['vdw_correction']:
        system['vdw_corr'] = settings['vdw_correction']
    return {
        'CONTROL': {'calculation': 'scf', 'tstress': True, 'tprnfor': True},
        'SYSTEM': system,
        'ELECTRONS': {
            'conv_thr': settings['conv_thr_per_atom'] * len(symbols),
            'mixing_beta': settings['mixing_beta'],
            'electron_maxstep': settings['electron_maxstep'],
        },
    }


@dataclass(frozen=True)
class QeResult:
    """One SCF calculation in the package's units.

    :param energy: eV, the quantity whose derivative the forces are (with smearing: the free energy).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order, shape (6,).
    """

    converged: bool
    energy: float
    forces: npt.NDArray[np.float64]
    stress: npt.NDArray[np.float64]
    code_version: str
    functional: str


def level_of_theory(theory: Mapping[str, Any], result: QeResult) -> dict[str, Any]:
    """Return what determines the numbers of a calculation.

    :param theory: what was known of it before, see `DFTConfig.theory`.
    """
    return {**theory, 'code_version': result.code_version, 'functional': result.functional}


def read_result(parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> QeResult:
    """Return the result of a calculation from the nodes `output_parameters` and `output_trajectory` (last step).

    Convergence is read from QE's XML, not from the words of the log. QE's stress is positive under compression and ASE's
    negative, so the sign changes.

    :raises LabelError: a quantity is missing or in an unexpected unit.
    """
    missing = [name for name in ('energy', 'number_of_electrons') if name not in parameters]
    missing += [name for name in ('forces', 'stress') if name not in arrays]
    if missing:
        raise LabelError(Reason.OUTPUT_INCOMPLETE, f'output of pw.x lacks {", ".join(missing)}')
    for name, unit in EXPECTED_UNITS.items():
        if parameters.get(name, unit) != unit:
            raise LabelError(Reason.OUTPUT_UNREADABLE, f'output of pw.x has {name} {parameters[name]!r}, expected {unit!r}')
    convergence = parameters.get('convergence_info', {}).get('scf_conv', {})
    return QeResult(
        converged=bool(convergence.get('convergence_achieved', False)),
        energy=float(parameters['energy']),
        forces=np.asarray(arrays['forces'], dtype=np.float64),
        stress=-np.asarray(full_3x3_to_voigt_6_stress(np.asarray(arrays['stress'], dtype=np.float64))) * GPA,
        code_version=str(parameters.get('creator_version', '')),
        functional=str(parameters.get('dft_exchange_correlation', '')),
    )

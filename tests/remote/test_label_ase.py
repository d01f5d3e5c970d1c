"""Stage label with an ASE calculator: EMT's own numbers, a reason for each frame without a label."""

from __future__ import annotations

from collections.abc import Callable

import ase
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators import emt

from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from tests.remote.conftest import EMT, Outcome

Stage = Callable[..., Outcome]
ROUNDING = 1e-10
"""eV, eV/Å: sums in another order."""

LEVEL = {'code': 'ASE', 'code_version': ase.__version__, 'calculator': 'emt', 'parameters': {}}


def crystal(element: str = 'Cu', rattle: float = 0.05, seed: int = 0) -> Atoms:
    atoms = bulk(element, 'fcc', a=4.0, cubic=True)
    atoms.positions += np.random.default_rng(seed).normal(0, rattle, atoms.positions.shape)
    return atoms


class TestLabels:
    def test_are_those_of_emt(self, labelled: Outcome) -> None:
        frames = labelled.frames('labelled')
        for index in (0, len(frames) // 2, len(frames) - 3):
            atoms = frames.atoms(index)
            reference = atoms.copy()
            reference.calc = emt.EMT()
            assert atoms.get_potential_energy() == pytest.approx(reference.get_potential_energy(), abs=ROUNDING)
            np.testing.assert_allclose(atoms.get_forces(), reference.get_forces(), atol=ROUNDING)
            np.testing.assert_allclose(atoms.get_stress(), reference.get_stress(), atol=ROUNDING)

    def test_order_and_metadata_are_kept(self, generated: Outcome, labelled: Outcome) -> None:
        frames, found = generated.frames('frames'), labelled.frames('labelled').take(range(len(generated.frames('frames'))))
        for name in ('uid', 'lineage', 'parent', 'config_type', 'origin', 'positions', 'cells'):
            np.testing.assert_array_equal(getattr(found, name), getattr(frames, name))

    def test_isolated_atoms_have_energies_and_no_forces(self, references: Frames) -> None:
        assert references.config_type.tolist() == [ISOLATED_ATOM] * 2
        assert references.labelled.all()
        assert (references.energy > 3).all(), "EMT's zero is near the solid"
        np.testing.assert_array_equal(references.forces, 0)

    def test_report(self, labelled: Outcome) -> None:
        frames = labelled.frames('labelled')
        assert labelled.report == {
            'n_frames': len(frames),
            'n_labelled': len(frames),
            'n_failed': 0,
            'n_recovered': 0,
            'n_reused': 0,
            'remedies': {},
            'by_reason': {},
            'failures': [],
            'levels_of_theory': {fingerprint_of(LEVEL): LEVEL},
        }
        assert set(frames.fingerprint) == {fingerprint_of(LEVEL)}
        assert not labelled.has('quarantined')

    def test_same_inputs_same_outputs(self, stage: Stage) -> None:
        frames = Frames.from_atoms([crystal(), crystal('Au')])
        first, second = (stage('label-ase', {'settings': EMT}, frames=frames) for _ in range(2))
        a, b = first.arrays('labelled'), second.arrays('labelled')
        assert all(np.array_equal(a[name], b[name]) for name in a)
        assert first.report == second.report

    def test_label_does_not_depend_on_what_was_labelled_before(self, stage: Stage) -> None:
        both = stage('label-ase', {'settings': EMT}, frames=Frames.from_atoms([crystal('Au'), crystal()])).frames('labelled')
        alone = stage('label-ase', {'settings': EMT}, frames=Frames.from_atoms([crystal()])).frames('labelled')
        assert both.energy[1] == alone.energy[0]

    def test_parameters_change_numbers_and_fingerprint(self, stage: Stage) -> None:
        frames = Frames.from_atoms([crystal('Cu')])
        settings = {**EMT, 'calculator': 'lj'}

        def labelled_with(epsilon: float) -> Frames:
            parameters = {'sigma': 2.0, 'epsilon': epsilon}
            outcome = stage('label-ase', {'settings': {**settings, 'parameters': parameters}}, frames=frames)
            return outcome.frames('labelled')

        soft, hard = labelled_with(0.1), labelled_with(0.2)
        assert hard.energy[0] == pytest.approx(2 * soft.energy[0])
        assert hard.fingerprint[0] != soft.fingerprint[0]


class TestQuarantine:
    def test_an_energy_that_does_not_belong_to_the_others_is_set_aside(self, stage: Stage) -> None:
        odd = crystal(rattle=0.0)
        odd.set_cell(odd.cell.array * 1.5, scale_atoms=True)
        frames = Frames.from_atoms([crystal(seed=seed) for seed in range(12)] + [odd]).replace(config_type='rattle')
        report = stage('label-ase', {'settings': EMT}, frames=frames).report
        assert [(failure['index'], failure['reason']) for failure in report['failures']] == [(12, 'energy_outlier')]
        kept = stage('label-ase', {'settings': {**EMT, 'outlier_zscore': None}}, frames=frames).report
        assert kept['n_labelled'] == 13

    def test_each_with_its_reason(self, stage: Stage) -> None:
        squeezed = crystal(rattle=0.0)
        squeezed.positions[1] = squeezed.positions[0] + [0.6, 0, 0]
        frames = Frames.from_atoms([crystal(), crystal('Mg'), squeezed, crystal('Au')])
        outcome = stage('label-ase', {'settings': {**EMT, 'force_cap': 20}}, frames=frames)
        report = outcome.report
        assert (report['n_frames'], report['n_labelled'], report['n_failed']) == (4, 2, 2)
        assert [(failure['index'], failure['uid']) for failure in report['failures']] == [(1, frames.uid[1]), (2, frames.uid[2])]
        assert [failure['reason'] for failure in report['failures']] == ['refused', 'force_cap']
        assert 'Mg' in report['failures'][0]['detail']
        assert report['failures'][1]['detail'].endswith(' eV/Å')
        assert report['by_reason'] == {'refused': 1, 'force_cap': 1}
        assert outcome.frames('quarantined').reason.tolist() == ['refused', 'force_cap']
        assert outcome.frames('quarantined').uid.tolist() == [frames.uid[1], frames.uid[2]]
        assert not outcome.frames('quarantined').labelled.any()
        assert outcome.frames('labelled').uid.tolist() == [frames.uid[0], frames.uid[3]]

    def test_nothing_labelled(self, stage: Stage) -> None:
        outcome = stage('label-ase', {'settings': EMT}, frames=Frames.from_atoms([crystal('Mg')]))
        assert outcome.report['n_labelled'] == 0
        assert not outcome.has('labelled')
        assert len(outcome.frames('quarantined')) == 1


class TestRefused:
    def test_missing_frames(self, stage: Stage) -> None:
        assert stage('label-ase', {'settings': EMT}).error == {
            'kind': 'InputError',
            'message': 'frames.npz: the frames of the input frames are missing',
        }

    def test_parameters_of_another_calculator(self, stage: Stage) -> None:
        settings = {**EMT, 'parameters': {'encut': 400}}
        error = stage('label-ase', {'settings': settings}, frames=Frames.from_atoms([crystal()])).error
        assert error['kind'] == 'InputError'
        assert error['message'] == "label.parameters: emt does not know ['encut']; it knows ['asap_cutoff']"

    def test_value_that_the_calculator_refuses(self, stage: Stage) -> None:
        settings = {**EMT, 'calculator': 'lj', 'parameters': {'rc': 'far'}}
        outcome = stage('label-ase', {'settings': settings}, frames=Frames.from_atoms([crystal()]))
        assert outcome.error['message'].startswith("label.parameters: {'rc': 'far'} do not fit the calculator lj: ")

    def test_unknown_calculator(self, stage: Stage) -> None:
        error = stage('label-ase', {'settings': {**EMT, 'calculator': 'vasp'}}, frames=Frames.from_atoms([crystal()])).error
        assert "calculator: got 'vasp'; input should be 'emt', 'lj' or 'morse'" in error['message']

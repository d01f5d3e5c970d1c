"""Stage select: the funnel with its numbers, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel
from aiida_mlip_autopipe.engines.mace.reduce import largest_force
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote.surrogate_model import NO_MODEL
from aiida_mlip_autopipe.remote.worker import run_stage
from aiida_mlip_autopipe.science.selection.funnel import ALREADY_LABELLED, DUPLICATE, NOT_SELECTED
from tests.mace_data import MODEL, almg_pool, needs_mace, poisoned
from tests.remote.conftest import Outcome

Stage = Callable[..., Outcome]
BUDGET = 6
MD = {'kind': 'md', 'temperature': 500.0, 'steps': 5, 'timestep': 2.0}


def request(budget: int = BUDGET, seed: int = 3, **settings: Any) -> dict[str, Any]:
    return {'settings': settings, 'budget': budget, 'seed': seed}


def with_model(budget: int = BUDGET, **settings: Any) -> dict[str, Any]:
    return request(budget, **{'model': str(MODEL), 'device': 'cpu', **settings})


def pool(generated: Outcome) -> Frames:
    """Return the generated frames, one of them twice, and one that is squeezed."""
    squeezed = bulk('Cu', a=2.0, cubic=True)
    squeezed.info['config_type'] = 'squeezed'
    frames = generated.frames('frames')
    return Frames.concatenate([frames, frames.take([1]), Frames.from_atoms([squeezed])])


@pytest.fixture(scope='module')
def selected(generated: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    from tests.remote.conftest import run_in  # noqa: PLC0415  # pytest imports conftest under this name, too

    folder = tmp_path_factory.mktemp('select') / 'job'
    frames = pool(generated)
    return run_in(folder, 'select', request(), frames=frames, known=frames.take([0]))


@pytest.mark.lammps
class TestFunnel:
    def test_selection(self, selected: Outcome, generated: Outcome) -> None:
        arrays = selected.arrays('selection')
        frames = pool(generated)
        assert arrays['indices'].dtype.kind == 'i'
        assert len(arrays['indices']) == len(set(arrays['indices'].tolist())) == BUDGET
        assert len(arrays['reasons']) == len(frames)
        assert sorted(np.flatnonzero(arrays['reasons'] == '')) == sorted(arrays['indices'])

    def test_reasons(self, selected: Outcome, generated: Outcome) -> None:
        reasons = selected.arrays('selection')['reasons']
        n_frames = len(generated.frames('frames'))
        assert reasons[0] == ALREADY_LABELLED
        assert reasons[n_frames] == DUPLICATE, 'the frame that came twice'
        assert reasons[n_frames + 1] not in ('', DUPLICATE, ALREADY_LABELLED, NOT_SELECTED), 'the squeezed one'

    def test_report_counts_what_the_arrays_say(self, selected: Outcome, generated: Outcome) -> None:
        report, arrays = selected.report, selected.arrays('selection')
        frames = pool(generated)
        assert report['reasons'] == Counter(arrays['reasons'][arrays['reasons'] != ''].tolist())
        assert report['counts']['generated'] == len(frames)
        assert report['counts']['sane'] == len(frames) - 1
        assert report['counts']['selected'] == report['budget'] == BUDGET
        assert report['n_known'] == 1
        assert report['lineages_selected'] == len(set(frames.lineage[arrays['indices']].tolist()))
        assert report['by_config_type']['squeezed'] == {'generated': 1, 'sane': 0, 'unique': 0, 'inside': 0, 'selected': 0}

    def test_same_inputs_same_selection(self, stage: Stage, selected: Outcome, generated: Outcome) -> None:
        frames = pool(generated)
        again = stage('select', request(), frames=frames, known=frames.take([0]))
        assert again.arrays('selection')['indices'].tolist() == selected.arrays('selection')['indices'].tolist()
        assert again.report == selected.report

    def test_budget_of_nothing(self, stage: Stage, generated: Outcome) -> None:
        outcome = stage('select', request(budget=0, first=[]), frames=generated.frames('frames').take([0, 1]))
        assert outcome.arrays('selection')['indices'].tolist() == []
        assert outcome.report['reasons'] == {NOT_SELECTED: 2}
        assert outcome.report['n_known'] == 0

    def test_settings_arrive(self, stage: Stage, generated: Outcome) -> None:
        outcome = stage('select', request(min_bond_fraction=1.0), frames=generated.frames('frames').take([0]))
        assert outcome.report['counts'] == {'generated': 1, 'sane': 0, 'unique': 0, 'inside': 0, 'selected': 0}


@pytest.mark.lammps
class TestFirstRound:
    """Crystals come before what the selector picks."""

    def test_all_undistorted_crystals_are_bought(self, stage: Stage, generated: Outcome) -> None:
        frames = generated.frames('frames')
        outcome = stage('select', request(budget=4), frames=frames)
        crystals = np.flatnonzero(frames.config_type == 'sqs').tolist()
        assert outcome.arrays('selection')['indices'].tolist()[: len(crystals)] == crystals
        assert outcome.report['selector'] == 'mlip_autopipe.fps'

    def test_a_budget_that_does_not_hold_them_is_refused_with_the_number(self, stage: Stage, generated: Outcome) -> None:
        error = stage('select', request(budget=2), frames=generated.frames('frames')).error
        assert error['kind'] == 'InputError'
        assert error['message'].startswith('3 frames must be labelled first (sqs 3), but the budget of this round is 2: raise')


@pytest.mark.lammps
class TestDOptimal:
    """With the newest potential frames are chosen by the descriptors of their atoms."""

    @pytest.fixture
    def candidates(self, generated: Outcome) -> Frames:
        """A crystal that is known but for a hair, and three that are shaken more and more."""
        rng = np.random.default_rng(0)
        base = generated.frames('frames').atoms(0)
        found = []
        for stdev in (0.002, 0.1, 0.2, 0.3):
            atoms = base.copy()
            atoms.positions += rng.normal(0, stdev, atoms.positions.shape)
            atoms.info = {'config_type': 'md'}
            found.append(atoms)
        return Frames.from_atoms(found)

    def test_it_is_the_default_and_asks_for_the_potential(
        self, stage: Stage, candidates: Frames, training: Frames, potential: Path
    ) -> None:
        settings = request(budget=4, duplicate_tolerance=0)
        outcome = stage('select', settings, frames=candidates, train=training, potential=potential)
        report, chosen = outcome.report, outcome.arrays('selection')['indices'].tolist()
        assert report['selector'] == 'mlip_autopipe.d_optimal'
        assert 3 in chosen
        assert 0 not in chosen, 'it adds nothing'
        assert f'{len(chosen)} of 4 candidates were taken, fewer than the budget of 4' in report['notes'][-1]

    def test_another_selector_may_be_chosen(self, stage: Stage, candidates: Frames, training: Frames, potential: Path) -> None:
        settings = request(budget=2, selector='mlip_autopipe.random')
        outcome = stage('select', settings, frames=candidates, train=training, potential=potential)
        assert outcome.report['selector'] == 'mlip_autopipe.random'

    def test_without_a_potential_farthest_points_serve(self, stage: Stage, candidates: Frames) -> None:
        outcome = stage('select', request(budget=2, selector='mlip_autopipe.d_optimal'), frames=candidates)
        assert outcome.report['selector'] == 'mlip_autopipe.fps'


class TestRefused:
    def test_missing_frames(self, stage: Stage) -> None:
        error = stage('select', request()).error
        assert error == {'kind': 'InputError', 'message': 'frames.npz: the frames of the input frames are missing'}

    @pytest.mark.parametrize(
        ('field', 'group'), [('descriptor', 'mlip_autopipe.descriptors'), ('selector', 'mlip_autopipe.selectors')]
    )
    def test_unknown_entry_point(self, stage: Stage, generated: Outcome, field: str, group: str) -> None:
        error = stage('select', request(**{field: 'nobody.nothing'}), frames=generated.frames('frames')).error
        assert error['kind'] == 'InputError'
        assert error['message'].startswith(f"'nobody.nothing' is no entry point of {group}; registered here: mlip_autopipe.")

    def test_bad_settings(self, stage: Stage, generated: Outcome) -> None:
        error = stage('select', request(max_skew=95), frames=generated.frames('frames')).error
        assert error['message'].startswith('max_skew: got 95; input should be less than 90 (degrees')

    def test_negative_budget(self, stage: Stage, generated: Outcome) -> None:
        error = stage('select', request(budget=-1), frames=generated.frames('frames')).error
        assert error['message'] == 'the budget of a selection must be at least 0, got -1'


@needs_mace
class TestModel:
    """The stage with the model of the demo: what it says, what it keeps out, and the pool with walks."""

    def test_the_report_names_the_model(self, stage: Stage) -> None:
        report = stage('select', with_model(), frames=almg_pool()).report
        digest = hashlib.sha256(MODEL.read_bytes()).hexdigest()
        expected = {'kind': 'mace', 'name': str(MODEL), 'sha256': digest, 'elements': ['Mg', 'Al'], 'cutoff': 5.0}
        assert report['surrogate'] == {**expected, 'device': 'cpu', 'dtype': 'float32', 'note': ''}
        assert report['notes'] == []
        assert report['n_walked'] == 0

    def test_a_model_that_came_with_the_job_needs_no_setting(self, stage: Stage, tmp_path: Path) -> None:
        folder = tmp_path / 'own'
        folder.mkdir()
        shutil.copyfile(MODEL, folder / files.MODEL)
        almg_pool().save(folder / files.arrays_file('frames'))
        (folder / files.SETTINGS).write_text(json.dumps(request(device='cpu', pre_explore=MD)), encoding='utf-8')
        report = Outcome(run_stage('select', folder), folder).report
        assert report['surrogate']['name'] == files.MODEL
        assert report['n_walked'] == len(almg_pool())

    def test_same_seed_same_selection(self, stage: Stage) -> None:
        settings = with_model(pre_explore=MD, selector='mlip_autopipe.random')
        first, second = (stage('select', settings, frames=almg_pool()) for _ in range(2))
        other = stage('select', {**settings, 'seed': 4}, frames=almg_pool())
        np.testing.assert_array_equal(first.frames('pool').positions, second.frames('pool').positions)
        assert first.arrays('selection')['indices'].tolist() == second.arrays('selection')['indices'].tolist()
        assert first.report == second.report
        assert first.arrays('selection')['indices'].tolist() != other.arrays('selection')['indices'].tolist()
        assert not np.allclose(first.frames('pool').positions, other.frames('pool').positions)

    def test_the_order_of_the_pool_does_not_matter(self, stage: Stage) -> None:
        frames = almg_pool()
        order = np.random.default_rng(0).permutation(len(frames))
        settings = with_model(dtype='float64')
        plain = stage('select', settings, frames=frames).arrays('selection')['indices']
        mixed = stage('select', settings, frames=frames.take(order)).arrays('selection')['indices']
        assert set(frames.uid[plain].tolist()) == set(frames.take(order).uid[mixed].tolist())

    @pytest.mark.parametrize(
        ('limits', 'reason'),
        [
            ({'energy_window': 0.5}, 'energy_window'),
            ({'energy_window': None, 'volume_window': [10.0, 30.0]}, 'volume_window'),
        ],
    )
    def test_what_lies_outside_is_told(self, stage: Stage, limits: dict[str, Any], reason: str) -> None:
        outcome = stage('select', with_model(budget=100, **limits), frames=almg_pool())
        reasons = outcome.arrays('selection')['reasons']
        assert reasons[-1] == reason, 'the torn crystal'
        assert outcome.report['reasons_by_config_type']['torn'] == {reason: 1}
        assert outcome.report['by_config_type']['torn'] == {'generated': 1, 'sane': 1, 'unique': 1, 'inside': 0, 'selected': 0}
        assert (reasons[:-1] == '').sum() > len(reasons) / 2

    def test_forces_above_the_cap_are_told(self, stage: Stage) -> None:
        frames = almg_pool()
        largest = largest_force(evaluate(MaceModel.load(MODEL, device='cpu'), frames).forces, frames)
        cap = float(np.sort(largest)[-3:-1].mean())
        reasons = stage('select', with_model(budget=100, force_cap=cap), frames=frames).arrays('selection')['reasons']
        assert np.flatnonzero(reasons == 'force_cap').tolist() == np.flatnonzero(largest > cap).tolist()

    def test_a_budget_larger_than_the_pool_takes_all_and_says_so(self, stage: Stage) -> None:
        n_frames = len(almg_pool())
        report = stage('select', with_model(budget=1000), frames=almg_pool()).report
        assert report['counts']['selected'] == report['counts']['inside'] == n_frames
        said = f'the budget of 1000 is larger than the {n_frames} candidates that passed all filters: all were taken'
        assert report['notes'] == [said]

    def test_walks_join_the_pool(self, stage: Stage) -> None:
        frames = almg_pool()
        outcome = stage('select', with_model(budget=1000, pre_explore=MD), frames=frames)
        pool, report = outcome.frames('pool'), outcome.report
        assert len(pool) == len(frames) + report['n_walked'] == 2 * len(frames)
        assert len(outcome.arrays('selection')['reasons']) == len(pool)
        assert report['by_config_type']['surrogate_md']['generated'] == len(frames)
        assert set(pool.parent[len(frames) :].tolist()) == set(frames.uid.tolist())

    def test_predictions_that_are_not_finite(self, stage: Stage, tmp_path: Path) -> None:
        model = str(poisoned(tmp_path / 'poisoned.model'))
        outcome = stage('select', with_model(model=model), frames=almg_pool())
        assert outcome.arrays('selection')['indices'].tolist() == []
        assert outcome.report['reasons'] == {'not_finite': len(almg_pool())}

    def test_walks_with_forces_that_are_not_finite_end(self, stage: Stage, tmp_path: Path) -> None:
        model = str(poisoned(tmp_path / 'poisoned.model'))
        outcome = stage('select', with_model(model=model, pre_explore=MD), frames=almg_pool())
        assert outcome.report['counts']['selected'] == 0
        assert outcome.report['reasons']['not_finite'] >= len(almg_pool())

    def test_an_element_that_the_model_does_not_know(self, stage: Stage, generated: Outcome) -> None:
        error = stage('select', with_model(pre_explore=MD), frames=generated.frames('frames')).error
        said = "select.model: the structures have ['Au', 'Cu'], which the model does not know; it knows ['Mg', 'Al']"
        assert error == {'kind': 'UnknownElementError', 'message': said}

    def test_an_element_of_the_known_frames_counts(self, stage: Stage, generated: Outcome) -> None:
        error = stage('select', with_model(), frames=almg_pool(), known=generated.frames('frames').take([0])).error
        assert error['kind'] == 'UnknownElementError'

    def test_a_file_that_is_no_model(self, stage: Stage, tmp_path: Path) -> None:
        path = tmp_path / 'notes.model'
        path.write_text('not a model', encoding='utf-8')
        error = stage('select', with_model(model=str(path)), frames=almg_pool()).error
        assert error['kind'] == 'ModelError'
        assert error['message'].startswith('select.model: notes.model is not a MACE model: ')

    def test_a_program_of_its_own(self, tmp_path: Path) -> None:
        """`mlip-worker select` as a job runs it."""
        almg_pool().save(tmp_path / files.arrays_file('frames'))
        (tmp_path / files.SETTINGS).write_text(json.dumps(with_model()), encoding='utf-8')
        program = Path(sys.executable).parent / 'mlip-worker'
        done = subprocess.run([program, 'select'], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        assert json.loads((tmp_path / files.REPORT).read_text(encoding='utf-8'))['counts']['selected'] == BUDGET


class TestWithoutMace:
    @pytest.fixture(autouse=True)
    def _no_mace(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, 'mace', None)

    @pytest.mark.lammps
    def test_the_built_in_descriptor_serves_and_says_so(self, stage: Stage) -> None:
        report = stage('select', request(), frames=almg_pool()).report
        assert report['surrogate'] == {'kind': 'descriptor', 'name': 'mlip_autopipe.pod', 'note': NO_MODEL}
        assert report['notes'] == [NO_MODEL]
        assert report['counts']['selected'] == BUDGET

    def test_a_model_is_an_error(self, stage: Stage) -> None:
        error = stage('select', with_model(), frames=almg_pool()).error
        assert error['kind'] == 'InstallationError'
        assert error['message'].startswith(f'select.model: {str(MODEL)!r} needs mace-torch, which is not installed')


def test_mace_is_not_imported_without_a_model(tmp_path: Path) -> None:
    code = (
        'import sys\n'
        'import aiida_mlip_autopipe.remote.selection, aiida_mlip_autopipe.remote.pre_explore\n'
        'assert not {"mace", "torch", "e3nn"} & set(sys.modules)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

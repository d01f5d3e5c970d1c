"""Stage select: the funnel with its numbers, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.select.funnel import ALREADY_LABELLED, DUPLICATE, NOT_SELECTED
from tests.remote.conftest import Outcome

Stage = Callable[..., Outcome]
BUDGET = 6


def request(budget: int = BUDGET, seed: int = 3, **settings: Any) -> dict[str, Any]:
    return {'settings': settings, 'budget': budget, 'seed': seed}


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
    return run_in(folder, 'surrogate', request(), frames=frames, known=frames.take([0]))


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
        again = stage('surrogate', request(), frames=frames, known=frames.take([0]))
        assert again.arrays('selection')['indices'].tolist() == selected.arrays('selection')['indices'].tolist()
        assert again.report == selected.report

    def test_budget_of_nothing(self, stage: Stage, generated: Outcome) -> None:
        outcome = stage('surrogate', request(budget=0), frames=generated.frames('frames').take([0, 1]))
        assert outcome.arrays('selection')['indices'].tolist() == []
        assert outcome.report['reasons'] == {NOT_SELECTED: 2}
        assert outcome.report['n_known'] == 0

    def test_settings_arrive(self, stage: Stage, generated: Outcome) -> None:
        outcome = stage('surrogate', request(min_bond_fraction=1.0), frames=generated.frames('frames').take([0]))
        assert outcome.report['counts'] == {'generated': 1, 'sane': 0, 'unique': 0, 'inside': 0, 'selected': 0}


class TestRefused:
    def test_missing_frames(self, stage: Stage) -> None:
        error = stage('surrogate', request()).error
        assert error == {'kind': 'InputError', 'message': 'frames.npz: the frames of the input frames are missing'}

    @pytest.mark.parametrize(
        ('field', 'group'), [('descriptor', 'mlip_autopipe.descriptors'), ('selector', 'mlip_autopipe.selectors')]
    )
    def test_unknown_entry_point(self, stage: Stage, generated: Outcome, field: str, group: str) -> None:
        error = stage('surrogate', request(**{field: 'nobody.nothing'}), frames=generated.frames('frames')).error
        assert error['kind'] == 'InputError'
        assert error['message'].startswith(f"'nobody.nothing' is no entry point of {group}; registered here: mlip_autopipe.")

    def test_bad_settings(self, stage: Stage, generated: Outcome) -> None:
        error = stage('surrogate', request(max_skew=95), frames=generated.frames('frames')).error
        assert error['message'].startswith('max_skew: got 95; input should be less than 90 (degrees')

    def test_negative_budget(self, stage: Stage, generated: Outcome) -> None:
        error = stage('surrogate', request(budget=-1), frames=generated.frames('frames')).error
        assert error['message'] == 'the budget of a selection must be at least 0, got -1'

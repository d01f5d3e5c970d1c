import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain
from tests.workflows.conftest import trajectory

TEMPERATURES = [300.0, 600.0, 900.0]


@pytest.fixture
def inputs(emt_frames, fake_potential, worker_code):
    return {
        'code': worker_code,
        'potential': fake_potential,
        'starts': FramesData(emt_frames(2, labelled=False)),
        'seed': orm.Int(10),
        'round': orm.Int(1),
        'settings': orm.Dict({'temperatures': TEMPERATURES}),
    }


@pytest.fixture
def rungs(fake_process, emt_frames):
    """Children in the order of the temperatures: how each ended, or `fail`; `candidates` of each."""

    def make(*plan, candidates=2):
        ends = iter(plan)

        def answer(_, inputs):
            end = next(ends)
            if end == 'fail':
                return fake_process(status=420, message='no trajectory')
            temperature = inputs['temperature'].value
            runs = [trajectory(temperature=temperature), trajectory(temperature=temperature, reason=end, n_candidates=candidates)]
            outputs = {'report': orm.Dict({'trajectories': runs})}
            if candidates:
                frames = emt_frames(candidates, labelled=False, seed=int(temperature))
                outputs['candidates'] = FramesData(frames)
            return fake_process(outputs=outputs)

        return answer

    return make


@pytest.mark.parametrize('end', ['finished', 'lost_atoms', 'error', 'grade'])
def test_every_start_runs_at_every_temperature_whatever_happens_below(walk, rungs, inputs, end):
    found = walk(ExploreWorkChain, rungs(end, 'finished', 'finished'), **inputs)
    assert found.exit_code is None
    assert [values['temperature'].value for _, values in found.submitted] == TEMPERATURES
    assert len(found.outputs['candidates']) == 6
    report = found.outputs['report'].get_dict()
    assert (report['n_trajectories'], report['n_stopped'], report['n_candidates']) == (6, int(end != 'finished'), 6)
    assert report['temperatures'] == TEMPERATURES
    assert report['is_passed'] == (end == 'finished')
    assert [rung['reached'] for rung in report['ladder']] == [900.0 if end == 'finished' else None]


def test_every_temperature_has_its_own_seed(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'finished', 'finished'), **inputs)
    assert [values['seed'].value for _, values in found.submitted] == [10, 11, 12]


def test_without_candidates_there_is_a_report_only(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'finished', 'finished', candidates=0), **inputs)
    assert found.exit_code is None
    assert set(found.outputs) == {'report'}
    assert found.outputs['report']['gamma_max'] == 1.5


def test_a_failure_attaches_what_there_is(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'fail', 'finished'), **inputs)
    assert found.label == 'ERROR_MD_FAILED'
    assert found.exit_code.message == 'MD at 600 K failed: no trajectory'
    assert len(found.outputs['candidates']) == 4
    assert found.outputs['report']['n_trajectories'] == 4


def test_where_every_job_fails_nothing_is_attached(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('fail', 'fail', 'fail'), **inputs)
    assert found.label == 'ERROR_MD_FAILED'
    assert found.exit_code.message == 'MD at 300 K failed: no trajectory'
    assert found.outputs == {}


def test_settings_with_a_mistake_are_refused(walk, rungs, inputs):
    with pytest.raises(ValueError, match='temperatures must rise'):
        walk(ExploreWorkChain, rungs(), **{**inputs, 'settings': orm.Dict({'temperatures': [600.0, 300.0]})})


SEVERAL = {'temperatures': [300.0, 600.0], 'pressures': [0.0, 5.0], 'seeds': 2}


def test_every_pressure_and_seed_has_a_job(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs(*['finished'] * 8), **{**inputs, 'settings': orm.Dict(SEVERAL)})
    assert found.exit_code is None
    jobs = [(values['temperature'].value, values['pressure'].value, values['seed'].value) for _, values in found.submitted]
    assert jobs == [
        (300.0, 0.0, 10), (300.0, 0.0, 11), (300.0, 5.0, 12), (300.0, 5.0, 13),
        (600.0, 0.0, 14), (600.0, 0.0, 15), (600.0, 5.0, 16), (600.0, 5.0, 17),
    ]  # fmt: skip
    assert found.outputs['report']['n_trajectories'] == 16


def test_a_single_pressure_stays_in_the_settings(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished'), **{**inputs, 'settings': orm.Dict({'pressure': 3.0})})
    assert 'pressure' not in found.submitted[0][1]


def test_structures_that_two_jobs_found_come_back_once(walk, rungs, inputs):
    """The stand-in children give the same frames at the same temperature."""
    settings = orm.Dict({'temperatures': [300.0], 'seeds': 3})
    found = walk(ExploreWorkChain, rungs(*['finished'] * 3), **{**inputs, 'settings': settings})
    report = found.outputs['report']
    assert len(found.outputs['candidates']) == report['n_candidates'] == 2
    assert report['n_duplicates'] == 4


def test_other_jobs_of_a_rung_survive_a_failure(walk, rungs, inputs):
    plan = ['finished', 'fail', *['finished'] * 6]
    found = walk(ExploreWorkChain, rungs(*plan), **{**inputs, 'settings': orm.Dict(SEVERAL)})
    assert found.label == 'ERROR_MD_FAILED'
    assert found.exit_code.message == 'MD at 300 K failed: no trajectory'
    assert found.outputs['report']['n_trajectories'] == 14
    assert len(found.outputs['candidates']) == 4


def test_partial_output_of_a_failed_job_is_attached(walk, fake_process, emt_frames, inputs):
    outputs = {
        'report': {'trajectories': [trajectory(reason='error')], 'n_uncut': 2},
        'candidates': emt_frames(2, labelled=False),
        'uncut': emt_frames(2, labelled=False, seed=3),
    }

    def answer(_, values):
        nodes = {name: orm.Dict(v) if name == 'report' else FramesData(v) for name, v in outputs.items()}
        return fake_process(status=420, message='no trajectory', outputs=nodes)

    found = walk(ExploreWorkChain, answer, **{**inputs, 'settings': orm.Dict({'temperatures': [300.0]})})
    assert found.label == 'ERROR_MD_FAILED'
    assert len(found.outputs['candidates']) == len(found.outputs['uncut']) == 2
    assert found.outputs['report']['n_uncut'] == 2


def test_grades_are_merged_with_their_frames(walk, fake_process, emt_frames, inputs):
    def answer(_, values):
        frames = emt_frames(2, labelled=False, seed=int(values['temperature'].value))
        gamma = np.full(len(frames.numbers), values['temperature'].value)
        outputs = {
            'report': orm.Dict({'trajectories': [trajectory()]}),
            'candidates': FramesData(frames),
            'candidate_grades': orm.ArrayData({'gamma': gamma}),
        }
        return fake_process(outputs=outputs)

    found = walk(ExploreWorkChain, answer, **inputs)
    gamma = found.outputs['candidate_grades'].get_array('gamma')
    assert len(gamma) == len(found.outputs['candidates'].frames.numbers)
    assert sorted(set(gamma.tolist())) == TEMPERATURES


def test_a_long_timestep_is_reported(walk, rungs, inputs, monkeypatch):
    said = []
    monkeypatch.setattr(ExploreWorkChain, 'report', lambda _, text: said.append(text))
    walk(ExploreWorkChain, rungs('finished'), **{**inputs, 'settings': orm.Dict({'timestep': 6.0})})
    assert [text for text in said if text.startswith('warning: explore.timestep: 6 fs is longer than 5 fs')]

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


def test_the_ladder_is_climbed_while_all_trajectories_finish(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'finished', 'finished'), **inputs)
    assert found.exit_code is None
    assert [values['temperature'].value for _, values in found.submitted] == TEMPERATURES
    assert len(found.outputs['candidates']) == 6
    report = found.outputs['report'].get_dict()
    assert (report['n_trajectories'], report['n_stopped'], report['n_candidates']) == (6, 0, 6)
    assert report['temperatures'] == TEMPERATURES


@pytest.mark.parametrize('end', ['halted', 'lost_atoms', 'error'])
def test_a_trajectory_that_was_stopped_ends_the_climb(walk, rungs, inputs, end):
    found = walk(ExploreWorkChain, rungs('finished', end), **inputs)
    assert found.exit_code is None
    assert [values['temperature'].value for _, values in found.submitted] == TEMPERATURES[:2]
    assert found.outputs['report']['n_stopped'] == 1
    assert len(found.outputs['candidates']) == 4


def test_every_temperature_has_its_own_seed(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'finished', 'finished'), **inputs)
    assert [values['seed'].value for _, values in found.submitted] == [10, 11, 12]


def test_without_candidates_there_is_a_report_only(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'finished', 'finished', candidates=0), **inputs)
    assert found.exit_code is None
    assert set(found.outputs) == {'report'}
    assert found.outputs['report']['gamma_max'] == 1.5


def test_a_failure_attaches_what_there_is(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('finished', 'fail'), **inputs)
    assert found.label == 'ERROR_MD_FAILED'
    assert found.exit_code.message == 'MD at 600 K failed: no trajectory'
    assert len(found.outputs['candidates']) == 2
    assert found.outputs['report']['n_trajectories'] == 2


def test_a_failure_at_the_first_temperature_attaches_nothing(walk, rungs, inputs):
    found = walk(ExploreWorkChain, rungs('fail'), **inputs)
    assert found.label == 'ERROR_MD_FAILED'
    assert found.exit_code.message == 'MD at 300 K failed: no trajectory'
    assert found.outputs == {}


def test_settings_with_a_mistake_are_refused(walk, rungs, inputs):
    with pytest.raises(ValueError, match='temperatures must rise'):
        walk(ExploreWorkChain, rungs(), **{**inputs, 'settings': orm.Dict({'temperatures': [600.0, 300.0]})})

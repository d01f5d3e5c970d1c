from aiida import orm

from aiida_mlip_autopipe.calculations.explore_functions import summarize_exploration


def run(temperature, reason='finished', n_candidates=1, gamma_max=1.5):
    return {'temperature': temperature, 'reason': reason, 'n_candidates': n_candidates, 'gamma_max': gamma_max}


def test_all_trajectories_in_the_order_of_the_temperatures():
    low, high = [run(300.0), run(300.0, n_candidates=0)], [run(600.0, reason='halted', gamma_max=12.0)]
    rungs = {'rung_01': orm.Dict({'trajectories': high}), 'rung_00': orm.Dict({'trajectories': low})}
    assert summarize_exploration(**rungs).get_dict() == {
        'n_trajectories': 3,
        'n_stopped': 1,
        'n_candidates': 2,
        'gamma_max': 12.0,
        'temperatures': [300.0, 600.0],
        'trajectories': [*low, *high],
    }


def test_trajectories_that_never_started_have_no_grade():
    report = summarize_exploration(rung_00=orm.Dict({'trajectories': [run(300.0, reason='error', gamma_max=None)]}))
    assert report['gamma_max'] is None
    assert report['n_stopped'] == 1

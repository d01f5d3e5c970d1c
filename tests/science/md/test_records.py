import dataclasses

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.md.records import BAROSTATS, MAX_SEED, MdSettings, MdTrace, TrajectoryEnd, velocity_seeds

SETTINGS = MdSettings(temperature=300.0, steps=100, seed=11)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'temperature': 0.0}, 'temperature is 0.0, expected more than 0'),
        ({'temperature': -300.0}, 'temperature is -300.0, expected more than 0'),
        ({'temperature_end': 0.0}, 'temperature_end is 0.0, expected more than 0'),
        ({'timestep': 0.0}, 'timestep is 0.0, expected more than 0'),
        ({'steps': 0}, 'steps is 0, expected more than 0'),
        ({'check_interval': 0}, 'check_interval is 0, expected more than 0'),
        ({'max_candidates': 0}, 'max_candidates is 0, expected more than 0'),
        ({'quench_steps': 0}, 'quench_steps is 0, expected more than 0'),
        ({'quench_temperature': 0.0}, 'quench_temperature is 0.0, expected more than 0'),
        ({'seed': 0}, 'seed is 0, expected 1 to 2147483647'),
        ({'seed': 2**31}, 'seed is 2147483648, expected 1 to 2147483647'),
        ({'gamma_halt': 1.0}, 'gamma_halt 1.0 must be larger than gamma_select 2.0'),
        ({'gamma_halt': 2.0}, 'gamma_halt 2.0 must be larger than gamma_select 2.0'),
        ({'gamma_select': 0.0}, 'gamma_select is 0.0, expected more than 0'),
        ({'min_bond_fraction': 1.0}, 'min_bond_fraction is 1.0, expected 0 to less than 1'),
        ({'min_bond_fraction': -0.1}, 'min_bond_fraction is -0.1, expected 0 to less than 1'),
        ({'samples': -1}, 'samples is -1, expected 0 or more'),
        ({'barostat': 'triclinic'}, "barostat is 'triclinic', expected one of isotropic, anisotropic"),
        ({'quench': 'freeze'}, "quench is 'freeze', expected one of none, minimize, cool"),
    ],
)
def test_settings_out_of_range_are_refused(change, said):
    with pytest.raises(InputError) as caught:
        dataclasses.replace(SETTINGS, **change)
    assert str(caught.value) == said


def test_defaults_are_a_plain_run():
    assert (SETTINGS.quench, SETTINGS.temperature_end, SETTINGS.journal) == ('none', None, '')
    assert SETTINGS.min_bond_fraction == 0.0
    assert SETTINGS.barostat in BAROSTATS


def test_temperature_at_the_end():
    assert SETTINGS.final_temperature == 300.0
    assert dataclasses.replace(SETTINGS, temperature_end=900.0).final_temperature == 900.0


@pytest.mark.parametrize(('quench', 'steps'), [('none', 100), ('minimize', 100), ('cool', 150)])
def test_only_cooling_adds_time_steps(quench, steps):
    assert dataclasses.replace(SETTINGS, quench=quench, quench_steps=50).time_steps == steps


def test_seeds_follow_from_seed_and_round():
    assert velocity_seeds(1, 2, 3) == velocity_seeds(1, 2, 3)
    assert velocity_seeds(1, 2, 5)[:3] == velocity_seeds(1, 2, 3)
    assert not set(velocity_seeds(1, 2, 3)) & set(velocity_seeds(1, 3, 3))
    assert all(0 < seed <= MAX_SEED for seed in velocity_seeds(0, 0, 100))


class TestSamples:
    """Steps at which frames are kept whatever their grade."""

    def steps(self, **values):
        return sorted(dataclasses.replace(SETTINGS, **values).sample_steps)

    def test_none_unless_asked_for(self):
        assert self.steps() == []

    def test_they_are_even_after_the_warm_up_and_end_with_the_run(self):
        assert self.steps(steps=2000, warmup=500, samples=3) == [1000, 1500, 2000]
        assert self.steps(steps=4000, samples=2) == [2000, 4000]

    def test_they_are_checks(self):
        assert all(step % 7 == 0 for step in self.steps(steps=1000, check_interval=7, samples=5))

    def test_the_start_is_none(self):
        assert self.steps(steps=10, check_interval=10, samples=4) == [10]


def test_reasons_of_a_stop():
    assert [reason.value for reason in TrajectoryEnd] == [
        'finished', 'grade', 'lost_atoms', 'temperature', 'volume', 'bond', 'error',
    ]  # fmt: skip


def test_a_trace_without_bonds_is_possible():
    assert len(MdTrace(np.arange(3), *(np.zeros(3) for _ in range(4))).bond) == 0

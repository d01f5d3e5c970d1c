import json

import pytest

from aiida_mlip_autopipe.science.checks.finding import Finding


@pytest.mark.parametrize(('value', 'passed'), [(0.9, True), (1.0, True), (1.1, False), (-5.0, True)])
def test_a_number_and_its_limit(value, passed):
    found = Finding.at_most('nve_drift', value, 1.0, 'meV/atom/ps', 'it drifts')
    assert found == Finding('nve_drift', passed, value, 1.0, 'meV/atom/ps', 'it drifts')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_a_number_that_is_not_finite_fails_and_can_be_stored(value):
    found = Finding.at_most('wall_Cu-Au', value, 1.0, 'eV', 'broken')
    assert found.passed is False
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))['value'] is None


def test_what_passed_what_failed_and_what_could_not_be_compared():
    findings = [
        Finding.at_most('a', 0.0, 1.0, '', 'good'),
        Finding.failed('b', 'LAMMPS crashed'),
        Finding.not_made('c', 'nothing to compare'),
        Finding.at_most('d', 2.0, 1.0, '', 'too much'),
    ]
    assert [(finding.passed, finding.message) for finding in findings] == [
        (True, 'good'),
        (False, 'LAMMPS crashed'),
        (None, 'nothing to compare'),
        (False, 'too much'),
    ]

"""Stage simulate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from tests.remote.conftest import Outcome

Stage = Callable[..., Outcome]
pytestmark = pytest.mark.lammps
RUN = {'kind': 'nvt', 'steps': 20, 'timestep': 1.0}


def frames() -> Frames:
    structures = [bulk('Cu', a=3.6, cubic=True), bulk('Cu', a=3.7, cubic=True)]
    for number, atoms in enumerate(structures):
        atoms.info.update(config_type='property_vacancy', origin=f'{{"number": {number}}}')
    return Frames.from_atoms(structures)


def test_each_structure_has_its_end_and_its_averages(stage: Stage, potential: Path) -> None:
    done = stage('simulate', {'settings': RUN}, potential=potential, frames=frames())
    assert [round(one['volume'] ** (1 / 3), 9) for one in done.report['averages']] == [3.6, 3.7]
    ends = done.frames('ends')
    assert ends.origin.tolist() == ['{"number": 0}', '{"number": 1}']
    assert ends.config_type.tolist() == ['property_vacancy'] * 2


@pytest.mark.parametrize(
    ('settings', 'told'), [({'kind': 'melt'}, "kind: got 'melt'"), ({'kind': 'nvt', 'steps': 1}, 'steps: got 0 and 1')]
)
def test_mistakes_are_told(stage: Stage, potential: Path, settings: dict, told: str) -> None:
    error = stage('simulate', {'settings': settings}, potential=potential, frames=frames()).error
    assert error['kind'] == 'InputError'
    assert told in error['message']


def test_an_element_that_the_potential_does_not_know(stage: Stage, potential: Path) -> None:
    error = stage('simulate', {'settings': RUN}, potential=potential, frames=Frames.from_atoms([bulk('Ni', cubic=True)])).error
    assert "elements ['Ni']" in error['message']

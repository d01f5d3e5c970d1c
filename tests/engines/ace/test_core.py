"""Shortest distances by pair of elements and the radii of the core."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.engines.ace.core import CORE_INNER, CORE_OUTER, Pair, cores, shortest_distances
from aiida_mlip_autopipe.engines.ace.pacemaker_start import starting_potential
from aiida_mlip_autopipe.science.checks.settings import ChecksConfig
from aiida_mlip_autopipe.science.checks.stress import numerical_stress, strained_cells, stress_finding
from tests import pacemaker_data


def dimer(symbols: str, distance: float, pbc: bool = True) -> Atoms:
    return Atoms(symbols, positions=[[0, 0, 0], [distance, 0, 0]], cell=[20.0] * 3, pbc=pbc)


def test_every_pair_has_its_own_distance_whatever_the_order_of_its_atoms():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('MgAl', 2.2), dimer('AlMg', 2.3), dimer('Mg2', 2.9, pbc=False)])
    found = shortest_distances(frames, ['Mg', 'Al'], 5.0)
    assert found == pytest.approx({('Al', 'Al'): 2.5, ('Al', 'Mg'): 2.2, ('Mg', 'Mg'): 2.9})


def test_images_count():
    frames = Frames.from_atoms([bulk('Al', 'fcc', a=4.0)])
    assert shortest_distances(frames, ['Al'], 5.0) == pytest.approx({('Al', 'Al'): 4.0 / np.sqrt(2)})


def test_a_pair_that_does_not_occur_gets_the_shortest_of_all():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('AlMg', 2.2), dimer('Mg2', 6.0)])
    assert shortest_distances(frames, ['Al', 'Mg'], 5.0)['Mg', 'Mg'] == pytest.approx(2.2)


def test_other_elements_do_not_count():
    frames = Frames.from_atoms([dimer('Al2', 2.5), dimer('H2', 0.7)])
    assert shortest_distances(frames, ['Al'], 5.0) == pytest.approx({('Al', 'Al'): 2.5})


def test_frames_without_a_pair_are_refused():
    with pytest.raises(InputError, match=r"no two atoms of \['Al'\] are nearer than the cutoff of 5 Å"):
        shortest_distances(Frames.from_atoms([dimer('Al2', 6.0)]), ['Al'], 5.0)


def test_the_core_begins_below_the_shortest_distance():
    assert cores({('Al', 'Al'): 2.5}) == {('Al', 'Al'): pytest.approx((CORE_OUTER * 2.5, (CORE_OUTER - CORE_INNER) * 2.5))}
    assert CORE_OUTER < 0.9, 'at 1 the forces jump at a distance that the next training set may hold'


PACEMAKER_WIDTH = 0.1
"""Å, of the core that Pacemaker adds at the shortest distance."""


def stress_error(path: Path, frames: Frames, core: dict[Pair, tuple[float, float]]) -> float:
    """Return the largest difference of stress and derivative of the energy, eV/Å³, of a potential with a core."""
    embedding = {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1], 'ndensity': 1}
    text = (pacemaker_data.FIXTURES / 'tiny' / 'output_potential.yaml').read_text()
    path.write_text(starting_potential(text, {'Al': embedding}, core, cutoff=6.0), encoding='utf-8')
    calculator = pytest.importorskip('pyace').PyACECalculator(str(path))

    def computed(structures: Iterable[Atoms], name: str) -> FloatArray:
        found = []
        for atoms in structures:
            atoms.calc = calculator
            found.append(getattr(atoms, name)())
        return np.array(found)

    strain = ChecksConfig().stress_strain
    energies = computed(strained_cells(frames, strain), 'get_potential_energy')
    derivative = numerical_stress(frames, energies, strain)
    return stress_finding(computed((atoms.copy() for atoms in frames), 'get_stress'), derivative, limit=1.0).value


def test_a_core_at_the_shortest_distance_would_disturb_training_frames(tmp_path: Path) -> None:
    """The strained cell enters the core, whose third derivative is large: that of a tiny fit missed the limit of 1e-5."""
    frames = pacemaker_data.frames(count=10)
    shortest = shortest_distances(frames, ['Al'], 6.0)
    below = stress_error(tmp_path / 'ours.yaml', frames, cores(shortest))
    at_shortest = stress_error(
        tmp_path / 'theirs.yaml', frames, {pair: (distance, PACEMAKER_WIDTH) for pair, distance in shortest.items()}
    )
    assert below < 1e-8
    assert at_shortest > 100 * below

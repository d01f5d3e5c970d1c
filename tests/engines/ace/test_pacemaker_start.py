"""The potential that a fit starts from: its densities, its core, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.engines.ace.pacemaker_start import embeddings_of, starting_potential
from aiida_mlip_autopipe.engines.ace.potential import functions_of
from tests.pacemaker_data import LINEAR

TWO = {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1, 1, 0.5], 'ndensity': 2}
ONE = {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1], 'ndensity': 1}
CORES = {('Al', 'Al'): (1.9, 0.6), ('Al', 'Mg'): (1.8, 0.5), ('Mg', 'Mg'): (2.0, 0.7)}


def start(text: str = LINEAR.read_text(), embedding: dict[str, Any] = TWO, **changes: Any) -> str:
    values = {'cores': CORES, 'cutoff': 5.0, **changes}
    return starting_potential(text, dict.fromkeys(('Al', 'Mg'), embedding), **values)


def blocks(text: str) -> dict[str, dict[str, Any]]:
    return {block['speciesblock']: block for block in yaml.safe_load(text)['species']}


def test_the_start_has_the_energies_and_forces_of_the_linear_potential(tmp_path: Path) -> None:
    pyace = pytest.importorskip('pyace')
    atoms = bulk('Al', 'fcc', a=4.1, cubic=True) * (2, 2, 2)
    atoms.symbols[::3] = 'Mg'
    atoms.rattle(0.05, seed=1)
    found = []
    for name, text in (('old', LINEAR.read_text()), ('new', start())):
        path = tmp_path / f'{name}.yaml'
        path.write_text(text, encoding='utf-8')
        atoms.calc = pyace.PyACECalculator(str(path))
        found.append((atoms.get_potential_energy(), atoms.get_forces()))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-9)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-9)


def test_new_densities_begin_at_zero() -> None:
    old, new = blocks(LINEAR.read_text()), blocks(start())
    assert (new['Al']['ndensityi'], new['Al']['parameters']) == (2, [1, 1, 1, 0.5])
    for name, block in new.items():
        assert [function['c'] for function in block['nbody']] == [[*function['c'], 0] for function in old[name]['nbody']]
    assert functions_of(start()) == functions_of(LINEAR.read_text())


def test_a_start_can_start_again() -> None:
    assert start(start()) == start()
    three = {**TWO, 'fs_parameters': [1, 1, 1, 0.5, 1, 2], 'ndensity': 3}
    assert {len(function['c']) for function in blocks(start(start(), three))['Mg']['nbody']} == {3}


def test_the_core_is_that_of_the_present_training_set() -> None:
    found = blocks(start())
    assert [found[name]['r_in'] for name in ('Al', 'Al Mg', 'Mg Al', 'Mg')] == [1.9, 1.8, 1.8, 2.0]
    assert [found[name]['delta_in'] for name in ('Al', 'Al Mg', 'Mg Al', 'Mg')] == [0.6, 0.5, 0.5, 0.7]
    assert {found[name]['inner_cutoff_type'] for name in ('Al', 'Al Mg')} == {'zbl'}


def test_no_core() -> None:
    found = blocks(start(cores={}))
    assert {tuple(found[name]['core-repulsion']) for name in ('Al', 'Al Mg', 'Mg')} == {(0, 0)}


def test_metadata_of_another_fit_are_left_out() -> None:
    text = LINEAR.read_text() + 'metadata: {_fit_cycles: 1, reference_energy: "{}"}\n'
    assert set(yaml.safe_load(start(text))) == {'global', 'species'}


@pytest.mark.parametrize(
    ('embedding', 'said'),
    [
        ({**TWO, 'npot': 'FinnisSinclair'}, r'FinnisSinclair \[1\.0, 1\.0, 1\.0, 0\.5\] of the settings does not continue it'),
        ({**TWO, 'fs_parameters': [1, 2, 1, 0.5]}, r'its embedding of Al is FinnisSinclairShiftedScaled \[1\.0, 1\.0\]'),
    ],
)
def test_an_embedding_that_is_another_one(embedding: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        start(embedding=embedding)


def test_fewer_densities_are_refused() -> None:
    with pytest.raises(InputError, match='does not continue it'):
        start(start(), ONE)


def test_another_cutoff_is_refused() -> None:
    with pytest.raises(InputError, match=r'its cutoff is 5 Å, that of the settings 6 Å; they must be the same'):
        start(cutoff=6.0)


@pytest.mark.parametrize('text', ['', 'species: [{}]', '- 1', 'a: [', 'species:\n- {speciesblock: Al}'])
def test_what_is_no_potential(text: str) -> None:
    with pytest.raises(FormatError, match=r'initial_potential\.yaml: not a potential in the B-basis'):
        start(text)


def test_the_more_special_embedding_wins() -> None:
    assert embeddings_of({'ALL': ONE, 'Mg': TWO}, ['Al', 'Mg']) == {'Al': ONE, 'Mg': TWO}


def test_an_element_without_embedding_is_refused() -> None:
    with pytest.raises(InputError, match=r"embeddings: none for Mg; there are \['Al'\]"):
        embeddings_of({'Al': ONE}, ['Al', 'Mg'])

import numpy as np
import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.calculations.properties_functions import (
    add_predictions,
    drop_vacancies,
    files_of,
    judge_properties,
    make_crystals,
    make_expansion_frames,
    make_property_frames,
    make_rest_frames,
    make_rested_crystals,
    move_vacancies,
)
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.properties import plan
from tests.pod_data import labelled

PROPERTIES = {'crystals': ['Cu', 'Au'], 'vacancy': {'supercell': [2, 2, 2]}, 'expansion': {'n_atoms': 32}}


@pytest.fixture
def config(full_config):
    return orm.Dict(full_config(properties=PROPERTIES)).store()


@pytest.fixture
def crystals(config):
    return make_crystals(config)


def by_emt(node):
    structures = []
    for atoms in node.frames:
        found = labelled(atoms)
        found.info = atoms.info
        structures.append(found)
    return FramesData.from_atoms(structures)


def names_of(node):
    return [crystal.name for crystal in plan.unpack_crystals(node.frames)]


@pytest.fixture
def rest(crystals, config):
    return by_emt(make_rest_frames(crystals, config))


@pytest.fixture
def rested(crystals, config, rest):
    return make_rested_crystals(crystals, config, rest)['crystals']


def test_crystals(crystals):
    assert names_of(crystals) == ['Cu', 'Au']
    assert crystals.frames.counts.tolist() == [1, 1]


def test_crystals_of_files(full_config, tmp_path):
    path = tmp_path / 'cell.xyz'
    (bulk('Cu', cubic=True) * 2).write(path, format='extxyz')
    config = full_config(properties={'crystals': ['cell']}, generate={'files': {'paths': [str(path)]}})
    assert files_of(config) == {'cell': 'files_000'}
    found = make_crystals(orm.Dict(config), file_000=orm.SinglefileData(path))
    assert (names_of(found), found.frames.counts.tolist()) == (['cell'], [1])
    path.write_text('nonsense', encoding='utf-8')
    _, node = make_crystals.run_get_node(orm.Dict(config), file_000=orm.SinglefileData(path))
    assert node.exit_status == 410
    assert 'cell.xyz' in node.exit_message


def test_equilibria(rested):
    volumes = [crystal.volume for crystal in plan.unpack_crystals(rested.frames)]
    assert volumes == pytest.approx([11.566, 16.75], rel=0.01)


def test_without_any_there_is_no_output(crystals, config, rest):
    rising = rest.frames.replace(energy=np.abs(np.linalg.det(rest.frames.cells)))
    assert make_rested_crystals(crystals, config, FramesData(rising)) == {}


def test_only_crystals_at_rest_in_both_methods_are_measured(rested, config):
    copper = FramesData(rested.frames.take([0]))
    made = make_property_frames(rested, config, copper)
    assert {plan.part_of(atoms)[0] for atoms in made['frames'].frames} == {'Cu'}
    assert [plan.part_of(atoms) for atoms in made['vacancies'].frames] == [('Cu', 'vacancy', 'vacancy')]


def test_predictions_in_the_place_of_labels(rest):
    bare = FramesData(rest.frames.replace(energy=0.0, forces=np.zeros_like(rest.frames.forces), labelled=False, has_stress=False))
    columns = {name: getattr(rest.frames, name) for name in ('energy', 'forces', 'stress')}
    found = add_predictions(bare, orm.ArrayData(columns)).frames
    assert found.labelled.all()
    np.testing.assert_array_equal(found.energy, rest.frames.energy)


def test_vacancies_are_moved_and_dropped(rested, config):
    made = make_property_frames(rested, config, rested)
    relaxed = []
    for atoms in made['vacancies'].frames:
        moved = atoms.copy()
        moved.positions[0] += 0.1
        relaxed.append(moved)
    found = move_vacancies(made['frames'], FramesData.from_atoms(relaxed)).frames
    before = made['frames'].frames
    assert [a != b for a, b in zip(before.uid, found.uid, strict=True)] == [
        plan.part_of(atoms)[1:] == ('vacancy', 'vacancy') for atoms in before
    ]
    kept = drop_vacancies(made['frames'])['frames'].frames
    assert set(kept.config_type.tolist()) == {'property_elastic'}


def test_structures_of_the_expansion(rested, config):
    made = make_expansion_frames(rested, config)
    assert made['frames'].frames.counts.min() >= 32
    assert [made[name]['temperature'] for name in ('settings_000', 'settings_001')] == [300.0, 600.0]
    assert made['settings_000']['kind'] == 'npt'
    assert made['settings_000']['anisotropic'] is False


def test_the_verdict(crystals, config, rest, rested):
    found = by_emt(make_property_frames(rested, config, rested)['frames'])
    expansion = make_expansion_frames(rested, config)
    volumes = [float(atoms.cell.volume) for atoms in expansion['frames'].frames]
    averages = {
        f'expansion_{number:03d}': orm.Dict({'averages': [{'volume': (1 + 0.01 * number) * volume} for volume in volumes]})
        for number in range(2)
    }
    parts = {
        f'{method}_{name}': node
        for method in ('potential', 'reference')
        for name, node in (('rest', rest), ('rest_crystals', rested), ('found', found))
    }
    outcome = orm.Dict({'failures': [], 'n_reused': 3})
    given = {**parts, **averages, 'expansion_frames': expansion['frames']}
    report = judge_properties(config, crystals, outcome, **given).get_dict()
    assert report['passed'] is True
    assert report['n_reference'] == len(rest) + len(found)
    assert report['n_reused'] == 3
    assert report['crystals'] == ['Cu', 'Au']
    alphas = [row['potential'] for row in report['rows'] if row['quantity'] == 'alpha']
    assert alphas == pytest.approx([np.log(1.01) / 300 / 3] * 2)
    assert len(report['curves']['Cu']['reference']) == 9


def test_the_verdict_on_nothing(crystals, config):
    report = judge_properties(config, crystals, orm.Dict({'failures': ['all is lost'], 'n_reused': 0})).get_dict()
    assert report['passed'] is False
    assert report['n_reference'] == 0
    assert all(row['passed'] is False and row['note'] for row in report['rows'])

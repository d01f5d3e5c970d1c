import json
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError
from ase.build import bulk
from ase.calculators.lammpsrun import LAMMPS

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD

# LAMMPS prints energies with 6 to 8 significant digits of the log, forces of the dump with more.
ENERGY_TOLERANCE = 1e-4
FORCE_TOLERANCE = 1e-3


def test_files_and_record_come_back(potential_folder, tmp_path):
    folder = potential_folder()
    node = orm.load_node(PotentialData.from_folder(folder, training_uuid='abc').store().pk)
    written = node.write(tmp_path / 'copy')
    assert sorted(path.name for path in written) == sorted(path.name for path in folder.iterdir())
    for path in folder.iterdir():
        if path.name != POTENTIAL_RECORD:
            assert (tmp_path / 'copy' / path.name).read_bytes() == path.read_bytes()
    record = json.loads((tmp_path / 'copy' / POTENTIAL_RECORD).read_text(encoding='utf-8'))
    assert record == {**json.loads((folder / POTENTIAL_RECORD).read_text(encoding='utf-8')), 'training_uuid': 'abc'}


def test_what_it_writes_it_reads_again(fake_potential, tmp_path):
    fake_potential.write(tmp_path / 'copy')
    assert PotentialData.from_folder(tmp_path / 'copy').record == fake_potential.record


def test_attributes_can_be_queried(potential_folder):
    node = PotentialData.from_folder(potential_folder(engine='queried', cutoff=5.25), training_uuid='uuid').store()
    filters = {'attributes.engine': 'queried', 'attributes.cutoff': {'>': 5.0}, 'attributes.elements': {'contains': ['Au']}}
    assert orm.QueryBuilder().append(PotentialData, filters=filters, project='id').all(flat=True) == [node.pk]
    assert node.base.attributes.get('training_uuid') == 'uuid'
    assert node.base.attributes.get('reference_energies') == {'Cu': 3.5, 'Au': 3.8}


def test_elements_keep_their_order(potential_folder):
    node = PotentialData.from_folder(potential_folder(elements=('Cu', 'Au'))).store()
    assert node.elements == ['Cu', 'Au']
    assert node.record.elements == ('Cu', 'Au')


def test_lammps_lines_with_and_without_the_grade(fake_potential):
    plain = ['pair_style pod', 'pair_coeff * * param.pod model.pod Cu Au']
    assert fake_potential.lammps_lines() == plain
    assert fake_potential.lammps_lines(grade=True) == [*plain, 'compute grade all pod/atom param.pod model.pod Cu Au']


def test_the_calculator_is_lammps_with_the_files(fake_potential, tmp_path):
    calculator = fake_potential.ase_calculator(tmp_path / 'files', 'lmp')
    assert isinstance(calculator, LAMMPS)
    assert calculator.parameters['pair_style'] == 'pod'
    folder = tmp_path / 'files'
    (coefficients,) = calculator.parameters['pair_coeff']
    assert coefficients.replace('"', '') == f'* * {folder}/param.pod {folder}/model.pod Cu Au'
    assert calculator.parameters['specorder'] == ['Cu', 'Au']
    assert (folder / 'param.pod').is_file()


@pytest.mark.lammps
def test_the_calculator_gives_total_energies(tmp_path):
    """Two potentials that differ only in what LAMMPS does not know of their energies."""
    structures = [bulk('Cu', cubic=True), bulk('Al', cubic=True, a=3.7)]
    structures[1].symbols[0] = 'Cu'
    energies = []
    for index, shift in enumerate(({}, {'Cu': -100.0, 'Al': 7.5})):
        node = PotentialData.from_folder(lennard_jones_folder(tmp_path / f'source_{index}', shift))
        calculator = node.ase_calculator(tmp_path / f'files_{index}', str(Path(sys.executable).parent / 'lmp'))
        energies.append([calculator.get_potential_energy(atoms) for atoms in structures])
    difference = np.subtract(energies[1], energies[0])
    np.testing.assert_allclose(difference, [-400.0, -100.0 + 3 * 7.5], atol=1e-9)


def lennard_jones_folder(folder, energy_shift):
    folder.mkdir()
    record = PotentialRecord(
        engine='lj',
        elements=('Cu', 'Al'),
        cutoff=5.0,
        pair_lines=('pair_style lj/cut 5.0', 'pair_coeff * * 0.4 2.3'),
        grade_lines=(),
        reference_energies={},
        fingerprint='lj',
        energy_shift=energy_shift,
    )
    (folder / POTENTIAL_RECORD).write_text(record.to_json(), encoding='utf-8')
    return folder


def test_a_folder_without_record_is_refused(tmp_path):
    with pytest.raises(FormatError, match=f'no readable {POTENTIAL_RECORD}'):
        PotentialData.from_folder(tmp_path)


def test_a_record_that_is_no_json_is_refused(tmp_path):
    (tmp_path / POTENTIAL_RECORD).write_text('{', encoding='utf-8')
    with pytest.raises(FormatError, match='record of a potential cannot be read'):
        PotentialData.from_folder(tmp_path)


@pytest.mark.parametrize('change', [{'elements': None}, {'surprise': 1}])
def test_a_record_with_wrong_fields_is_refused(potential_folder, change):
    folder = potential_folder()
    record = json.loads((folder / POTENTIAL_RECORD).read_text(encoding='utf-8'))
    (folder / POTENTIAL_RECORD).write_text(json.dumps({**record, **change}), encoding='utf-8')
    with pytest.raises(FormatError, match='record of a potential cannot be read'):
        PotentialData.from_folder(folder)


def test_without_elements_it_is_not_stored(potential_folder):
    with pytest.raises(ValidationError, match='without elements'):
        PotentialData.from_folder(potential_folder(elements=())).store()


def test_an_active_set_without_file_is_not_stored(potential_folder):
    with pytest.raises(ValidationError, match=r'names the active set lost\.npz, which is not among the files'):
        PotentialData.from_folder(potential_folder(active_set='lost.npz')).store()


def test_without_active_set_it_is_stored(potential_folder):
    assert PotentialData.from_folder(potential_folder(active_set='', grade_lines=())).store().is_stored


@pytest.mark.lammps
def test_the_calculator_agrees_with_the_evaluation(fitted, run_stage, tmp_path):
    potential, frames = fitted.outputs.potential, fitted.inputs.frames
    node = run_stage('evaluate', potential=potential, frames=frames)
    energies, forces = (node.outputs.predictions.get_array(name) for name in ('energy', 'forces'))
    calculator = potential.ase_calculator(tmp_path / 'files', str(Path(sys.executable).parent / 'lmp'))
    for index in (0, 1):
        atoms = frames.frames.atoms(index)
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(energies[index], abs=ENERGY_TOLERANCE)
        np.testing.assert_allclose(atoms.get_forces(), forces[frames.frames.rows(index)], atol=FORCE_TOLERANCE)


PACE = {'engine': 'pace', 'pair_lines': ('pair_style pace product', 'pair_coeff * * model.pod Cu Au'), 'grade_lines': ()}
"""As an ACE potential has it, with a file of the stand-in."""


class TestAiidaLammps:
    def test_the_files_that_the_lines_name(self, potential_folder):
        files = PotentialData.from_folder(potential_folder()).lammps_files()
        assert {name: node.get_content() for name, node in files.items()} == {'model.pod': 'model.pod', 'param.pod': 'param.pod'}
        assert all(node.filename == name for name, node in files.items())

    def test_ace_is_one_file_of_a_style_that_it_knows(self, potential_folder):
        pytest.importorskip('aiida_lammps')
        node = PotentialData.from_folder(potential_folder(**PACE)).lammps_potential_data()
        assert (node.pair_style, node.species, node.atom_style, node.default_units) == ('pace', ['Cu', 'Au'], 'atomic', 'metal')
        assert node.get_content() == 'model.pod'
        assert node.store().is_stored
        assert PotentialData.from_folder(potential_folder(**PACE)).lammps_potential_data().pk == node.pk
        assert isinstance(vars(type(node))['pair_style'], property), 'get_or_create writes over it'

    def test_it_writes_the_input_that_lammps_wants(self, potential_folder):
        inputfile = pytest.importorskip('aiida_lammps.parsers.inputfile')
        node = PotentialData.from_folder(potential_folder(**PACE)).lammps_potential_data()
        structure = orm.StructureData(ase=bulk('Cu', cubic=True))
        block = inputfile.write_potential_block(node, structure, {'potential_style_options': ['product']}, 'potential.dat')
        assert 'pair_style pace product' in block
        assert 'pair_coeff * * potential.dat Cu' in block

    @pytest.mark.parametrize(
        'fields',
        [
            {},
            {
                **PACE,
                'pair_lines': (
                    'pair_style hybrid/overlay pace zbl 1 2',
                    'pair_coeff * * pace model.pod Cu Au',
                    'pair_coeff 1 1 zbl 29 29',
                ),
            },
            {**PACE, 'pair_lines': ('pair_style pace', 'pair_coeff * * param.pod model.pod Cu Au')},
        ],
    )
    def test_what_does_not_fit_is_refused_with_the_way_that_does(self, potential_folder, fields):
        pytest.importorskip('aiida_lammps')
        with pytest.raises(InputError, match=r'does not fit aiida-lammps.*run it with lammps\.raw'):
            PotentialData.from_folder(potential_folder(**fields)).lammps_potential_data()

import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.calculations.simulate_functions import lammps_inputs, read_lammps, wanted_files
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from tests.engines.lammps.test_simulation_files import FOLDER, NPT, VOLUME

SHIFT = {'Ar': 0.5}


@pytest.fixture
def potential(potential_folder):
    return PotentialData.from_folder(potential_folder(elements=('Ar',), energy_shift=SHIFT)).store()


@pytest.fixture
def frames():
    perfect = bulk('Ar', a=5.3) * (3, 3, 3)
    vacancy = perfect.copy()
    del vacancy[0]
    vacancy.info.update(config_type='property_vacancy', origin='{"part": "vacancy"}')
    return FramesData.from_atoms([perfect, vacancy]).store()


def came_back(names):
    folder = orm.FolderData()
    for name, source in names.items():
        folder.base.repository.put_object_from_bytes((FOLDER / source).read_bytes(), name)
    return folder.store()


def test_script_and_files(potential, frames):
    nodes = lammps_inputs(potential, frames, orm.Dict(NPT.to_mapping()))
    files = {node.filename: node for name, node in nodes.items() if name != 'script'}
    # Of the files of the potential only those that its lines name: not the active set.
    assert list(files) == ['model.pod', 'param.pod', 'start_000.data', 'start_001.data']
    assert files['param.pod'].get_content() == 'param.pod'
    assert '27 atoms' in files['start_000.data'].get_content()
    assert 'read_data start_001.data' in nodes['script'].get_content()
    assert wanted_files(2) == ['end_000.dump', 'end_001.dump']


def test_what_came_back(potential, frames):
    # The dump of the perfect crystal is not kept: that of the vacancy serves for a run of it alone.
    one = FramesData(frames.frames.take([1])).store()
    folder = came_back({'lammps.out': 'npt_vacancy.out', 'end_000.dump': 'npt_end_001.dump'})
    outputs = read_lammps(potential, one, orm.Dict(NPT.to_mapping()), folder)
    (averages,) = outputs['report']['averages']
    assert averages['volume'] > VOLUME
    assert averages['samples'] == 10
    end = outputs['ends'].frames
    assert end.config_type.tolist() == ['property_vacancy']
    assert end.origin.tolist() == ['{"part": "vacancy"}']
    assert averages['energy'] == pytest.approx(-1.918744287449061 + 26 * SHIFT['Ar'], abs=1e-9)


@pytest.mark.parametrize('names', [{'lammps.out': 'relax.out'}, {}, {'lammps.out': 'npt.out'}])
def test_what_did_not_come_back_is_an_exit_status(potential, frames, names):
    _, node = read_lammps.run_get_node(potential, frames, orm.Dict(NPT.to_mapping()), came_back(names))
    assert node.exit_status == 310
    assert node.exit_message

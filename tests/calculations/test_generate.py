import json

import pytest
from aiida import orm
from aiida.plugins import CalculationFactory
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.calculations.bases import bases_of, nodes_of
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def inputs(full_config):
    config = full_config()
    return {'system': orm.Dict(config['system']), 'settings': orm.Dict(config['generate']), 'seed': orm.Int(7)}


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.generate').spec()
    assert {'system', 'seed', 'settings', 'code', 'bases'} <= set(spec.inputs)
    assert set(spec.outputs) >= {'frames', 'report'}
    assert spec.outputs['frames'].valid_type is FramesData
    assert spec.exit_codes.ERROR_NO_STRUCTURES.status == 420


def test_the_same_seed_gives_the_same_structures_to_choose_from(run_stage, inputs):
    first, again = (run_stage('generate', **inputs) for _ in range(2))
    frames = first.outputs.frames.frames
    assert first.is_finished_ok, first.exit_message
    assert frames.uid.tolist() == again.outputs.frames.frames.uid.tolist()
    report = first.outputs.report.get_dict()
    assert report['n_frames'] == len(frames)
    assert report['n_lineages'] == len(set(frames.lineage.tolist()))
    assert sum(report['by_config_type'].values()) == len(frames)
    assert not frames.labelled.any()
    selections = [
        run_stage('select', frames=job.outputs.frames, budget=orm.Int(6), seed=orm.Int(7), settings=orm.Dict({}))
        for job in (first, again)
    ]
    chosen = [frames.uid[job.outputs.selection.get_array('indices')].tolist() for job in selections]
    assert len(chosen[0]) == 6
    assert chosen[0] == chosen[1]


def test_settings_that_the_worker_refuses_are_an_exit_code(run_stage, inputs):
    node = run_stage('generate', **{**inputs, 'settings': orm.Dict({'strains': 1})})
    assert node.exit_status == 210
    assert node.exit_message.startswith("strains: unknown key; did you mean 'strain'?")
    assert 'frames' not in node.outputs


def test_bases_are_inputs_of_the_job(run_stage, inputs, tmp_path):
    structure = orm.StructureData(ase=bulk('Cu', a=3.5))
    write(tmp_path / 'gold.cif', bulk('Au', a=4.1, cubic=True))
    imported = FramesData(Frames.from_atoms([bulk('Au', 'bcc', a=3.2).repeat((2, 1, 1))])).store()
    settings = {
        **inputs['settings'].get_dict(),
        'files': {'paths': [str(tmp_path / 'gold.cif')], 'supercells': [[1, 1, 1], [2, 1, 1]]},
        'structures': {'nodes': [structure.store().pk, imported.uuid], 'supercells': [[2, 2, 2]]},
    }
    bases = bases_of(settings)
    (tmp_path / 'gold.cif').unlink()  # the job reads its own copy
    node = run_stage('generate', **{**inputs, 'settings': orm.Dict(settings)}, bases=bases)
    assert node.is_finished_ok, node.exit_message
    frames = node.outputs.frames.frames
    (copper, gold) = [json.loads(text) for text in frames.origin[frames.config_type == 'structure'].tolist()]
    assert (copper['uuid'], gold['uuid']) == (structure.uuid, imported.uuid)
    files = [json.loads(text) for text in frames.origin[frames.config_type == 'file'].tolist()]
    assert [told['file'] for told in files] == ['gold.cif', 'gold.cif']
    assert set(node.inputs.bases) == {'files_000', 'structures_000', 'structures_001'}
    assert structure.uuid in {link.node.uuid for link in node.base.links.get_incoming()}
    assert not [name for name in node.base.repository.list_object_names() if name == 'bases']


@pytest.mark.parametrize(
    ('section', 'said'),
    [
        ({'files': {'paths': ['/none.cif']}}, 'generate.files.paths: /none.cif is no file on this machine'),
        ({'structures': {'nodes': [987654321]}}, 'generate.structures.nodes: got 987654321; no single node has it'),
    ],
)
def test_bases_that_are_not_there(aiida_profile, section, said):
    with pytest.raises(InputError, match=said):
        bases_of(section)


def test_a_structure_with_shared_sites_is_refused(aiida_profile):
    mixed = orm.StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    mixed.append_atom(position=(0, 0, 0), symbols=['Cu', 'Au'], weights=[0.5, 0.5])
    with pytest.raises(InputError, match='has sites of several elements or vacancies'):
        nodes_of({'structures': {'nodes': [mixed.store().pk]}})

import json
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import InputValidationError
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.common.entry_points import full_name, registered
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.remote.worker import GROUP

NAMES = ('generate', 'select', 'label_ase', 'pod', 'lammps_md', 'evaluate')


def test_plain_inputs_go_into_the_settings(generate_calc_job):
    _, folder = generate_calc_job('generate', system=orm.Dict({'a': 1}), settings=orm.Dict({'b': [2.5]}), seed=orm.Int(3))
    assert json.loads(folder.get_content_list() and Path(folder.abspath, 'settings.json').read_text(encoding='utf-8')) == {
        'seed': 3,
        'settings': {'b': [2.5]},
        'system': {'a': 1},
    }
    assert folder.get_content_list() == ['settings.json']


def test_lists_go_into_the_settings_as_lists(generate_calc_job, emt_frames, references):
    _, folder = generate_calc_job(
        'pod',
        frames=FramesData(emt_frames(2)),
        references=FramesData(references),
        elements=orm.List(['Cu', 'Au']),
        seed=orm.Int(0),
        settings=orm.Dict({}),
    )
    settings = json.loads(Path(folder.abspath, 'settings.json').read_text(encoding='utf-8'))
    assert settings == {'elements': ['Cu', 'Au'], 'seed': 0, 'settings': {}}
    assert sorted(folder.get_content_list()) == ['frames.npz', 'references.npz', 'settings.json']


def test_frames_go_into_a_file_named_by_their_port(generate_calc_job, emt_frames):
    frames = emt_frames(3)
    info, folder = generate_calc_job('label_ase', frames=FramesData(frames), settings=orm.Dict({}))
    np.testing.assert_array_equal(Frames.load(Path(folder.abspath, 'frames.npz')).positions, frames.positions)
    assert info.provenance_exclude_list == ['frames.npz']


def test_a_potential_goes_into_a_folder_named_by_its_port(generate_calc_job, emt_frames, fake_potential):
    info, folder = generate_calc_job('evaluate', potential=fake_potential, frames=FramesData(emt_frames(2)))
    names = {path.name for path in Path(folder.abspath, 'potential').iterdir()}
    assert names == {'active_set.npz', 'model.pod', 'param.pod', 'potential.json'}
    assert set(info.provenance_exclude_list) == {'frames.npz', *(f'potential/{name}' for name in names)}


def test_an_optional_input_may_be_missing(generate_calc_job, emt_frames):
    inputs = {'frames': FramesData(emt_frames(2)), 'budget': orm.Int(1), 'seed': orm.Int(0), 'settings': orm.Dict({})}
    _, folder = generate_calc_job('select', **inputs)
    assert 'known.npz' not in folder.get_content_list()
    _, folder = generate_calc_job('select', known=FramesData(emt_frames(2)), **inputs)
    assert 'known.npz' in folder.get_content_list()


@pytest.mark.parametrize('name', NAMES)
def test_every_job_runs_a_stage_of_the_worker_with_its_parser(name):
    process = CalculationFactory(f'mlip_autopipe.{name}')
    options = process.spec().inputs['metadata']['options']
    assert issubclass(process, WorkerCalculation)
    assert full_name(process.STAGE) in registered(GROUP)
    assert options['parser_name'].default == f'mlip_autopipe.{name}'
    assert options['withmpi'].default is False
    assert process.spec().inputs['code'].required


def test_the_command_line_and_what_comes_back(generate_calc_job, emt_frames, worker_code):
    info, _ = generate_calc_job('label_ase', frames=FramesData(emt_frames(2)), settings=orm.Dict({}))
    (code,) = info.codes_info
    assert (code.code_uuid, code.cmdline_params) == (worker_code.uuid, ['label-ase'])
    assert (code.stdout_name, code.stderr_name) == ('mlip-worker.out', 'mlip-worker.err')
    assert info.retrieve_list == ['report.json', 'error.json', 'mlip-worker.out', 'mlip-worker.err']
    assert info.retrieve_temporary_list == [('*.npz', '.', 0), 'potential']


def test_without_code_nothing_starts(emt_frames):
    builder = CalculationFactory('mlip_autopipe.label_ase').get_builder()
    builder.frames, builder.settings = FramesData(emt_frames(2)), orm.Dict({})
    assert 'code' in str(builder.process_class.spec().inputs.validate(builder._inputs(prune=True)))


def test_a_wrong_node_type_is_refused(generate_calc_job):
    with pytest.raises((ValueError, InputValidationError), match='frames'):
        generate_calc_job('label_ase', frames=orm.Dict({}), settings=orm.Dict({}))

import ase.db
import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.extxyz import read_extxyz


def assert_one_error(result, text):
    assert result.exit_code == 1
    assert result.output.count('Error: ') == 1
    assert text in result.output


def test_nothing_asked_for(run_cli, finished_run):
    assert_one_error(
        run_cli('export', finished_run().pk), 'nothing to export: give at least one of --db, --extxyz and --potential'
    )


def test_the_database_gets_every_frame_once(run_cli, finished_run, tmp_path):
    node, path = finished_run(), tmp_path / 'frames.db'
    first, second = (run_cli('export', node.pk, '--db', path) for _ in range(2))
    assert first.output == f'{path}: 8 added, 0 present already\n'
    assert second.output == f'{path}: 0 added, 8 present already\n'
    with ase.db.connect(path) as database:
        assert {split: database.count(split=split) for split in ('train', 'test', 'reference')} == {
            'train': 4,
            'test': 2,
            'reference': 2,
        }
        (row, *_) = database.select(split='test')
        assert row.energy is not None


def test_the_frames_come_back_from_extxyz(run_cli, finished_run, tmp_path):
    node, path = finished_run(), tmp_path / 'frames.extxyz'
    assert run_cli('export', node.uuid, '--extxyz', path).output == f'{path}: 8 labelled frames\n'
    frames = read_extxyz(path)
    assert frames.labelled.all()
    expected = [uid for name in ('references', 'test_frames', 'train_frames') for uid in node.outputs[name].frames.uid]
    assert frames.uid.tolist() == expected


def test_the_potential_and_how_to_load_it(run_cli, finished_run, tmp_path):
    node, folder = finished_run(), tmp_path / 'potential'
    result = run_cli('export', node.pk, '--potential', folder)
    assert result.exit_code == 0
    assert 'potential of Cu Au; in LAMMPS, from that folder:' in result.output
    lines = (folder / 'in.potential').read_text(encoding='utf-8').splitlines()
    assert lines[:2] == ['mass 1 63.5460', 'mass 2 196.9666']
    assert lines[2:] == node.outputs.potential.lammps_lines()
    assert PotentialData.from_folder(folder).record == node.outputs.potential.record


def test_a_run_without_frames_has_nothing_to_export(run_cli, fake_process, tmp_path):
    node = fake_process(orm.WorkChainNode, label='OneShotWorkChain', state=ProcessState.WAITING)
    result = run_cli('export', node.pk, '--db', tmp_path / 'a.db')
    assert_one_error(result, f'the run {node.pk} has no labelled frames yet; it is waiting')
    assert not (tmp_path / 'a.db').exists()


def test_a_run_without_potential(run_cli, finished_run, tmp_path):
    node = finished_run(leave_out=['potential'], status=440)
    result = run_cli('export', node.pk, '--potential', tmp_path / 'potential')
    assert_one_error(result, f'the run {node.pk} has no potential yet; it is finished')


def test_a_failed_run_exports_what_it_has(run_cli, finished_run, tmp_path):
    node = finished_run(leave_out=['potential', 'test_frames'], status=440)
    assert run_cli('export', node.pk, '--db', tmp_path / 'a.db').output.endswith('6 added, 0 present already\n')


@pytest.mark.parametrize(('option', 'name'), [('--db', 'frames.txt'), ('--extxyz', 'missing/frames.extxyz')])
def test_a_file_that_cannot_be_written(run_cli, finished_run, tmp_path, option, name):
    assert_one_error(run_cli('export', finished_run().pk, option, tmp_path / name), str(tmp_path / name))


@pytest.fixture
def run_of_potentials(finished_run, call, potential_folder):
    """A run with a potential of each of two rounds, of which that of round 1 failed a check; the result is that of round 0."""
    node = finished_run()
    second = PotentialData.from_folder(potential_folder()).store()
    for number, (data, faults) in enumerate(((node.outputs.potential, []), (second, ['the energy of Cu-Au falls at 1.2 Å']))):
        entry = {'round': number, 'test_errors': {'force_rmse': 0.1}, 'potential': data.uuid, 'failed_checks': faults}
        call(node, f'iter_{number}', 'summarize_round', outputs={'result': orm.Dict(entry)})
    idle = {'round': 2, 'test_errors': None, 'potential': second.uuid}
    call(node, 'iter_2', 'summarize_round', outputs={'result': orm.Dict(idle)})
    return node


def test_the_potential_of_any_round_can_be_had_and_says_when_it_failed(run_cli, run_of_potentials, tmp_path):
    result = run_cli('export', run_of_potentials.pk, '--potential', tmp_path, '--round', 1)
    assert result.exit_code == 0
    warning = 'WARNING: this potential did not pass its checks: the energy of Cu-Au falls at 1.2 Å'
    assert warning in result.output
    assert (tmp_path / 'in.potential').read_text(encoding='utf-8').splitlines()[0] == f'# {warning}'


def test_the_result_of_a_run_passed_and_has_no_warning(run_cli, run_of_potentials, tmp_path):
    result = run_cli('export', run_of_potentials.pk, '--potential', tmp_path)
    assert 'WARNING' not in result.output
    assert (tmp_path / 'in.potential').read_text(encoding='utf-8').startswith('mass 1')


def test_a_round_without_a_potential(run_cli, run_of_potentials, tmp_path):
    result = run_cli('export', run_of_potentials.pk, '--potential', tmp_path, '--round', 2)
    assert_one_error(result, f'--round: got 2; the run {run_of_potentials.pk} has potentials of the rounds [0, 1]')

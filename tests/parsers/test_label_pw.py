"""Parser of the batch job on real outputs of `pw.x`: whatever the job left, each frame is in exactly one place."""

import io
import json
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from aiida import orm
from aiida.plugins import ParserFactory
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.batch import RunStatus
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.formats.frame_archive import FrameArchive
from tests.aiida_fixtures import Parsed

RUNS = Path(__file__).parents[1] / 'fixtures' / 'pw'


def archive(run):
    target = io.BytesIO()
    with zipfile.ZipFile(target, 'w') as stored:
        for path in (RUNS / run).iterdir():
            stored.write(path, path.name)
    return target.getvalue()


def pairs(n_frames):
    structures = []
    for index in range(n_frames):
        atoms = bulk('Al', a=4.0 + 0.01 * index).repeat((1, 1, 2))
        atoms.info['config_type'] = 'strain'
        structures.append(atoms)
    return Frames.from_atoms(structures)


def report_of(**by_index):
    return {'runs': [{'index': int(name.removeprefix('f')), **run} for name, run in by_index.items()]}


@pytest.fixture
def parse_job(fake_process, lda_family, pw_code, tmp_path):
    """Return a function that parses a job of `n_frames` frames: the runs that left an archive, and the report or its text."""

    def run(n_frames, archives, report=None, *, indices=None, other=None, cut=None, **values):
        retrieved = orm.FolderData()
        if archives:
            path = tmp_path / pw_batch.RESULTS
            with closing(FrameArchive(path, pw_batch.RESULT_SUFFIX)) as results:
                for index, found in archives.items():
                    results.add(index, archive(found) if isinstance(found, str) else found)
            retrieved.base.repository.put_object_from_bytes(path.read_bytes()[:cut], pw_batch.RESULTS)
        texts = dict(other or {})
        if report is not None:
            texts[files.REPORT] = report if isinstance(report, str) else json.dumps(report)
        for name, text in texts.items():
            retrieved.base.repository.put_object_from_bytes(text.encode(), name)
        settings = DFTConfig.model_validate({'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 12, **values})
        inputs = {
            'frames': FramesData(pairs(n_frames)),
            'settings': orm.Dict(settings.model_dump()),
            'pseudos__Al': lda_family.pseudos['Al'],
            'pw_code': pw_code,
        }
        if indices is not None:
            inputs['indices'] = orm.List(indices)
        node = fake_process(
            outputs={'retrieved': retrieved}, inputs=inputs, process_type='aiida.calculations:mlip_autopipe.label_pw'
        )
        outputs, parsing = ParserFactory('mlip_autopipe.label_pw').parse_from_node(node)
        return Parsed(outputs or {}, parsing)

    return run


def reasons(parsed):
    return {failure['index']: failure['reason'] for failure in parsed.outputs['report']['failures']}


ENDED = {'status': RunStatus.ENDED}


def test_all_labelled(parse_job):
    parsed = parse_job(2, {0: 'good', 1: 'good'}, report_of(f0=ENDED, f1=ENDED))
    assert parsed.node.is_finished_ok
    labelled = parsed.outputs['labelled'].frames
    assert labelled.uid.tolist() == pairs(2).uid.tolist()
    assert labelled.energy[0] == pytest.approx(-114.99593416792992)
    assert set(labelled.fingerprint) == set(parsed.outputs['report']['levels_of_theory'])
    assert isinstance(orm.load_node(str(labelled.label_uuid[0])), orm.CalcJobNode)


def test_each_frame_is_in_one_place(parse_job):
    report = report_of(
        f0=ENDED,
        f1=ENDED,
        f2=ENDED,
        f3=ENDED,
        f4={'status': RunStatus.OUT_OF_TIME},
        f5={'status': RunStatus.NOT_STARTED},
        f6={'status': RunStatus.FAILED, 'detail': 'No space left on device'},
        f7=ENDED,
        f8=ENDED,
        f9={'status': RunStatus.NO_PROGRAM, 'detail': 'No such file or directory: pw.x'},
    )
    parsed = parse_job(10, {0: 'good', 1: 'unconverged', 2: 'close', 3: 'crashed', 8: b'PK'}, report)
    found = parsed.outputs['report'].get_dict()
    assert (found['labelled'], found['not_started']) == ([0], [5])
    assert reasons(parsed) == {
        1: 'scf_not_converged',
        2: 'force_cap',
        3: 'stopped_early',
        4: 'out_of_time',
        6: 'machine_failed',
        7: 'output_incomplete',
        8: 'output_unreadable',
        9: 'program_missing',
    }
    details = {failure['index']: failure['detail'] for failure in found['failures']}
    assert details.pop(2).endswith(' eV/Å')
    assert details == {
        1: '',
        3: 'output_stdout_incomplete',
        4: '',
        6: 'No space left on device',
        7: '',
        8: 'output_archive_damaged',
        9: 'No such file or directory: pw.x',
    }
    assert parsed.node.exit_status == 520
    assert parsed.error.startswith('1 of 10 frames were labelled, the others not: 1 scf_not_converged, 1 force_cap (')
    assert parsed.error.endswith(', 1 program_missing (No such file or directory: pw.x), 1 not_started')


@pytest.mark.parametrize('report', [None, '', '{"runs": [{"ind'])
def test_without_a_readable_report_what_is_finished_is_kept(parse_job, report):
    parsed = parse_job(3, {1: 'good'}, report)
    assert parsed.outputs['report']['labelled'] == [1]
    assert parsed.outputs['report']['not_started'] == [0, 2]
    assert parsed.outputs['report']['n_failed'] == 0
    assert parsed.node.exit_status == 520


def test_of_results_that_are_cut_the_whole_ones_are_kept(parse_job):
    parsed = parse_job(2, {1: 'good', 0: 'good'}, cut=-6000)
    assert (parsed.outputs['report']['labelled'], parsed.outputs['report']['not_started']) == ([1], [0])


def test_only_the_frames_of_the_job_are_counted_under_their_indices(parse_job):
    parsed = parse_job(5, {4: 'good', 2: 'close'}, report_of(f4=ENDED, f2=ENDED), indices=[4, 2])
    found = parsed.outputs['report'].get_dict()
    assert (found['n_frames'], found['labelled'], reasons(parsed)) == (2, [4], {2: 'force_cap'})
    assert parsed.outputs['labelled'].frames.uid.tolist() == [pairs(5).uid[4]]


def test_all_failed(parse_job):
    parsed = parse_job(2, {0: 'close', 1: 'unconverged'}, report_of(f0=ENDED, f1=ENDED))
    assert parsed.node.exit_status == 420
    assert 'labelled' not in parsed.outputs
    assert parsed.outputs['report']['n_failed'] == 2


def test_a_higher_force_cap_keeps_the_frame(parse_job):
    assert parse_job(1, {0: 'close'}, report_of(f0=ENDED), force_cap=2000).node.is_finished_ok


def test_nothing_at_all_tells_what_the_job_said(parse_job):
    parsed = parse_job(2, {}, other={files.STDERR: 'slurmstepd: error: *** JOB 7 CANCELLED ***'})
    assert parsed.node.exit_status == 310
    assert 'JOB 7 CANCELLED' in parsed.error
    assert parsed.outputs['report']['not_started'] == [0, 1]


def test_nothing_at_all_and_no_word(parse_job):
    assert 'may have been killed' in parse_job(1, {}).error


def test_a_job_that_refused_its_settings_says_why(parse_job):
    parsed = parse_job(1, {}, other={files.ERROR: json.dumps({'kind': 'InputError', 'message': 'settings.json: no jobs'})})
    assert (parsed.node.exit_status, parsed.error) == (410, 'settings.json: no jobs')

import dataclasses

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.md_input import RunFiles
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from tests.lammps_pace_data import aluminium, pace_folder, recorded

SETTINGS = {'steps': 4000, 'timestep': 1.0, 'gamma_select': 5.0, 'gamma_halt': 25.0}


@pytest.fixture
def inputs(tmp_path):
    """Return a factory of the inputs of as many trajectories as asked for."""

    def make(count=1, **settings):
        return {
            'potential': PotentialData.from_folder(pace_folder(tmp_path / 'pace')),
            'starts': FramesData.from_atoms([aluminium(3.994 + 0.01 * index) for index in range(count)]),
            'temperature': orm.Float(300.0),
            'seed': orm.Int(1),
            'round': orm.Int(2),
            'settings': orm.Dict({**SETTINGS, **settings}),
        }

    return make


@pytest.fixture
def parse_runs(parse, tmp_path):
    """Return a function that parses recorded outputs, one for each trajectory, and the dumps of the same name."""

    def run(*names, inputs):
        files = {}
        for index, name in enumerate(names):
            if name:
                files[RunFiles(index).output] = recorded(f'{name}.out')
            if name in ('hot', 'killed', 'lost'):
                (tmp_path / 'temporary' / RunFiles(index).dump).write_text(recorded(f'{name}.dump'))
        return parse('lammps_pace', files, **inputs)

    return run


def test_a_halted_trajectory_is_a_result(parse_runs, inputs):
    parsed = parse_runs('hot', inputs=inputs())
    assert parsed.node.is_finished_ok, parsed.error
    run = parsed.outputs['report']['trajectories'][0]
    assert (run['reason'], run['steps_done'], run['n_candidates']) == ('grade', 1220, 5)
    candidates = parsed.outputs['candidates'].frames
    assert len(candidates) == 5
    assert set(candidates.round.tolist()) == {2}
    assert not candidates.labelled.any()
    assert parsed.outputs['candidate_grades'].get_array('gamma').shape == (5 * 108,)
    assert parsed.outputs['trajectories'].get_array('gamma_max_0')[-1] == 27.1096


def test_a_finished_trajectory_has_no_candidates(parse_runs, inputs):
    parsed = parse_runs('cold', inputs=inputs(steps=1000))
    assert parsed.node.is_finished_ok, parsed.error
    assert parsed.outputs['report']['trajectories'][0]['reason'] == 'finished'
    assert not {'candidates', 'candidate_grades', 'uncut', 'restarts'} & set(parsed.outputs)


def test_energies_of_the_trace_are_total_energies(parse_runs, inputs, tmp_path):
    plain = inputs(steps=1000)
    folder = pace_folder(tmp_path / 'shifted')
    record = PotentialRecord.from_json((folder / POTENTIAL_RECORD).read_text(encoding='utf-8'))
    shifted = dataclasses.replace(record, energy_shift={'Al': -10.0})
    (folder / POTENTIAL_RECORD).write_text(shifted.to_json(), encoding='utf-8')
    potentials = (plain['potential'], PotentialData.from_folder(folder))
    traces = [
        parse_runs('cold', inputs={**plain, 'potential': potential}).outputs['trajectories'].get_array('energy_0')
        for potential in potentials
    ]
    assert traces[0][0] == -0.458725
    np.testing.assert_allclose(traces[1] - traces[0], -10.0 * 108)


def test_each_trajectory_has_its_own_entry_and_seed(parse_runs, inputs):
    parsed = parse_runs('hot', 'halt/soft', 'killed', inputs=inputs(3))
    runs = parsed.outputs['report']['trajectories']
    assert [run['reason'] for run in runs] == ['grade', 'grade', 'error']
    assert len({run['seed'] for run in runs}) == 3
    assert len({run['start'] for run in runs}) == 3
    assert 'killed, or out of time' in runs[2]['message']
    assert parsed.node.is_finished_ok, parsed.error


def test_the_pressure_of_the_port_replaces_that_of_the_settings(parse_runs, inputs):
    parsed = parse_runs('hot', inputs={**inputs(pressure=None), 'pressure': orm.Float(2.0)})
    assert parsed.outputs['report']['trajectories'][0]['pressure'] == pytest.approx(2.0 * 0.00624150912)
    assert parse_runs('hot', inputs=inputs(pressure=None)).outputs['report']['trajectories'][0]['pressure'] is None


def test_an_exploded_trajectory_keeps_its_candidates(parse_runs, inputs):
    values = inputs(gamma_select=21.5, gamma_halt=3e4)
    values['starts'] = FramesData.from_atoms([aluminium(4.05)])
    parsed = parse_runs('lost', inputs=values)
    assert parsed.node.is_finished_ok, parsed.error
    assert parsed.outputs['report']['trajectories'][0]['reason'] == 'lost_atoms'
    assert len(parsed.outputs['candidates']) == 2


def test_frames_too_large_to_cut_are_attached_apart(parse_runs, inputs):
    parsed = parse_runs('hot', inputs=inputs(max_atoms=10))
    assert len(parsed.outputs['uncut']) == 5
    assert 'candidates' not in parsed.outputs


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['rolling_000.800', 'rolling_000.1600'], b'rolling_000.1600'),
        (['rolling_000.800', 'restart_000.lammps'], b'restart_000.lammps'),
    ],
)
def test_the_last_state_is_the_restart_file(parse_runs, inputs, tmp_path, names, expected):
    for name in names:
        (tmp_path / 'temporary' / name).write_bytes(name.encode())
    restarts = parse_runs('hot', inputs=inputs()).outputs['restarts'].base.repository
    assert restarts.list_object_names() == ['restart_000.lammps']
    assert restarts.get_object_content('restart_000.lammps', mode='rb') == expected


class TestErrors:
    def test_no_output(self, parse_runs, inputs):
        parsed = parse_runs('', inputs=inputs())
        assert parsed.node.exit_status == 310
        assert parsed.error == (
            'LAMMPS left no output: nothing on standard error; the job may have been killed or run out of time'
        )

    def test_no_output_quotes_the_standard_error_of_the_job(self, parse, inputs):
        parsed = parse('lammps_pace', {'_scheduler-stderr.txt': 'bash: /opt/lmp: No such file or directory\n'}, **inputs())
        assert parsed.node.exit_status == 310
        assert parsed.error == 'LAMMPS left no output: bash: /opt/lmp: No such file or directory'

    def test_output_without_a_grade(self, parse_runs, inputs):
        parsed = parse_runs('err/yamlinpace', inputs=inputs())
        assert parsed.node.exit_status == 320
        assert 'trajectory 0: thermodynamic output has no column c_cmax' in parsed.error

    def test_what_came_before_an_unreadable_output_is_attached(self, parse_runs, inputs):
        parsed = parse_runs('hot', 'err/yamlinpace', inputs=inputs(2))
        assert parsed.node.exit_status == 320
        assert 'trajectory 1' in parsed.error
        assert len(parsed.outputs['candidates']) == 5
        assert len(parsed.outputs['report']['trajectories']) == 1

    def test_no_trajectory_made_a_step(self, parse, inputs):
        head = '   Step Temp PotEng KinEng TotEng Press Volume c_cmax\n'
        text = f'{head} 0 0 -0.4587246 0 -0.4587246 -1000.782 1720.2 23.192292\nLoop time\nTotal wall time: 0:00:00\n'
        parsed = parse('lammps_pace', {RunFiles(0).output: text}, **inputs(gamma_halt=10.0))
        assert parsed.node.exit_status == 420
        assert 'grade 23.1923 at step 0, above gamma_halt 10' in parsed.error

    def test_the_pair_style_is_missing(self, parse_runs, inputs):
        parsed = parse_runs('err/noplug', inputs=inputs())
        assert parsed.node.exit_status == 430
        assert parsed.error.startswith('LAMMPS has no pair style pace: it was built without the package ML-PACE; ')
        assert 'conda-forge' in parsed.error
        assert 'PKG_ML-PACE=on' in parsed.error

    @pytest.mark.parametrize(
        ('case', 'cause'),
        [
            ('badelem', 'was not fitted for this element'),
            ('gammanoprior', 'it must be pace/extrapolation'),
            ('noasi', 'the active set (.asi) does not exist'),
            ('nofile', 'the file of the potential does not exist'),
            ('wrongasi', 'belongs to a potential of other elements'),
            ('wrongsizeasi', 'belongs to another potential'),
            ('yaceinext', 'reads the .yaml of the potential, not the .yace'),
        ],
    )
    def test_the_potential_is_refused(self, parse_runs, inputs, case, cause):
        parsed = parse_runs(f'err/{case}', inputs=inputs())
        assert parsed.node.exit_status == 440
        assert parsed.error.startswith('LAMMPS refused the potential: ')
        assert cause in parsed.error
        assert parsed.outputs['report']['trajectories'][0]['reason'] == 'error'

    def test_the_cause_of_another_error_is_quoted(self, parse, inputs):
        parsed = parse('lammps_pace', {RunFiles(0).output: 'ERROR: Cannot open file (src/a.cpp:1)\n'}, **inputs())
        assert parsed.node.exit_status == 420
        assert parsed.error == "None of 1 trajectories could be started: ['Cannot open file']"


def test_stale_grades_never_get_into_the_traces(parse_runs, inputs):
    parsed = parse_runs('halt/th7', inputs=inputs(steps=100))
    np.testing.assert_array_equal(parsed.outputs['trajectories'].get_array('step_0'), [0, 70, 100])

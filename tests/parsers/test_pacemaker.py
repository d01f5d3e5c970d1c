"""`PacemakerParser` on the recorded runs: every failure to its own exit code, partial results before it."""

import numpy as np
import pytest
from aiida import orm
from aiida.common.exceptions import ValidationError
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.calculations.pacemaker import NOT_OF_THE_INPUTS, STATUS_OF
from aiida_mlip_autopipe.common.trainer_predictions import TrainerPredictions
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.ace.pacemaker_log import Failure
from tests import pacemaker_data
from tests.engines.ace.test_pacemaker_log import EXPECTED

DONE = {'selftest.rc': '0\n', 'selftest.out': '', 'pacemaker.rc': '0\n', 'yaml2yace.rc': '0\n', 'activeset.rc': '0\n'}
RECORDED_ERRORS = {'energy_rmse': 0.0005339529945622907, 'force_rmse': 0.009496829802907121}


@pytest.fixture
def inputs():
    return {
        'frames': FramesData(pacemaker_data.frames()),
        'references': FramesData(pacemaker_data.references('Al')),
        'elements': orm.List(['Al']),
        'seed': orm.Int(42),
        'settings': orm.Dict(pacemaker_data.settings()),
    }


@pytest.fixture
def few(inputs):
    return {**inputs, 'frames': FramesData(pacemaker_data.frames(count=1))}


@pytest.fixture
def left_behind(tmp_path):
    """Put files of a recorded potential where the job left them."""

    def leave(**contents):
        for name, content in {**pacemaker_data.files(), **contents}.items():
            if content is not None:
                (tmp_path / 'temporary' / name).write_bytes(content)

    return leave


def retrieved(case='fit_al', **changes):
    names = ('metrics.txt', 'test_metrics.txt', 'log.txt', 'input.yaml')
    present = [name for name in names if (pacemaker_data.FIXTURES / case / name).exists()]
    files = {name: pacemaker_data.text(case, name) for name in present}
    files |= {'pacemaker.err': pacemaker_data.text(case, 'pacemaker.err'), **DONE}
    if (pacemaker_data.FIXTURES / case / 'activeset.log').exists():
        files['activeset.out'] = pacemaker_data.text(case, 'activeset.log')
    files |= {name.replace('__', '.'): content for name, content in changes.items()}
    return {name: content for name, content in files.items() if content is not None}


def failed(case):
    code = pacemaker_data.text(f'failures/{case}', 'rc')
    files = {
        'selftest.rc': '0\n',
        'pacemaker.rc': code,
        'pacemaker.err': pacemaker_data.text(f'failures/{case}', 'err'),
        'input.yaml': pacemaker_data.text(f'failures/{case}', 'input.yaml'),
    }
    return files | ({'yaml2yace.rc': '0\n', 'activeset.rc': '0\n'} if int(code) == 0 else {})


class TestSuccess:
    def test_a_potential_with_its_active_set(self, parse, left_behind, inputs):
        left_behind()
        parsed = parse('pacemaker', retrieved(), **inputs)
        assert parsed.node.is_finished_ok, parsed.error
        record = parsed.outputs['potential'].record
        assert record.engine == 'pace'
        assert record.elements == ('Al',)
        assert record.cutoff == 6.0
        assert record.fingerprint == 'emt'
        assert record.training_uuid == inputs['frames'].uuid
        assert record.reference_energies == record.energy_shift == {'Al': -1.5}
        assert set(record.checksums) == {*pacemaker_data.files(), 'input.yaml'}

    def test_the_report(self, parse, left_behind, inputs):
        left_behind()
        report = parse('pacemaker', retrieved(), **inputs).outputs['report'].get_dict()
        assert report['training_errors'] == pytest.approx(RECORDED_ERRORS, rel=1e-12)
        assert report['fitted_errors'] == report['training_errors']
        assert report['test_errors']['force_rmse'] < 0.02
        assert report['loss'] == pytest.approx(8.141005897073232e-05, rel=1e-12)
        assert report['status'] == 1
        assert report['functions'] == {'Al': 60}
        assert (report['n_frames'], report['n_fitted'], report['n_functions'], report['n_coefficients']) == (60, 60, 60, 320)
        assert report['gamma_train_max'] == 1.008
        assert report['version'] == '0.2.7+172.gd1c213a'

    def test_the_learning_curve(self, parse, left_behind, inputs):
        left_behind()
        curve = parse('pacemaker', retrieved(), **inputs).outputs['learning_curve']
        assert curve.get_array('iter_num')[-1] == 150
        assert curve.get_array('rmse_f_comp')[-1] == RECORDED_ERRORS['force_rmse']
        assert curve.get_array('test_iter_num')[-1] == 151
        assert curve.get_array('loss')[0] > curve.get_array('loss')[-1]

    def test_two_elements(self, parse, left_behind, inputs):
        left_behind(**pacemaker_data.files('fit_alcu'))
        changed = {
            'frames': FramesData(pacemaker_data.frames('alcu_emt')),
            'references': FramesData(pacemaker_data.references('Al', 'Cu')),
            'elements': orm.List(['Cu', 'Al']),
        }
        parsed = parse('pacemaker', retrieved('fit_alcu'), **{**inputs, **changed})
        assert parsed.node.is_finished_ok, parsed.error
        assert parsed.outputs['potential'].record.pair_lines[1] == 'pair_coeff * * output_potential.yace Cu Al'
        assert parsed.outputs['report']['functions'] == {'Al': 50, 'Cu': 50}
        assert parsed.outputs['report']['n_fitted'] == 54, 'Pacemaker set six aside'
        assert parsed.outputs['report']['training_errors'] == {}, 'errors of a part are not those of the training set'
        assert parsed.outputs['report']['fitted_errors']['force_rmse'] == pytest.approx(0.036, abs=1e-3)

    @pytest.mark.parametrize('case', ['ladder', 'upfit_p', 'upfit_ip', 'upfit_inityaml', 'al_loop'])
    def test_continued_fits(self, parse, left_behind, inputs, case):
        left_behind()
        files = retrieved(case, activeset__out=pacemaker_data.text('fit_al', 'activeset.log'))
        parsed = parse('pacemaker', files, **inputs)
        assert parsed.node.is_finished_ok, parsed.error
        assert parsed.outputs['report']['n_iterations'] >= 4


class TestPredictions:
    def test_they_are_kept_beside_the_potential(self, parse, left_behind, inputs, tmp_path):
        left_behind(**{'train_pred.pckl.gzip': (pacemaker_data.FIXTURES / 'fit_al' / 'train_pred.pckl.gzip').read_bytes()})
        names = [f'emt-{index:04d}' for index in range(60)]
        named = {'frames': FramesData(pacemaker_data.frames().replace(uid=names))}
        potential = parse('pacemaker', retrieved(), **{**inputs, **named}).outputs['potential']
        potential.write(tmp_path / 'written')
        own = TrainerPredictions.load(tmp_path / 'written')
        assert len(own.frames) == 20
        total = named['frames'].frames.energy[own.frames]
        assert own.energy == pytest.approx(total, abs=0.1), 'isolated atoms included'

    def test_a_broken_file_does_not_lose_the_potential(self, parse, left_behind, inputs):
        left_behind(**{'train_pred.pckl.gzip': b'broken'})
        parsed = parse('pacemaker', retrieved(), **inputs)
        assert parsed.node.is_finished_ok
        assert 'trainer_predictions.npz' not in parsed.outputs['potential'].base.repository.list_object_names()


class TestFailures:
    @pytest.mark.parametrize('case', pacemaker_data.FAILURES)
    def test_every_recorded_failure(self, parse, left_behind, few, case):
        log = pacemaker_data.text(f'failures/{case}', 'err')
        if 'Final potential is saved' in log:
            left_behind()
        parsed = parse('pacemaker', failed(case), **few)
        expected = EXPECTED[case]
        if expected is None:
            # The log alone is that of a good fit; only the metrics, which were not recorded, are missed.
            assert parsed.node.exit_status == 320
            assert parsed.error == 'An output cannot be read: metrics.txt is missing'
            return
        failure, said = expected
        assert parsed.node.exit_status == STATUS_OF[failure]
        assert parsed.error.lower().startswith(failure.value.lower())
        assert said in parsed.error
        assert 'potential' not in parsed.outputs

    def test_each_failure_has_a_label_of_its_own(self):
        codes = CalculationFactory('mlip_autopipe.pacemaker').spec().exit_codes
        assert set(STATUS_OF) == set(Failure)
        for failure, status in STATUS_OF.items():
            code = codes[f'ERROR_{failure.name}']
            assert code.status == status
            assert code.message.endswith(': {cause}')
            assert code.invalidates_cache == (failure in NOT_OF_THE_INPUTS or status < 400)

    def test_the_self_test(self, parse, few):
        files = {'selftest.rc': '1\n', 'selftest.out': "Traceback\nModuleNotFoundError: No module named 'maxvolpy'\n"}
        parsed = parse('pacemaker', files, **few)
        assert parsed.node.exit_status == 401
        assert "self-test: ModuleNotFoundError: No module named 'maxvolpy'; see docs/pacemaker.md" in parsed.error

    def test_a_job_that_never_began(self, parse, few):
        parsed = parse('pacemaker', {}, **few)
        assert parsed.node.exit_status == 340
        assert 'the job ended before the self-test of the installation' in parsed.error

    def test_a_job_that_was_cut_short_keeps_its_learning_curve(self, parse, few):
        parsed = parse('pacemaker', retrieved(pacemaker__rc=None, yaml2yace__rc=None, activeset__rc=None), **few)
        assert parsed.node.exit_status == 340
        assert 'iterations; the walltime or a signal ended it' in parsed.error
        assert {'learning_curve', 'report'} <= set(parsed.outputs)

    def test_a_loss_in_the_metrics_that_is_not_finite(self, parse, left_behind, inputs):
        left_behind()
        lines = pacemaker_data.text('fit_al', 'metrics.txt').splitlines()
        words = lines[-1].split()
        words[3] = 'nan'
        parsed = parse('pacemaker', retrieved(metrics__txt='\n'.join([*lines[:-1], ' '.join(words)])), **inputs)
        assert parsed.node.exit_status == STATUS_OF[Failure.LOSS_NOT_FINITE]
        assert parsed.outputs['report']['loss'] is None
        assert np.isnan(parsed.outputs['learning_curve'].get_array('loss')[-1])

    def test_no_potential_although_the_return_code_is_zero(self, parse, few):
        parsed = parse('pacemaker', retrieved(), **few)
        assert parsed.node.exit_status == 330

    def test_metrics_that_cannot_be_read(self, parse, left_behind, inputs):
        left_behind()
        parsed = parse('pacemaker', retrieved(metrics__txt='nonsense'), **inputs)
        assert parsed.node.exit_status == 320
        assert 'the header must begin with ladder_step' in parsed.error


class TestExport:
    def test_no_fast_form(self, parse, left_behind, inputs):
        left_behind(**{'output_potential.yace': None})
        files = retrieved(yaml2yace__rc='1\n', yaml2yace__out="ImportError: no 'pyace'\n")
        parsed = parse('pacemaker', files, **inputs)
        assert parsed.node.exit_status == 461
        assert parsed.error == "pace_yaml2yace did not write the fast form: return code 1: ImportError: no 'pyace'"
        assert 'learning_curve' in parsed.outputs

    def test_no_active_set(self, parse, left_behind, inputs):
        left_behind(**{'output_potential.asi': None})
        parsed = parse('pacemaker', retrieved(activeset__rc='1\n', activeset__out=''), **inputs)
        assert parsed.node.exit_status == 462
        assert 'nothing in activeset.out' in parsed.error

    def test_the_job_ended_before_the_active_set(self, parse, left_behind, inputs):
        left_behind(**{'output_potential.asi': None})
        parsed = parse('pacemaker', retrieved(activeset__rc=None), **inputs)
        assert parsed.node.exit_status == 340
        assert 'the job ended before activeset did' in parsed.error

    def test_an_active_set_of_another_fit(self, parse, left_behind, inputs):
        left_behind(**{'output_potential.asi': pacemaker_data.files('fit_alcu')['output_potential.asi']})
        parsed = parse('pacemaker', retrieved(), **inputs)
        assert parsed.node.exit_status == 320
        assert 'not of one fit' in parsed.error
        assert 'potential' not in parsed.outputs


def test_a_stored_potential_cannot_be_mixed_up(parse, left_behind, inputs):
    left_behind()
    potential = parse('pacemaker', retrieved(), **inputs).outputs['potential'].clone()
    content = bytearray(pacemaker_data.files()['output_potential.asi'])
    content[-1] ^= 1
    potential.base.repository.put_object_from_bytes(bytes(content), 'output_potential.asi')
    with pytest.raises(ValidationError, match=r"files \['output_potential.asi'\] are not of the fit"):
        potential.store()

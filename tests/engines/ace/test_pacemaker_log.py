"""Logs of Pacemaker: every recorded run and failure, and the rule of success."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.engines.ace.pacemaker_log import (
    Failure,
    judge,
    largest_grade,
    last_errors,
    read_log,
    read_metrics,
)
from tests.pacemaker_data import FAILURES, FITS, text

SUCCESS = None
EXPECTED: dict[str, tuple[Failure, str] | None] = {
    'badeval': (Failure.SETTINGS_REFUSED, "Unknown evaluator type 'foo'"),
    'badf': (Failure.DATA_SHAPE, 'forces has wrong shape'),
    'badindent': (Failure.INPUT_UNREADABLE, 'mapping values are not allowed here in "input.yaml", line 5'),
    'badlosskey': SUCCESS,  # nobody can tell from the log: the input is refused before the job
    'badopt': (Failure.SETTINGS_REFUSED, 'Unknown optimizer `FOO`'),
    'cu': SUCCESS,  # likewise: elements that are not listed are refused before the job
    'dft': (Failure.REFERENCE_REPLACED, '-20 to 250 eV/atom'),
    'dft_noe': (Failure.REFERENCE_REPLACED, 'there is no column energy'),
    'dft_noec_dict': (Failure.REFERENCE_REPLACED, 'a key reference_energy'),
    'dft_noec_ref0': (Failure.REFERENCE_REPLACED, 'a key reference_energy'),
    'dup': (Failure.LOSS_NOT_FINITE, 'last loss nan, after 0 iterations, status 3: NaN result encountered.'),
    'empty': (Failure.DATA_EMPTY, 'Columns must be same length as key'),
    'extreme': (Failure.REFERENCE_REPLACED, '-20 to 250 eV/atom'),
    'flist': SUCCESS,
    'garbage': (Failure.DATA_UNREADABLE, 'Not a gzipped file'),
    'huge': (Failure.LOSS_NOT_FINITE, 'last loss inf, after 0 iterations, status 2'),
    'infe': (Failure.REFERENCE_REPLACED, '-20 to 250 eV/atom'),
    'inff': (Failure.LOSS_NOT_FINITE, 'last loss inf, after 0 iterations, status 3'),
    'kappaauto': SUCCESS,
    'ladder1': SUCCESS,
    'lbfgs': SUCCESS,
    'missingfile': (Failure.DATA_UNREADABLE, "No such file or directory: 'nothere.pckl.gzip'"),
    'nane': (Failure.DATA_NOT_FINITE, 'energy_corrected contains NaNs'),
    'nanf': (Failure.DATA_NOT_FINITE, 'forces column contains NaN'),
    'near': SUCCESS,
    'noatoms': (Failure.DATA_COLUMN_MISSING, "no 'ase_atoms' column"),
    'nobackend': (Failure.SETTINGS_REFUSED, 'no section potential or backend'),
    'nocutoff': (Failure.SETTINGS_REFUSED, "No 'cutoff' provided"),
    'nodata': (Failure.SETTINGS_REFUSED, "'data' section is not provided"),
    'noecorr': (Failure.DATA_COLUMN_MISSING, "Neither 'energy_corrected' column"),
    'noecorr_auto': (Failure.REFERENCE_REPLACED, 'a key reference_energy'),
    'noecorr_ref0': (Failure.REFERENCE_REPLACED, 'a key reference_energy'),
    'noenergy': (Failure.DATA_COLUMN_MISSING, 'Column `energy` or `energy_corrected` not found'),
    'nofit': SUCCESS,  # the input is refused before the job
    'noforces': (Failure.DATA_COLUMN_MISSING, 'Column `forces` not found'),
    'nopot': (Failure.SETTINGS_REFUSED, 'no section potential or backend'),
    'notf': (Failure.INSTALLATION, "No module named 'tensorflow'"),
    'notp': (Failure.INSTALLATION, "No module named 'tensorpotential'"),
    'ok': SUCCESS,
    'pbc': (Failure.MIXED_BOUNDARIES, 'Only fully periodic'),
    'pyaceeval': SUCCESS,  # the input is refused before the job
    'tabs': (Failure.INPUT_UNREADABLE, "found character '\\t'"),
    'testsize': SUCCESS,
    'unknownfitkey': SUCCESS,  # the input is refused before the job
    'unknownfn': (Failure.SETTINGS_REFUSED, 'a key of potential.functions'),
    'unknownkey': SUCCESS,  # the input is refused before the job
}
GOOD = read_log(text('failures/ok', 'err'))


def test_every_recorded_failure_is_expected() -> None:
    assert sorted(EXPECTED) == FAILURES


@pytest.mark.parametrize('name', FAILURES)
def test_recorded_failures(name: str) -> None:
    log, code = text(f'failures/{name}', 'err'), int(text(f'failures/{name}', 'rc'))
    found = judge(read_log(log), code, log, has_potential='Final potential is saved' in log)
    expected = EXPECTED[name]
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert found[0] is expected[0]
    assert expected[1] in found[1]


@pytest.mark.parametrize('name', FITS)
@pytest.mark.parametrize('file', ['pacemaker.err', 'log.txt'])
def test_recorded_fits_are_successes(name: str, file: str) -> None:
    log = text(name, file)
    run = read_log(log)
    assert judge(run, 0, log, has_potential=True) is None
    assert run.status == 1
    assert run.version == '0.2.7+172.gd1c213a'
    assert run.last_loss is not None
    assert math.isfinite(run.last_loss)


def test_what_a_log_says() -> None:
    assert dataclasses.asdict(GOOD) == {
        'n_iterations': 3,
        'last_loss': 0.14304,
        'status': 1,
        'message': 'Maximum number of iterations has been exceeded.',
        'n_structures': 10,
        'n_atoms': 320,
        'kappa': None,
        'version': '0.2.7+172.gd1c213a',
        'is_re_referenced': False,
        'exception': '',
    }


def test_kappa_that_was_chosen_by_pacemaker() -> None:
    assert read_log(text('failures/kappaauto', 'err')).kappa == 0.011


def test_structures_that_pacemaker_set_aside() -> None:
    assert read_log(text('failures/testsize', 'err')).n_structures == 8


def test_a_log_that_was_cut_short() -> None:
    log = text('fit_al', 'log.txt')
    for end in range(0, len(log), 500):
        read_log(log[:end])


def test_nothing_at_all() -> None:
    run = read_log('')
    assert (run.n_iterations, run.last_loss, run.status, run.exception) == (0, None, None, '')
    assert judge(run, 1, '', has_potential=False) == (
        Failure.RUN_FAILED,
        'return code 1, after 0 iterations: nothing on standard error',
    )


class TestRule:
    """Return code 0, potential, finite loss, status other than 3, iterations: each of them is needed."""

    def verdict(self, code: int | None = 0, *, has_potential: bool = True, **changes: object) -> Failure | None:
        run = dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type]  # names of fields by keyword
        found = judge(run, code, '', has_potential=has_potential)
        return found[0] if found else None

    def test_success(self) -> None:
        assert self.verdict() is None

    @pytest.mark.parametrize('status', [0, 1, 2])
    def test_every_other_status_is_an_end(self, status: int) -> None:
        assert self.verdict(status=status) is None

    def test_return_code(self) -> None:
        assert self.verdict(1) is Failure.RUN_FAILED

    def test_potential(self) -> None:
        assert self.verdict(has_potential=False) is Failure.POTENTIAL_MISSING

    @pytest.mark.parametrize('loss', [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize('code', [0, 1])
    def test_loss(self, loss: float, code: int) -> None:
        assert self.verdict(code, last_loss=loss) is Failure.LOSS_NOT_FINITE

    def test_status(self) -> None:
        assert self.verdict(status=3) is Failure.LOSS_NOT_FINITE

    def test_iterations(self) -> None:
        assert self.verdict(n_iterations=0) is Failure.NO_ITERATIONS
        assert self.verdict(last_loss=None) is Failure.NO_ITERATIONS

    @pytest.mark.parametrize('code', [None, 143])
    def test_ended_from_outside(self, code: int | None) -> None:
        assert self.verdict(code) is Failure.CUT_SHORT

    def test_killed_for_its_memory(self) -> None:
        assert self.verdict(137) is Failure.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ('line', 'failure'),
    [
        ('tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating', Failure.OUT_OF_MEMORY),
        ('MemoryError: Unable to allocate 40.0 GiB', Failure.OUT_OF_MEMORY),
        ('TypeError: issubclass() arg 1 must be a class', Failure.DATA_UNREADABLE),
        ("ModuleNotFoundError: No module named 'numpy._core.multiarray'", Failure.DATA_UNREADABLE),
        ('ImportError: libcudart.so.11.0: cannot open shared object file', Failure.INSTALLATION),
        ("pkg_resources.DistributionNotFound: The 'protobuf<3.21' distribution was not found", Failure.INSTALLATION),
        ("ValueError: Couldn't combine `initial_potential` setting", Failure.SETTINGS_REFUSED),
        ('ZeroDivisionError: division by zero', Failure.RUN_FAILED),
    ],
)
def test_errors_that_were_not_recorded(line: str, failure: Failure) -> None:
    log = f'Traceback (most recent call last):\n  File "pacemaker", line 1\n{line}\n'
    found = judge(read_log(log), 1, log, has_potential=False)
    assert found is not None
    assert found == (failure, f'return code 1, after 0 iterations: {line}')


NOTHING = ('No new function added after basis extension. Stopping', 'Number of finished fit cycles (1) >= 1')


@pytest.mark.parametrize('sentence', NOTHING)
def test_nothing_to_fit(sentence: str) -> None:
    log = f'I - {sentence}\nTraceback (most recent call last):\nValueError: no bbasis\n'
    found = judge(read_log(log), 1, log, has_potential=True)
    assert found is not None
    assert found[0] is Failure.NOTHING_TO_FIT


def test_a_ladder_ends_with_nothing_added_and_is_a_success() -> None:
    log = text('ladder', 'log.txt')
    assert 'No new function added' in log
    assert judge(read_log(log), 0, log, has_potential=True) is None


class TestMetrics:
    def test_main_fit(self) -> None:
        curve = read_metrics(text('fit_al', 'metrics.txt'))
        assert len(curve) == 21
        assert curve['iter_num'][0] == 0
        assert curve['iter_num'][-1] == 150
        assert curve['loss'][-1] == 8.141005897073232e-05
        assert last_errors(curve) == {'energy_rmse': 0.0005339529945622907, 'force_rmse': 0.009496829802907121}

    @pytest.mark.parametrize('name', FITS)
    def test_the_last_row_is_the_final_loss_of_the_log(self, name: str) -> None:
        curve = read_metrics(text(name, 'metrics.txt'))
        assert np.isfinite(curve['loss']).all()
        printed = [line for line in text(name, 'log.txt').splitlines() if '_loss:' in line][-1]
        assert float(printed.split('_loss: ')[1].split(',')[0]) == pytest.approx(curve['loss'][-1], rel=1e-10)

    def test_test_set(self) -> None:
        curve = read_metrics(text('fit_al', 'test_metrics.txt'))
        assert last_errors(curve)['force_rmse'] == pytest.approx(0.0091, abs=2e-3)

    def test_a_row_that_was_cut_off_is_left_out(self) -> None:
        content = text('fit_al', 'metrics.txt')
        whole = read_metrics(content)
        cut = read_metrics(content[:-40])
        assert len(cut['loss']) == len(whole['loss']) - 1

    @pytest.mark.parametrize('content', ['ladder_step loss\n', 'ladder_step loss\n0\n'])
    def test_a_header_alone(self, content: str) -> None:
        assert read_metrics(content) == {}

    def test_the_file_of_a_test_set_that_there_was_not(self) -> None:
        assert read_metrics(text('ladder', 'test_metrics.txt')) == {}

    def test_a_loss_that_is_no_number_is_kept(self) -> None:
        lines = text('fit_al', 'metrics.txt').splitlines()
        words = lines[1].split()
        words[3] = 'nan'
        assert np.isnan(read_metrics('\n'.join([lines[0], ' '.join(words)]))['loss'][0])

    @pytest.mark.parametrize(
        ('content', 'said'),
        [
            ('', 'found nothing'),
            ('1 2 3\n', 'the header must begin with ladder_step, found 1 2 3'),
            ('ladder_step loss\n0 1 2\n0 1\n', 'row 2 has 3 values, the header names 2 columns'),
            ('ladder_step loss\n0 x\n', 'a value is no number'),
        ],
    )
    def test_what_cannot_be_read(self, content: str, said: str) -> None:
        with pytest.raises(FormatError, match=said):
            read_metrics(content)

    def test_a_missing_column_is_named(self) -> None:
        with pytest.raises(FormatError, match='no column rmse_epa'):
            last_errors({'loss': np.zeros(1)})


@pytest.mark.parametrize(('name', 'grade'), [('fit_al', 1.008), ('fit_alcu', 1.003)])
def test_largest_grade(name: str, grade: float) -> None:
    assert largest_grade(text(name, 'activeset.log')) == grade


def test_no_grade() -> None:
    assert largest_grade('ModuleNotFoundError') is None

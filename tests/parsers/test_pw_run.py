"""One run of `pw.x` 6.7 out of its archive: real outputs of two aluminium atoms, whole, cut, and with numbers changed."""

import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from aiida_quantumespresso.parsers.parse_xml.parse import parse_xml
from ase.io import read

from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError, Reason
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso.output import read_result
from aiida_mlip_autopipe.parsers.pw_run import read_run

RUNS = Path(__file__).parents[1] / 'fixtures' / 'pw'
ENERGY_TOLERANCE = 1e-5
"""eV: the log has fewer digits than the XML, and ASE's Rydberg is another one by 1e-8."""
FORCE_TOLERANCE = 1e-4
STRESS_TOLERANCE = 1e-6


def files_of(run):
    return {path.name: path.read_text(encoding='utf-8') for path in sorted((RUNS / run).iterdir())}


def archive(files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as stored:
        for name, text in files.items():
            stored.writestr(name, text)
    target.seek(0)
    return target


def failure_in(files, n_atoms=2):
    with pytest.raises(LabelError) as caught:
        read_run(archive(files), n_atoms)
    return caught.value.failure


UNCONVERGED = FrameFailure(Reason.SCF_NOT_CONVERGED)
STOPPED = FrameFailure(Reason.STOPPED_EARLY, 'output_stdout_incomplete')
NOT_XML = FrameFailure(Reason.OUTPUT_UNREADABLE, 'output_xml_parse')
DAMAGED = FrameFailure(Reason.OUTPUT_UNREADABLE, 'output_archive_damaged')


def test_a_run_is_what_ase_reads_from_its_log():
    found, theirs = read_run(archive(files_of('good')), 2), read(RUNS / 'good' / pw_batch.STDOUT, format='espresso-out')
    assert found.converged
    assert found.energy == pytest.approx(theirs.get_potential_energy(), abs=ENERGY_TOLERANCE)
    np.testing.assert_allclose(found.forces, theirs.get_forces(), atol=FORCE_TOLERANCE)
    np.testing.assert_allclose(found.stress, theirs.get_stress(), atol=STRESS_TOLERANCE)
    assert (found.code_version, found.functional) == ('6.7MaX', 'PZ')


def test_two_atoms_nearly_at_one_place_converge_to_forces_that_the_cap_refuses():
    found = read_run(archive(files_of('close')), 2)
    assert found.converged
    assert np.abs(found.forces).max() > 1000


def test_what_did_not_converge_says_so():
    files = files_of('unconverged')
    assert failure_in(files) == UNCONVERGED
    # Also where the log says that all is well: the XML is the judge.
    assert failure_in({**files, pw_batch.STDOUT: files_of('good')[pw_batch.STDOUT]}) == UNCONVERGED


def test_an_input_that_pw_refuses():
    assert pw_batch.CRASH in files_of('crashed')
    assert failure_in(files_of('crashed')) == STOPPED


@pytest.mark.parametrize('share', [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize('name', [pw_batch.XML, pw_batch.STDOUT])
def test_a_file_cut_anywhere_gives_a_reason_and_no_label(name, share):
    files = files_of('good')
    failure = failure_in({**files, name: files[name][: int(share * len(files[name]))]})
    assert failure == (NOT_XML if name == pw_batch.XML else STOPPED)


@pytest.mark.parametrize(
    ('files', 'failure'),
    [
        ({}, STOPPED),
        (
            {pw_batch.STDOUT: files_of('good')[pw_batch.STDOUT]},
            FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output_xml_missing'),
        ),
        ({**files_of('good'), pw_batch.XML: '<a/>'}, NOT_XML),
        (
            {**files_of('good'), pw_batch.XML: files_of('good')[pw_batch.XML].replace('qes_030920', 'qes_990101')},
            NOT_XML,
        ),
    ],
)
def test_what_is_missing_or_unknown_is_named(files, failure):
    assert failure_in(files) == failure


@pytest.mark.parametrize('tag', ['forces', 'stress'])
def test_a_block_that_is_missing_is_named(tag):
    files = files_of('good')
    without = re.sub(rf'<{tag} .*?</{tag}>', '', files[pw_batch.XML], flags=re.DOTALL)
    assert without != files[pw_batch.XML]
    assert failure_in({**files, pw_batch.XML: without}) == FrameFailure(Reason.OUTPUT_INCOMPLETE, f'output of pw.x lacks {tag}')


def with_highest_occupation(text, n_spins=1):
    """The file of a run whose highest band (of the first spin) has this occupation at the last k-point."""
    xml = files_of('good')[pw_batch.XML]
    if n_spins == 2:
        xml = xml.replace('<lsda>false</lsda>', '<lsda>true</lsda>')
        xml = xml.replace('<nbnd>7</nbnd>', '<nbnd_up>4</nbnd_up><nbnd_dw>4</nbnd_dw>')
        xml = re.sub(r'(<(?:eigenvalues|occupations)) size="7">([^<]*)', r'\1 size="8">\2 0.0 ', xml)
    start, last, end = re.search(r'(.*<occupations[^>]*>)([^<]*)(.*)', xml, re.DOTALL).groups()
    numbers = last.split()
    numbers[len(numbers) // n_spins - 1] = text
    return {**files_of('good'), pw_batch.XML: f'{start}{" ".join(numbers)}{end}'}


@pytest.mark.parametrize('n_spins', [1, 2])
def test_a_highest_band_that_is_not_empty_is_no_label(n_spins):
    assert read_run(archive(with_highest_occupation('4.9e-3', n_spins)), 2).converged
    assert failure_in(with_highest_occupation('5.1e-3', n_spins)) == FrameFailure(Reason.TOO_FEW_BANDS, 'occupation 0.0051')


@pytest.mark.parametrize('run', ['good', 'close'])
def test_the_numbers_are_those_of_aiida_quantumespresso_to_the_last_digit(run):
    files = files_of(run)
    whole, _ = parse_xml(io.StringIO(files[pw_batch.XML]))
    found, last = read_run(archive(files), 2), {name: whole['trajectory'][name][-1] for name in ('energy', 'forces', 'stress')}
    theirs = read_result({**whole, 'energy': last['energy']}, last)
    assert (found.energy, found.converged) == (theirs.energy, theirs.converged)
    assert (found.code_version, found.functional) == (theirs.code_version, theirs.functional)
    np.testing.assert_array_equal(found.forces, theirs.forces)
    np.testing.assert_array_equal(found.stress, theirs.stress)


def without(path):
    files = files_of('good')
    root = ElementTree.fromstring(files[pw_batch.XML])
    *above, name = path.split('/')
    parent = root.find('/'.join(above)) if above else root
    parent.remove(parent.find(name))
    return {**files, pw_batch.XML: ElementTree.tostring(root, encoding='unicode')}


@pytest.mark.parametrize(
    ('path', 'failure'),
    [
        ('output', FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output_xml_incomplete')),
        ('general_info/creator', FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output_xml_incomplete')),
        ('output/convergence_info', UNCONVERGED),
        ('output/total_energy/etot', FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output of pw.x lacks energy')),
        ('output/band_structure/nelec', FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output of pw.x lacks number_of_electrons')),
    ],
)
def test_an_element_that_is_missing_gives_no_label(path, failure):
    assert failure_in(without(path)) == failure


def with_forces(text):
    files = files_of('good')
    number = re.search(r'(<forces [^>]*>\s*)(\S+)', files[pw_batch.XML])
    return {**files, pw_batch.XML: files[pw_batch.XML].replace(number[0], number[1] + text, 1)}


def test_nan_in_the_forces_reaches_the_judge():
    assert np.isnan(read_run(archive(with_forces('NaN')), 2).forces).any()


def test_stars_in_the_forces_are_no_number():
    assert failure_in(with_forces('********')) == FrameFailure(Reason.OUTPUT_INCOMPLETE, 'output_xml_incomplete')


def test_forces_on_other_atoms_are_refused():
    expected = FrameFailure(Reason.OUTPUT_UNREADABLE, 'forces on 2 atoms, expected 3')
    assert failure_in(files_of('good'), n_atoms=3) == expected


@pytest.mark.parametrize('keep', [0, 10, 500, -30])
def test_a_damaged_archive(keep):
    content = archive(files_of('good')).getvalue()
    with pytest.raises(LabelError) as caught:
        read_run(io.BytesIO(content[:keep]), 2)
    assert caught.value.failure == DAMAGED


def test_a_damaged_member_of_an_archive():
    content = bytearray(archive(files_of('good')).getvalue())
    content[200:260] = bytes(60)
    with pytest.raises(LabelError) as caught:
        read_run(io.BytesIO(bytes(content)), 2)
    assert caught.value.failure == DAMAGED

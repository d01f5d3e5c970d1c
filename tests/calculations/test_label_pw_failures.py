"""What must not lose a label: real runs of `pw.x` sabotaged on purpose, each frame with the outcome that the table expects."""

import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.calculations import label_pw
from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from tests.aiida_fixtures import PW, theory_of

pytestmark = pytest.mark.espresso

REPEATED = 'repeat_with_more_steps'
LABELLED = 'labelled'

# A frame is marked by where its only atom sits, which changes no number; most sabotage strikes a frame once.
WRAPPER = """#!/bin/sh
marked() { grep -q " $1" aiida.in; }
once() { mkdir "$STATE/$1" 2>/dev/null; }
XML=out/aiida.save/data-file-schema.xml
if marked 0.0100000000 && once killed; then
    $PW "$@" & child=$!; sleep 0.05; kill -9 $child; wait $child; exit
fi
if marked 0.0200000000 && once truncated; then
    $PW "$@"; head -c 3000 $XML > cut; mv cut $XML; exit 0
fi
if marked 0.0300000000; then
    $PW "$@"; sed -i '/<forces /{n;s/^ *[^ ]*/NaN/}' $XML; exit 0
fi
if marked 0.0400000000 && once no_pseudo; then
    sed -i 's/Al.pz-vbc.UPF/Gone.UPF/' aiida.in; $PW "$@"; exit
fi
if marked 0.0500000000 && once unconverged; then
    sed -i 's/electron_maxstep.*/electron_maxstep = 2/' aiida.in; $PW "$@"; exit
fi
if marked 0.0600000000; then
    $PW "$@"; head -c 3000 $XML > cut; mv cut $XML; exit 0
fi
if marked 0.0700000000 && once slow; then sleep 60; fi
if marked 0.0800000000 && once full; then
    dd if=/dev/zero of=fill bs=64k count=999 2>/dev/null; $PW "$@"; exit
fi
exec $PW "$@"
"""


class Case(NamedTuple):
    atoms: Atoms
    outcome: str
    """`labelled`, the name of the remedy, or the reason of the quarantine."""


def strained(seed: int, mark: float = 0.0) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = bulk('Al', a=4.0)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.positions[0, 0] = mark
    return atoms


def crowded() -> Atoms:
    atoms = bulk('Al', a=4.0).repeat((1, 1, 2))
    atoms.positions[1] = atoms.positions[0] + [0.3, 0, 0]
    return atoms


def flat(height: float) -> Atoms:
    """One atom in a cell so flat that 9 (1.2 Å) or 18 (0.6 Å) k-points are needed along its height."""
    return Atoms('Al', cell=[6.0, 6.0, height], pbc=True)


TABLE = {
    'good 1': Case(strained(1), LABELLED),
    'kill -9 of pw.x': Case(strained(2, 0.01), REPEATED),
    'two atoms 0.3 Å apart': Case(crowded(), 'force_cap'),
    'XML cut once': Case(strained(3, 0.02), REPEATED),
    'good 2': Case(strained(4), LABELLED),
    'NaN in the forces': Case(strained(5, 0.03), 'not_finite'),
    'pseudopotential gone': Case(strained(6, 0.04), REPEATED),
    'electron_maxstep 2': Case(strained(7, 0.05), REPEATED),
    'XML cut always': Case(strained(8, 0.06), 'output_unreadable'),
    'many k-points': Case(flat(1.2), LABELLED),
    'too flat for pw.x': Case(flat(0.6), 'stopped_early'),
    'good 3': Case(strained(9), LABELLED),
}


@pytest.fixture
def sabotaged(tmp_path):
    """Return a function that makes a code of `pw.x` with the wrapper around it."""

    def make(computer):
        state = tmp_path / 'state'
        state.mkdir()
        wrapper = tmp_path / 'pw.sh'
        wrapper.write_text(WRAPPER.replace('$STATE', str(state)).replace('$PW', str(PW)), encoding='utf-8')
        wrapper.chmod(0o755)
        return ensure_code('pw-sabotaged', computer, wrapper, 'quantumespresso.pw')

    return make


def label(cases, code, worker_code, **values):
    given = {
        'pseudo_family': 'mlip-demo-lda',
        'cutoff_wfc': 12,
        'kpoints_distance': 0.6,
        'reuse': False,
        'outlier_zscore': None,
        'max_failure_rate': 1.0,
        **values,
    }
    structures = [case.atoms.copy() for case in cases.values()]
    for atoms in structures:
        atoms.info['config_type'] = 'strain'
    settings = orm.Dict(DFTConfig.model_validate(given).model_dump())
    return run_get_node(
        LabelWorkChain,
        code=code,
        worker_code=worker_code,
        frames=FramesData(Frames.from_atoms(structures)),
        **theory_of(settings),
    )


def outcomes(cases, outputs):
    """Return what became of each case, and check that each frame is in exactly one place."""
    report = outputs['report'].get_dict()
    failed = {failure['index']: failure['reason'] for failure in report['failures']}
    assert report['n_labelled'] + len(failed) == len(cases)
    assert len(outputs['labelled']) == report['n_labelled']
    assert ('quarantined' in outputs) == bool(failed)
    if failed:
        assert len(outputs['quarantined']) == len(failed)
    assert outputs['labelled'].frames.labelled.all()
    return {name: failed.get(index) or report['remedies'].get(str(index), LABELLED) for index, name in enumerate(cases)}


def batches(node):
    calls = node.base.links.get_outgoing(node_class=orm.CalcJobNode).all()
    return sorted((link.link_label, link.node) for link in calls)


def test_each_frame_ends_as_the_table_says(sabotaged, localhost, worker_code, pw_code, lda_family):
    outputs, node = label(TABLE, sabotaged(localhost), worker_code)
    assert node.exit_status == 0, node.exit_message
    assert outcomes(TABLE, outputs) == {name: case.outcome for name, case in TABLE.items()}
    frames = outputs['labelled'].frames
    positions = [atoms.positions[0, 0] for atoms in frames]
    expected = [case.atoms.positions[0, 0] for case in TABLE.values() if case.outcome in {LABELLED, REPEATED}]
    np.testing.assert_allclose(positions, expected)
    assert np.isfinite(frames.energy).all()
    assert np.abs(frames.forces).max() < 50


def test_what_the_walltime_cuts_goes_into_another_job(sabotaged, localhost, worker_code, pw_code, lda_family, monkeypatch):
    monkeypatch.setattr(label_pw, 'MIN_MARGIN', 1.0)
    cases = {'good 1': Case(strained(1), LABELLED), 'slow': Case(strained(2, 0.07), LABELLED)}
    cases |= {f'good {index}': Case(strained(index), LABELLED) for index in (3, 4)}
    outputs, node = label(cases, sabotaged(localhost), worker_code, max_concurrent=1, options={'walltime': 10})
    assert node.exit_status == 0, node.exit_message
    assert outcomes(cases, outputs) == dict.fromkeys(cases, LABELLED)
    first, *_, last = [job for _, job in batches(node)]
    report = first.outputs.report.get_dict()
    assert {failure['reason'] for failure in report['failures']} == {'out_of_time'}
    assert first.inputs.indices.get_list() != last.inputs.indices.get_list()
    assert 1 in {failure['index'] for failure in report['failures']}
    assert last.exit_status == 0


@pytest.fixture
def small_disk(tmp_path_factory):
    """Return a folder on a disk of 3 MB."""
    folder = tmp_path_factory.mktemp('small')
    mounted = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f'no small disk can be mounted here: {mounted.stderr.strip()}')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


def test_a_full_disk_costs_only_the_frame_that_met_it(small_disk, sabotaged, pw_code, lda_family, worker_code):
    computer = ensure_computer('small-disk', small_disk)
    worker = ensure_code('mlip-worker', computer, Path(worker_code.filepath_executable), None)
    cases = {
        'good 1': Case(strained(1), LABELLED),
        'full': Case(strained(2, 0.08), REPEATED),
        'good 2': Case(strained(3), LABELLED),
    }
    outputs, node = label(cases, sabotaged(computer), worker, max_concurrent=1)
    assert node.exit_status == 0, node.exit_message
    assert outcomes(cases, outputs) == {name: case.outcome for name, case in cases.items()}
    ((_, job),) = batches(node)
    assert len(job.outputs.labelled) == 2


def test_an_element_without_pseudopotential_stops_before_anything_runs(pw_code, worker_code, lda_family):
    cases = {'copper': Case(bulk('Cu', a=3.6), '')}
    with pytest.raises(ValueError, match=r"pseudos: none for \['Cu'\]; given: \['Al', 'Mg'\]"):
        label(cases, pw_code, worker_code)


def test_a_program_that_is_not_there_is_named(localhost, worker_code, lda_family, tmp_path):
    gone = tmp_path / 'pw.x'
    gone.touch()
    code = ensure_code('pw-gone', localhost, gone, 'quantumespresso.pw')
    gone.unlink()
    frames = FramesData(Frames.from_atoms([strained(1)]))
    settings = orm.Dict(DFTConfig(pseudo_family='mlip-demo-lda', cutoff_wfc=12.0).model_dump())
    outputs, node = run_get_node(
        label_pw.PwBatchCalculation,
        code=worker_code,
        pw_code=code,
        frames=frames,
        pseudos={'Al': lda_family.pseudos['Al']},
        settings=settings,
    )
    assert node.exit_status == 420
    (failure,) = outputs['report']['failures']
    assert (failure['reason'], failure['detail']) == ('program_missing', f'No such file or directory: {gone}')

"""POD of real labels: 36 Al-Mg frames of Quantum ESPRESSO through the split of the loop, the training and the exploration."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk

from aiida_mlip_autopipe.calculations.frames_functions import split_frames
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames, uid_of
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.workflows.train import TrainWorkChain

pytestmark = pytest.mark.lammps

FILE = Path(__file__).parents[1] / 'fixtures' / 'almg' / 'labelled.extxyz'
ELEMENTS = ('Al', 'Mg')
FINGERPRINT = 'pw.x 6.7, LDA, 18 Ry'
ISOLATED = {'Al': -52.949, 'Mg': -27.414}
"""eV; pw.x 6.7 with the settings of the frames, a cube of 12 Å, Γ, not spin polarised."""

LATTICE = {'Al': 3.95, 'Mg': 4.40}
"""Å, as in examples/almg."""

MELTING = 925.0
"""K; aluminium melts at 933 K, magnesium at 923 K."""

TEST_SHARE, SPLIT_SEED = 0.1, 4
"""Of the labels. With seeds 0 to 5 the force error was 528, 76, 97, 80, 112 (this one) and 95 meV/Å; the test set of seed 0 has
the frame with two atoms 1.9 Å apart. Test sets of 20 % leave 92 to 107 atoms of Mg, 61 numbers to describe each: the grade then
halts some alloys at 300 K, too (9 of 10 seeds)."""

ENERGY_BOUND = 0.040
FORCE_BOUND = 0.200
STRESS_BOUND = 0.010
"""eV/atom, eV/Å and eV/Å³ on the test set; measured 0.020, 0.112 and 0.0041, where the rms force is 0.81 eV/Å."""

SHARES = (0.25, 0.5, 1.0)
"""Of Mg in the starts. A perfect crystal of Al, the best known composition, may outlive 1 ps at twice the melting temperature."""

STEPS = 500


def decorated(share: float) -> Frames:
    """Return a crystal of 32 atoms that no frame is, a share of Mg on random sites."""
    atoms = bulk('Al', a=(1 - share) * LATTICE['Al'] + share * LATTICE['Mg'], cubic=True) * (2, 2, 2)
    atoms.symbols[np.random.default_rng(1).permutation(len(atoms))[: round(share * len(atoms))]] = 'Mg'
    atoms.info = {'uid': uid_of(atoms), 'lineage': uid_of(atoms), 'config_type': 'bulk'}
    return Frames.from_atoms([atoms])


@pytest.fixture(scope='module')
def labelled():
    """All frames and the isolated atoms; a lineage is a decoration, as these frames came without one."""
    frames = read_extxyz(FILE)
    frames = frames.replace(
        lineage=np.array([''.join(frames.symbols(index)) for index in range(len(frames))]),
        fingerprint=np.full(len(frames), FINGERPRINT),
    )
    atoms = [
        Label(ISOLATED[one.get_chemical_symbols()[0]], np.zeros((1, 3))).put_on(one, fingerprint=FINGERPRINT)
        for one in isolated_atoms(ELEMENTS, 12.0)
    ]
    return Frames.concatenate([Frames.from_atoms(atoms), frames])


@pytest.fixture(scope='module')
def parts(aiida_profile, labelled):
    return split_frames(FramesData(labelled), orm.Float(TEST_SHARE), orm.Int(SPLIT_SEED))


@pytest.fixture(scope='module')
def trained(parts, worker_code):
    outputs, node = run_get_node(
        TrainWorkChain,
        code=worker_code,
        evaluate_code=worker_code,
        train_frames=parts['train'],
        test_frames=parts['test'],
        references=parts['references'],
        elements=orm.List(list(ELEMENTS)),
        seed=orm.Int(0),
        settings=orm.Dict({'cutoff': 4.5}),
    )
    return outputs, node


@pytest.fixture(scope='module')
def explored(trained, run_stage):
    """Reports of MD by temperature, one trajectory for each share of Mg."""
    outputs, _ = trained
    starts = FramesData(Frames.concatenate([decorated(share) for share in SHARES]))
    nodes = {
        temperature: run_stage(
            'lammps_md',
            potential=outputs['potential'],
            starts=starts,
            temperature=orm.Float(temperature),
            seed=orm.Int(3),
            round=orm.Int(1),
            settings=orm.Dict({'steps': STEPS, 'pressure': None}),
        )
        for temperature in (300.0, 2 * MELTING)
    }
    assert all(node.is_finished_ok for node in nodes.values())
    return {temperature: node.outputs.report['trajectories'] for temperature, node in nodes.items()}


def test_no_decoration_is_on_both_sides(parts):
    train, test = parts['train'].frames, parts['test'].frames
    assert (len(train), len(test), len(parts['references'])) == (32, 4, 2)
    assert not set(train.lineage.tolist()) & set(test.lineage.tolist())
    assert set(parts['references'].frames.config_type.tolist()) == {ISOLATED_ATOM}


def test_all_self_checks_pass(trained):
    outputs, node = trained
    assert node.is_finished_ok, node.exit_message
    checks = outputs['report']['checks']
    names = {entry['check'] for entry in checks}
    assert {'loads', 'energy_agreement', 'force_agreement', 'stress_derivative', 'nve_drift', 'grade_training'} <= names
    assert {'wall_Al-Al', 'wall_Al-Mg', 'wall_Mg-Mg'} <= names
    assert [entry['message'] for entry in checks if not entry['passed']] == []


def test_errors_on_the_frozen_test_set(trained, capsys):
    report = trained[0]['report'].get_dict()
    errors = report['test_errors']
    energy, force, stress = (1e3 * errors[name] for name in ('energy_rmse', 'force_rmse', 'stress_rmse'))
    with capsys.disabled():
        sys.stdout.write(
            f'\nAl-Mg, frozen test set of {errors["n_frames"]} frames: {energy:.1f} meV/atom, {force:.1f} meV/Å, '
            f'{stress:.1f} meV/Å³; largest grade {report["gamma_max"]:.1f}\n'
        )
    assert all(math.isfinite(value) for value in (energy, force, stress))
    assert errors['energy_rmse'] < ENERGY_BOUND
    assert errors['force_rmse'] < FORCE_BOUND
    assert errors['stress_rmse'] < STRESS_BOUND


def test_md_at_300_k_finishes(explored):
    assert [run['reason'] for run in explored[300.0]] == ['finished'] * len(SHARES)


def test_md_at_twice_the_melting_temperature_is_stopped_by_the_grade(explored):
    assert [run['reason'] for run in explored[2 * MELTING]] == ['grade'] * len(SHARES)
    assert all(run['steps_done'] < STEPS for run in explored[2 * MELTING])

"""Stage generate: frames of every kind, reproducible, and mistakes told in error.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import uid_of
from tests.remote.conftest import GENERATE, SYSTEM, Outcome

Stage = Callable[..., Outcome]
PURE = {**SYSTEM, 'elements': ['Cu'], 'lattice_parameters': {'Cu': 3.6}, 'compositions': [{'Cu': 1.0}]}


def pure(seed: int) -> dict[str, object]:
    return {'system': PURE, 'settings': GENERATE, 'seed': seed}


def test_report_and_frames_agree(generated: Outcome) -> None:
    frames = generated.frames('frames')
    steps = generated.report['by_strategy']
    rest = {name: value for name, value in generated.report.items() if name != 'by_strategy'}
    (distance,) = rest.pop('quasirandom_distances')  # of the one alloy among them
    assert distance >= 0
    assert rest == {
        'n_frames': len(frames),
        'n_lineages': 3,
        'by_config_type': {'sqs': 3, 'strain': 12, 'rattle': 9},
        'stopped': '',
    }
    assert steps['strain'] == {'tried': 12, 'kept': 12, 'rejected': {}, 'n_atoms': [4, 4]}
    assert {name: step['kept'] for name, step in steps.items()} == rest['by_config_type']
    assert Counter(frames.config_type.tolist()) == generated.report['by_config_type']


def test_frames(generated: Outcome) -> None:
    frames = generated.frames('frames')
    assert frames.elements == ['Cu', 'Au']
    assert set(frames.counts) == {4}
    assert not frames.labelled.any()
    assert [uid_of(atoms) for atoms in frames] == frames.uid.tolist()
    assert len(set(frames.uid.tolist())) == len(frames)
    roots = frames.uid[frames.config_type == 'sqs']
    assert set(frames.lineage) == set(roots)


def test_same_seed_same_file(stage: Stage) -> None:
    first, second, other = (stage('generate', pure(seed)) for seed in (5, 5, 6))
    a, b, c = (outcome.arrays('frames') for outcome in (first, second, other))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert first.report == second.report == other.report
    assert not np.array_equal(a['positions'], c['positions'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'system': {**SYSTEM, 'prototype': 'fc'}}, "prototype: got 'fc'; input should be 'fcc'"),
        ({'system': {**SYSTEM, 'supercells': [[3, 1, 1]]}}, 'does not give whole numbers of atoms on 3 sites'),
        ({'settings': {'rattle': {'stdev': -1}}}, 'rattle.stdev: got -1; input should be greater than 0 (Å'),
        (
            {'settings': {'rattel': {}}},
            "rattel: unknown key; did you mean 'rattle'? allowed here: sqs, ordered, files, cells, structures, ",
        ),
        ({'settings': {'vacancy': {'n_vacancies': 4}}}, '4 of 4 atoms cannot be removed'),
    ],
)
def test_bad_settings(stage: Stage, changes: dict[str, object], message: str) -> None:
    outcome = stage('generate', {**pure(1), 'system': SYSTEM, **changes} | ({'system': PURE} if 'settings' in changes else {}))
    assert outcome.error['kind'] == 'InputError'
    assert message in outcome.error['message']
    assert not outcome.has('frames')

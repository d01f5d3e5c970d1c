import os

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.science.md.journal import (
    CANDIDATES,
    RESTART,
    ROLLING,
    TRACE,
    Journal,
    newest_restart,
    read_journal,
)
from aiida_mlip_autopipe.science.md.pool import POOL, CandidatePool
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd

START = bulk('Cu', a=3.6, cubic=True)
SETTINGS = MdSettings(temperature=300.0, steps=100, seed=1, gamma_select=2.0, max_candidates=3)


def frame(step):
    rng = np.random.default_rng(step)
    atoms = START.copy()
    atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)
    atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
    atoms.arrays['gamma'] = rng.uniform(1, 5, len(atoms))
    atoms.info.update(step=step, gamma_max=float(atoms.arrays['gamma'].max()))
    return atoms


def write(folder, n_checks, limit=3):
    journal, pool = Journal(folder), CandidatePool(limit)
    for step in range(n_checks):
        journal.note((float(step), 3.0 if step else 1.0, 300.0 + step, -1.0, 0.01, 0.9))
        if step:
            journal.keep(pool, thinned=pool.add(frame(step)))
    return pool


def test_what_was_noted_comes_back(tmp_path):
    write(tmp_path, 3)
    found = read_journal(tmp_path, START, SETTINGS, 'crashed with signal SIGSEGV')
    assert (found.stop, found.message, found.steps_done, found.n_selected) == (
        TrajectoryEnd.ERROR,
        'crashed with signal SIGSEGV',
        2,
        2,
    )
    assert found.trace.step.tolist() == [0, 1, 2]
    assert found.trace.gamma_max.tolist() == [1.0, 3.0, 3.0]
    assert found.trace.temperature.tolist() == [300.0, 301.0, 302.0]
    assert found.trace.potential_energy.tolist() == [-1.0] * 3
    assert found.trace.pressure.tolist() == [0.01] * 3
    assert found.trace.bond.tolist() == [0.9] * 3
    for seen, step in zip(found.candidates, (1, 2), strict=True):
        expected = frame(step)
        assert seen.info == expected.info
        np.testing.assert_array_equal(seen.positions, expected.positions)
        np.testing.assert_array_equal(seen.cell.array, expected.cell.array)
        np.testing.assert_array_equal(seen.arrays['gamma'], expected.arrays['gamma'])
        assert seen.pbc.all()


def test_candidates_on_disk_stay_as_few_as_in_memory(tmp_path):
    pool = write(tmp_path, 100)
    size = (11 + 4 * len(START)) * 8
    assert (tmp_path / CANDIDATES).stat().st_size == size * len(pool.frames) <= size * POOL * 3
    found = read_journal(tmp_path, START, SETTINGS, '')
    assert [f.info['step'] for f in found.candidates] == [f.info['step'] for f in pool.chosen()]
    assert found.candidates[-1].info['step'] == 99


@pytest.mark.parametrize('name', [TRACE, CANDIDATES])
def test_a_record_cut_short_is_left_out(tmp_path, name):
    write(tmp_path, 3)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-5])
    found = read_journal(tmp_path, START, SETTINGS, '')
    assert len(found.trace.step) == (2 if name == TRACE else 3)
    assert len(found.candidates) == (1 if name == CANDIDATES else 2)


def test_nothing_seen_is_no_result(tmp_path):
    assert read_journal(tmp_path, START, SETTINGS, '') is None
    Journal(tmp_path)
    assert read_journal(tmp_path, START, SETTINGS, '') is None


def test_a_new_run_begins_with_an_empty_journal(tmp_path):
    write(tmp_path, 3)
    Journal(tmp_path)
    assert read_journal(tmp_path, START, SETTINGS, '') is None


def test_the_newest_restart_file(tmp_path):
    assert newest_restart(tmp_path) is None
    first, second = (tmp_path / f'{RESTART}{suffix}' for suffix in ROLLING)
    for time, path in ((200, first), (100, second)):
        path.write_text(path.name)
        os.utime(path, (time, time))
    assert newest_restart(tmp_path) == first
    (tmp_path / RESTART).write_text('end')
    assert newest_restart(tmp_path) == tmp_path / RESTART

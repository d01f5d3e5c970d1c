"""The descriptors of atoms are those that the grade of the potential is computed from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.evaluator import AceEvaluator
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.lammps.descriptors import atom_rows
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.files import PARAMETERS, parameter_text
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests import ace_data, pod_data

GRADE = 1e-8
"""Of a grade, between two ways to compute it, in units of the largest."""


@pytest.fixture(scope='module')
def ace(tmp_path_factory: pytest.TempPathFactory) -> tuple[LammpsPotential, Path]:
    folder = tmp_path_factory.mktemp('ace')
    (folder / POTENTIAL_YAML).write_bytes(ace_data.YAML.read_bytes())
    (folder / ACTIVE_SET).write_bytes(ace_data.ASI.read_bytes())
    return LammpsPotential(tuple(ace_data.ELEMENTS), (), ace_data.CUTOFF, engine='pace'), folder


class TestAce:
    def test_the_grade_follows_from_them(self, ace: tuple[LammpsPotential, Path]) -> None:
        """gamma = max |d A⁻¹|, with the matrices of the file, sorted by element."""
        potential, folder = ace
        frames = Frames.from_atoms([ace_data.alloy((2, 2, 2), seed=1), ace_data.alloy((1, 1, 2), seed=2)])
        rows = atom_rows(frames, potential, folder)
        with np.load(folder / ACTIVE_SET) as stored:
            inverse = {element: stored[element] for element in stored.files}
        evaluator = AceEvaluator(folder / POTENTIAL_YAML, ace_data.ELEMENTS, folder / ACTIVE_SET)
        expected = []
        for atoms in frames:
            evaluator.forget()
            evaluator.compute(atoms.cell.array, atoms.positions, ace_data.kinds(atoms), with_grade=True)
            expected += evaluator.grade().tolist()
        found = [
            np.abs(row[: len(inverse[ace_data.ELEMENTS[kind]])] @ inverse[ace_data.ELEMENTS[kind]]).max()
            for row, kind in zip(rows.rows, rows.kinds, strict=True)
        ]
        np.testing.assert_allclose(found, expected, rtol=GRADE)
        assert rows.counts.tolist() == frames.counts.tolist()

    def test_no_frames(self, ace: tuple[LammpsPotential, Path]) -> None:
        assert len(atom_rows(Frames.from_atoms([]), *ace)) == 0


@pytest.mark.lammps
class TestPod:
    def test_the_grade_follows_from_them(self, tmp_path: Path) -> None:
        (tmp_path / PARAMETERS).write_text(parameter_text(pod_data.ELEMENTS, 'S', pod_data.CUTOFF))
        potential = LammpsPotential(tuple(pod_data.ELEMENTS), (), pod_data.CUTOFF)
        rng = np.random.default_rng(3)
        frames = Frames.from_atoms([pod_data.alloy(rng), pod_data.alloy(rng)])
        rows = atom_rows(frames, potential, tmp_path)
        np.testing.assert_array_equal(rows.rows[:, 0], 1.0)
        active = ActiveSet.fit(rows.rows[:, 1:], rows.kinds)
        assert active.grade(rows.rows[:, 1:], rows.kinds).max() == pytest.approx(1.0, abs=0.01)
        assert rows.kinds.tolist() == [pod_data.ELEMENTS.index(symbol) for atoms in frames for symbol in atoms.symbols]


def test_what_the_potential_cannot_run(ace: tuple[LammpsPotential, Path]) -> None:
    potential, folder = ace
    frames = Frames.from_atoms([ace_data.alloy((1, 1, 2))])
    with pytest.raises(EngineError, match=r"^engine: got 'other'; the entry points of mlip_autopipe.engines are pace, pod$"):
        atom_rows(frames, replace(potential, engine='other'), folder)
    with pytest.raises(InputError, match=r'^frame 0: '):
        atom_rows(frames, replace(potential, elements=('Cu', 'Ni')), folder)

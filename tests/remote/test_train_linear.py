"""What the linear trainers share: settings as the fit takes them, isolated atoms, the level of theory, the report."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.fit import AceSettings
from aiida_mlip_autopipe.engines.ace.trainer import AceTrainer
from aiida_mlip_autopipe.engines.pod.fit import PodSettings
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.train_linear import read_inputs, report_of
from aiida_mlip_autopipe.science.linear.fit import FitErrors
from aiida_mlip_autopipe.science.linear.search import FitReport
from tests import pod_data
from tests.remote.conftest import TRAIN

REPORT = FitReport(
    size='S',
    ridge=1e-6,
    weights={'force': 1.0},
    noise={'force': 0.1},
    log_evidence={'S': 3.5},
    n_determined=7.5,
    n_rows=12,
    errors=FitErrors(0.001, 0.02, None),
    held_out=None,
    held_out_groups='none',
    stress_offset=0.002,
    core_tolerance=3.0,
)


def isolated(*elements: str) -> Frames:
    cells = [pod_data.alloy(np.random.default_rng(0), 1.0 if element == 'Au' else 0.0)[:1] for element in elements]
    return Frames.from_atoms([pod_data.labelled(cell) for cell in cells])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pod_data.training_frames(4).save(tmp_path / arrays_file('frames'))
    return tmp_path


def settings(**train: Any) -> dict[str, Any]:
    values = copy.deepcopy(TRAIN)
    values['settings'] = train
    return values


class TestSettings:
    def test_defaults(self, folder: Path) -> None:
        shared = read_inputs(settings(), folder, PodTrainer).shared
        for kind in (PodSettings, AceSettings):
            asked = kind(**shared)
            assert (asked.energy_weight, asked.force_weight, asked.stress_weight, asked.ridge) == (12.0, 1.0, None, None)
            assert (asked.elements, asked.cutoff, asked.core, asked.seed) == (('Cu', 'Au'), 4.5, True, 1)

    @pytest.mark.parametrize(
        ('given', 'found'),
        [
            ({'energy_weight': 'auto', 'stress_weight': 5, 'ridge': 1e-4}, (None, 5, 1e-4)),
            ({'energy_weight': 3.0, 'stress_weight': 0, 'ridge': 'auto'}, (3.0, 0, None)),
        ],
    )
    def test_auto_is_none(self, folder: Path, given: dict[str, Any], found: tuple[Any, ...]) -> None:
        shared = read_inputs(settings(**given), folder, PodTrainer).shared
        assert tuple(shared[name] for name in given) == found

    def test_the_checks_say_how_many_predictions_are_kept(self, folder: Path) -> None:
        shared = read_inputs(
            settings(checks={'compared_frames': 4}, core_repulsion=False, force_weight=2), folder, PodTrainer
        ).shared
        assert (shared['n_predictions'], shared['core'], shared['force_weight']) == (4, False, 2)

    def test_of_a_trainer_that_starts_from_such_a_fit(self, folder: Path) -> None:
        given = settings(trainer='mlip_autopipe.pacemaker', cutoff=5.0, linear={'ridge': 1e-4})
        assert read_inputs(given, folder, AceTrainer).shared['ridge'] == 1e-4
        with pytest.raises(
            InputError, match=r"train.trainer: got 'mlip_autopipe.pacemaker'; this stage fits with mlip_autopipe.pod"
        ):
            read_inputs(given, folder, PodTrainer)

    def test_a_mistake(self, folder: Path) -> None:
        with pytest.raises(InputError, match='ridge: got 3'):
            read_inputs(settings(ridge=3), folder, PodTrainer)


class TestReferences:
    def test_they_may_be_missing(self, folder: Path) -> None:
        assert read_inputs(settings(), folder, PodTrainer).references == {}

    def test_each_element_has_one(self, folder: Path) -> None:
        atoms = isolated('Au', 'Cu')
        atoms.save(folder / arrays_file('references'))
        found = read_inputs(settings(), folder, PodTrainer).references
        assert list(found.items()) == [('Cu', atoms.energy[1]), ('Au', atoms.energy[0])], 'in the order of the elements'

    def test_one_of_them_cannot_be_missing(self, folder: Path) -> None:
        isolated('Cu').save(folder / arrays_file('references'))
        with pytest.raises(FitError, match=r"no labelled isolated atom of \['Au'\]"):
            read_inputs(settings(), folder, PodTrainer)

    def test_they_are_of_the_same_level_of_theory(self, folder: Path) -> None:
        isolated('Cu', 'Au').replace(fingerprint='pbe').save(folder / arrays_file('references'))
        with pytest.raises(FitError, match=r"labels of 2 levels of theory are never mixed in one fit: \['', 'pbe'\]"):
            read_inputs(settings(), folder, PodTrainer)


class TestReport:
    def test_every_number_of_the_fit(self, folder: Path) -> None:
        inputs = read_inputs(settings(), folder, PodTrainer)
        assert report_of(REPORT, inputs) == {
            'n_frames': 4,
            'n_rows': 12,
            'ridge': 1e-6,
            'weights': {'force': 1.0},
            'noise': {'force': 0.1},
            'log_evidence': {'S': 3.5},
            'n_determined': 7.5,
            'training_errors': {'energy_rmse': 0.001, 'force_rmse': 0.02},
            'held_out_errors': None,
            'held_out_groups': 'none',
            'stress_offset': 0.002,
            'core_tolerance': 3.0,
            'reference_energies': {},
        }

    def test_stresses_and_errors_that_were_held_out(self, folder: Path) -> None:
        errors = FitErrors(0.001, 0.02, 0.003)
        report = dataclasses.replace(REPORT, errors=errors, held_out=errors)
        found = report_of(report, read_inputs(settings(), folder, PodTrainer))
        assert (
            found['training_errors']
            == found['held_out_errors']
            == {
                'energy_rmse': 0.001,
                'force_rmse': 0.02,
                'stress_rmse': 0.003,
            }
        )

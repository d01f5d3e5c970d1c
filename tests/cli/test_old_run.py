"""A run that was made before `engines/` (commit c64d71e): its nodes load, and the commands still tell and export it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NotRequired, get_origin, get_type_hints

import pytest
from aiida import orm
from aiida.tools import delete_nodes
from aiida.tools.archive import import_archive

from aiida_mlip_autopipe.common.reports import ExploreReport, LabelReport, RoundEntry, TrainReport
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData

ARCHIVE = Path(__file__).parents[1] / 'fixtures' / 'archives' / 'run_before_engines.aiida'
N_LABELS = 22
CHAIN = 'aiida.workflows:mlip_autopipe.active_learning'


@pytest.fixture(scope='module')
def old_run(aiida_profile: Any) -> Iterator[orm.WorkChainNode]:
    group = orm.Group('run before engines').store()
    import_archive(ARCHIVE, group=group)
    yield next(node for node in group.nodes if node.process_type == CHAIN)
    delete_nodes([node.pk for node in group.nodes], dry_run=False)  # its labels would be reused by others
    orm.Group.collection.delete(group.pk)


def test_status_tells_what_it_told(run_cli: Any, old_run: orm.WorkChainNode) -> None:
    result = run_cli('status', old_run.pk)
    assert result.exit_code == 0, result.output
    assert 'stopped because: budget_exhausted' in result.output
    assert f'labels bought: {N_LABELS}' in result.output
    assert 'train     12 frames' in result.output


def test_report_and_exports(run_cli: Any, old_run: orm.WorkChainNode, tmp_path: Path) -> None:
    page, folder = tmp_path / 'report.html', tmp_path / 'potential'
    for arguments in (
        ('report', old_run.pk, '--output', page),
        ('export', old_run.pk, '--db', tmp_path / 'train.db', '--extxyz', tmp_path / 'train.xyz', '--potential', folder),
    ):
        result = run_cli(*arguments)
        assert result.exit_code == 0, result.output
    assert 'budget_exhausted' in page.read_text(encoding='utf-8')
    assert (folder / 'in.potential').exists()


@pytest.mark.parametrize(
    ('process', 'kind'),
    [
        ('summarize_round', RoundEntry),
        ('summarize_training', TrainReport),
        ('summarize_exploration', ExploreReport),
        ('LabelAseCalculation', LabelReport),
    ],
)
def test_its_reports_have_the_keys_that_are_required(old_run: orm.WorkChainNode, process: str, kind: type) -> None:
    hints = get_type_hints(kind, include_extras=True)
    required = {name for name, hint in hints.items() if get_origin(hint) is not NotRequired}
    calls = [node for node in old_run.called_descendants if node.process_label == process and node.is_finished_ok]
    assert calls
    for node in calls:
        found = set((node.outputs.report if 'report' in node.outputs else node.outputs.result).get_dict())
        assert required <= found
        assert found <= set(hints)


def test_its_nodes_are_what_they_were(old_run: orm.WorkChainNode, tmp_path: Path) -> None:
    frames, potential = old_run.outputs.frames, old_run.outputs.potential
    assert isinstance(frames, FramesData)
    assert isinstance(potential, PotentialData)
    assert len(frames.frames) == N_LABELS
    calculator = potential.ase_calculator(tmp_path)
    atoms = old_run.outputs.train_frames.frames.atoms(0)
    atoms.calc = calculator
    label = float(old_run.outputs.train_frames.frames.energy[0])
    assert atoms.get_potential_energy() == pytest.approx(label, abs=0.02 * len(atoms))

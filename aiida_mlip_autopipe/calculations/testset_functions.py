"""Calcfunctions of the test set: its two parts are chosen, and what was labelled for it is told apart from training."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.common.reports import TrajectoryEntry
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.testset import Limits, candidates, choose, choose_md, compositions, md_starts, temperatures_of

NO_TEST_SET = 410
"""Exit status where a test set cannot be made, or nothing of it was labelled."""


@calcfunction
def make_test_set(
    training: FramesData, drawn: FramesData, limits: orm.Dict, count: orm.Int, seed: orm.Int
) -> dict[str, orm.Data] | ExitCode:
    """Return the frames to label as test set, and as `bases` the structures that MD for its second part starts from.

    :param training: the pool that training frames are chosen from.
    :param drawn: frames that the same settings gave with another seed.
    :param limits: as :class:`Limits`.
    """
    rng = np.random.default_rng(seed.value)
    found = candidates(training.frames, drawn.frames, limits=Limits(**limits.get_dict()), rng=rng)
    if not len(found.frames):
        return ExitCode(NO_TEST_SET, 'none of the structures made for it is sane')
    try:
        chosen = choose(found.cells, found.frames.lineage.tolist(), count.value, rng)
    except InputError as error:
        return ExitCode(NO_TEST_SET, f'loop.test_labels: got {count.value}; {error}')
    bases = {'bases': FramesData(found.bases)} if len(found.bases) else {}
    return {'frames': FramesData(found.frames.take(chosen)), **bases}


@calcfunction
def part_labels(labelled: FramesData, test: FramesData) -> dict[str, FramesData] | ExitCode:
    """Return the labelled frames as `references` (isolated atoms), `test` and `train`; an empty part is left out.

    :param test: the frames that were to be labelled for the test set.
    """
    frames = labelled.frames
    is_reference = frames.config_type == ISOLATED_ATOM
    is_test = np.isin(frames.uid, test.frames.uid)
    parts = {'references': is_reference, 'test': is_test & ~is_reference, 'train': ~is_test & ~is_reference}
    if not parts['test'].any():
        return ExitCode(NO_TEST_SET, f'none of the {len(test)} frames of the test set could be labelled')
    return {name: FramesData(frames.take(np.flatnonzero(rows))) for name, rows in parts.items() if rows.any()}


@calcfunction
def pick_md_starts(bases: FramesData, settings: orm.Dict, seed: orm.Int) -> FramesData:
    """Return the start structures of MD for the test set.

    :param settings: as `Explorer`.
    """
    return FramesData(
        md_starts(
            bases.frames,
            count=settings['starts'],
            supercell=tuple(settings['supercell']),
            max_atoms=settings['max_atoms'],
            rng=np.random.default_rng(seed.value),
        )
    )


@calcfunction
def choose_md_frames(shares: orm.List, limits: orm.Dict, seed: orm.Int, **parts: orm.Data) -> dict[str, orm.Data]:
    """Return the frames of MD to label for the test set, where there are any, and a report of each temperature.

    :param shares: pairs of a temperature, K, and the number of frames wanted there.
    :param parts: of each job its report `report_…` where it has one, and its samples `samples_…`.
    """
    wanted = {float(temperature): int(count) for temperature, count in shares.get_list()}
    samples = Frames.concatenate([parts[name].frames for name in sorted(parts) if name.startswith('samples_')])
    reports = [parts[name] for name in sorted(parts) if name.startswith('report_')]
    runs: list[TrajectoryEntry] = [run for report in reports for run in report['trajectories']]
    chosen = choose_md(samples, wanted, limits=Limits(**limits.get_dict()), rng=np.random.default_rng(seed.value))
    found = Counter(temperatures_of(chosen).tolist())
    report = {
        'temperatures': [_told(temperature, count, found[temperature], runs) for temperature, count in wanted.items()],
        'compositions': dict(Counter(compositions(chosen))),
    }
    return {'report': orm.Dict(report), **({'frames': FramesData(chosen)} if len(chosen) else {})}


def _told(temperature: float, wanted: int, found: int, runs: list[TrajectoryEntry]) -> dict[str, Any]:
    own = [run for run in runs if run['temperature'] == temperature]
    reasons = Counter(run['reason'] for run in own)
    return {'temperature': temperature, 'wanted': wanted, 'n_frames': found, 'n_trajectories': len(own), 'reasons': dict(reasons)}

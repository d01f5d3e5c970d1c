"""What a label costs on top of `pw.x`, in batches and one by one: `python -m tests.benchmarks.label [--quick]` from the root.

A profile of its own in a temporary folder (SQLite, ZeroMQ broker, daemon with one worker). The same frames go first through one
`LabelWorkChain` with one job, then through one `PwBaseWorkChain` each, all submitted at once. The overhead of either is the wall
time from the first submission to the end of the last process, less the sum of the `pw.x` times that the batch job measured, where
one runs after the other. Runs of the work chains go side by side where the daemon lets them, which this definition counts in
their favour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from aiida import load_profile, orm
from aiida.engine import submit
from aiida_pseudo.groups.family import PseudoPotentialFamily
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_mlip_autopipe.calculations.pw_inputs import pw_inputs
from aiida_mlip_autopipe.calculations.spec import job_options
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from aiida_mlip_autopipe.workflows.pseudos import theory_inputs
from tests.benchmarks.figures import Figure, say
from tests.pw_data import strained_aluminium

PSEUDO = Path('/usr/share/espresso/pseudo/Al.pz-vbc.UPF')
FAMILY = 'mlip-demo-lda'
SETTINGS = {
    'pseudo_family': FAMILY,
    'cutoff_wfc': 12,
    'kpoints_distance': 0.6,
    'max_concurrent': 1,
    'reuse': False,
    'outlier_zscore': None,
}
FULL, QUICK = 100, 2
POLL = 0.2
"""s between looks at the processes."""

PATIENCE = 3600.0
"""s, after which something is broken."""


@dataclass(frozen=True)
class Arm:
    """One way of labelling: wall time (s), nodes that it made, energies (eV), and where measured the time of all runs (s)."""

    wall: float
    nodes: int
    energies: Sequence[float]
    pw: float = 0.0


def main() -> None:
    """Measure in a profile that exists only for this."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help=f'{QUICK} frames: only shows that the script works')
    parser.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if shutil.which('pw.x') is None:
        say('not measured: pw.x is not installed (apt-get install quantum-espresso)')
        return
    if options.inside:
        measure(QUICK if options.quick else FULL)
        return
    with tempfile.TemporaryDirectory(prefix='label_') as folder:
        programs = Path(sys.executable).parent
        path = os.pathsep.join([str(programs), os.environ['PATH']])
        environment = {**os.environ, 'AIIDA_PATH': folder, 'OMP_NUM_THREADS': '1', 'PATH': path}
        try:
            prepare(environment)
            subprocess.run([sys.executable, *sys.orig_argv[1:], '--inside'], env=environment, check=True)
        finally:
            subprocess.run(
                ['verdi', 'daemon', 'stop', '--timeout', '60'], env=environment, check=False, stdout=subprocess.DEVNULL
            )


def prepare(environment: dict[str, str]) -> None:
    """Make the profile as `setup_profile.sh` does, and start its daemon."""
    commands = (
        'verdi presto --use-zeromq --non-interactive --profile-name label',
        'verdi config set transport.task_retry_initial_interval 1',
        'verdi config set runner.poll.interval 1',
        f'mlip-auto setup --pseudo {PSEUDO}',
        'verdi daemon start 1 --timeout 60',
    )
    for command in commands:
        done = subprocess.run(command.split(), env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f'{command}: {done.stdout}{done.stderr}')


def measure(n_frames: int) -> None:
    """Run both arms and tell what was seen."""
    load_profile()
    frames = Frames.from_atoms(strained_aluminium(n_frames))
    batch, single = batched(frames), one_by_one(frames)
    largest = np.abs(np.subtract(batch.energies, single.energies)).max()
    if largest > 1e-8:
        raise SystemExit(f'the labels are not the same: energies differ by up to {largest:g} eV')
    say(f'{n_frames} frames, {batch.pw:.1f} s of pw.x; load of the machine {os.getloadavg()[1]:.1f}')
    say(f'batched: {batch.wall:.1f} s, {batch.nodes} nodes; one by one: {single.wall:.1f} s, {single.nodes} nodes')
    ours, theirs = ((arm.wall - batch.pw) / n_frames for arm in (batch, single))
    say('')
    for figure in (
        Figure('batched: s per label on top of pw.x', ours, 0.1),
        Figure('batched: nodes per label', batch.nodes / n_frames, 0.2),
        Figure('one by one: s per label on top of pw.x', theirs),
        Figure('one by one: nodes per label', single.nodes / n_frames),
        Figure('overhead one by one / batched', theirs / ours, 20.0, is_lower_bound=True),
    ):
        say(figure.line())


def batched(frames: Frames) -> Arm:
    """Return what one `LabelWorkChain` with one job costs."""
    before, start = count(), time.perf_counter()
    config = DFTConfig.model_validate({**SETTINGS, 'frames_per_job': len(frames)})
    chain = submit(
        LabelWorkChain,
        code=orm.load_code('pw@localhost'),
        worker_code=orm.load_code('mlip-worker@localhost'),
        frames=FramesData(frames),
        settings=orm.Dict(config.model_dump()),
        **theory_inputs(config, ['Al']),
    )
    wait([chain])
    wall = time.perf_counter() - start
    if not chain.is_finished_ok:
        raise SystemExit(f'the batch failed: {chain.exit_message}')
    (job,) = [node for node in chain.called if isinstance(node, orm.CalcJobNode)]
    report = json.loads(job.outputs.retrieved.base.repository.get_object_content(files.REPORT))
    seconds = sum(run['seconds'] for run in report['runs'])
    return Arm(wall, count() - before, chain.outputs.labelled.frames.energy.tolist(), seconds)


def one_by_one(frames: Frames) -> Arm:
    """Return what one `PwBaseWorkChain` for each frame costs."""
    family = PseudoPotentialFamily.collection.get(label=FAMILY)
    config = DFTConfig.model_validate(SETTINGS)
    valence = {element: pseudo.z_valence for element, pseudo in family.pseudos.items()}
    # Made before the clock starts: only the work chains are measured.
    prepared = [pw_inputs(atoms, config, valence) for atoms in frames]
    before, start = count(), time.perf_counter()
    chains = []
    for inputs in prepared:
        builder = PwBaseWorkChain.get_builder()
        builder.pw.code = orm.load_code('pw@localhost')
        builder.pw.pseudos = {'Al': family.pseudos['Al']}
        builder.pw.structure, builder.pw.parameters = inputs.structure, inputs.parameters
        builder.kpoints = inputs.kpoints
        builder.pw.metadata.options = job_options({})
        chains.append(submit(builder))
    wait(chains)
    wall = time.perf_counter() - start
    failed = [chain.pk for chain in chains if not chain.is_finished_ok]
    if failed:
        raise SystemExit(f'work chains failed: {failed}')
    return Arm(wall, count() - before, [chain.outputs.output_parameters['energy'] for chain in chains])


def count() -> int:
    """Return the number of nodes in the database."""
    return orm.QueryBuilder().append(orm.Node).count()


def wait(processes: Sequence[orm.ProcessNode]) -> None:
    """Return when all have ended."""
    end = time.monotonic() + PATIENCE
    while not all(process.is_terminated for process in processes):
        if time.monotonic() > end:
            raise SystemExit(f'not finished after {PATIENCE:g} s')
        time.sleep(POLL)


if __name__ == '__main__':
    main()

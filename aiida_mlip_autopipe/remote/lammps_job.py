"""The files through which `engine` and the child process that runs LAMMPS talk: a job, its frames, a result or an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
from ase import Atoms

from aiida_mlip_autopipe.common import errors
from aiida_mlip_autopipe.common.errors import EngineError, MlipError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.pod import ZblCore
from aiida_mlip_autopipe.common.simulation import Averages
from aiida_mlip_autopipe.science.ace.fit import AceFit, AceSettings
from aiida_mlip_autopipe.science.checks.nve import NveSettings
from aiida_mlip_autopipe.science.evaluate import Evaluation
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.linear.fit import FitErrors
from aiida_mlip_autopipe.science.linear.posterior import Spread
from aiida_mlip_autopipe.science.linear.search import FitReport
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, StopReason
from aiida_mlip_autopipe.science.pod.fit import PodFit, PodSettings
from aiida_mlip_autopipe.science.select.d_optimal import AtomRows
from aiida_mlip_autopipe.science.simulate import Simulated

Settings = TypeVar('Settings', PodSettings, AceSettings)

JOB: Final = 'job.json'
FRAMES: Final = 'frames.npz'
VALUES: Final = 'result.json'
ARRAYS: Final = 'result.npz'
FAILURE: Final = 'error.json'


class Task(StrEnum):
    """What the child process is to do."""

    FEATURES = 'features'
    ATOM_ROWS = 'atom_rows'
    FIT_POD = 'fit_pod'
    FIT_ACE = 'fit_ace'
    MD = 'md'
    EVALUATE = 'evaluate'
    SPREAD = 'spread'
    NVE = 'nve'
    SIMULATE = 'simulate'


@dataclass(frozen=True)
class Packet:
    """A result as it travels: values for JSON, arrays for npz."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def write(self, exchange: Path) -> None:
        """Write the packet into the exchange folder."""
        with (exchange / ARRAYS).open('wb') as handle:
            np.savez(handle, **self.arrays)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`
        (exchange / VALUES).write_text(json.dumps(self.values), encoding='utf-8')

    @classmethod
    def read(cls, exchange: Path) -> Packet:
        """Return the packet in the exchange folder.

        :raises EngineError: the child process ended without a result.
        """
        try:
            values = json.loads((exchange / VALUES).read_text(encoding='utf-8'))
            with np.load(exchange / ARRAYS, allow_pickle=False) as stored:
                return cls(values, {name: stored[name] for name in stored.files})
        except (OSError, ValueError) as error:
            raise EngineError(f'the LAMMPS process ended without a readable result: {error}') from error


def write_failure(exchange: Path, error: MlipError) -> None:
    """Write an error that is meant for the user."""
    text = json.dumps({'type': type(error).__name__, 'message': str(error)})
    (exchange / FAILURE).write_text(text, encoding='utf-8')


def read_failure(exchange: Path) -> MlipError | None:
    """Return the error that the child process wrote, or None."""
    path = exchange / FAILURE
    if not path.exists():
        return None
    stored = json.loads(path.read_text(encoding='utf-8'))
    kind = getattr(errors, stored['type'], EngineError)
    return kind(stored['message']) if issubclass(kind, MlipError) else EngineError(stored['message'])


def pack_potential(potential: LammpsPotential) -> dict[str, Any]:
    """Return a potential as JSON values."""
    path = potential.active_set
    return {**dataclasses.asdict(potential), 'active_set': str(path) if path is not None else None}


def unpack_potential(values: Mapping[str, Any]) -> LammpsPotential:
    """Return the potential of :func:`pack_potential`."""
    return LammpsPotential(
        elements=tuple(values['elements']),
        pair_lines=tuple(values['pair_lines']),
        cutoff=values['cutoff'],
        grade_lines=tuple(values['grade_lines']),
        active_set=Path(values['active_set']) if values['active_set'] else None,
        engine=values['engine'],
        energy_shift=values['energy_shift'],
    )


def unpack_fit_settings(values: Mapping[str, Any], kind: type[Settings]) -> Settings:
    """Return the settings of a fit from their JSON values."""
    return kind(**{**values, 'elements': tuple(values['elements'])})


def unpack_md_settings(values: Mapping[str, Any]) -> MdSettings:
    """Return the settings of a run from their JSON values."""
    return MdSettings(**{**values, 'volume_window': tuple(values['volume_window'])})


def unpack_nve_settings(values: Mapping[str, Any]) -> NveSettings:
    """Return the settings of a run at constant energy from their JSON values."""
    return NveSettings(**values)


def pack_fit(fit: PodFit | AceFit) -> Packet:
    """Return a fit as it travels."""
    values = dataclasses.asdict(fit)
    del values['coefficients']
    return Packet(values, {'coefficients': fit.coefficients})


def unpack_pod_fit(packet: Packet) -> PodFit:
    """Return the fit of :func:`pack_fit`."""
    values, core = _fit_values(packet), packet.values['core']
    return PodFit(**{**values, 'core': ZblCore(**core) if core is not None else None})


def unpack_ace_fit(packet: Packet) -> AceFit:
    """Return the fit of :func:`pack_fit`."""
    return AceFit(**_fit_values(packet))


def _fit_values(packet: Packet) -> dict[str, Any]:
    report = dict(packet.values['report'])
    for name in ('errors', 'held_out'):
        report[name] = FitErrors(**report[name]) if report[name] is not None else None
    return {**packet.values, 'report': FitReport(**report), 'coefficients': packet.arrays['coefficients']}


def pack_md(result: MdResult) -> Packet:
    """Return a run as it travels; all its frames have the same atoms."""
    values = {
        'stop': result.stop.value,
        'message': result.message,
        'steps_done': result.steps_done,
        'n_selected': result.n_selected,
        'n_candidates': len(result.candidates),
    }
    arrays = {f'trace_{name}': column for name, column in vars(result.trace).items()}
    frames = [*result.candidates, *result.before_failure]
    if frames:
        arrays['numbers'] = frames[0].numbers
        arrays['positions'] = np.array([frame.positions for frame in frames])
        arrays['cells'] = np.array([frame.cell.array for frame in frames])
        arrays['gamma'] = np.array([frame.arrays['gamma'] for frame in frames])
        arrays['gamma_max'] = np.array([frame.info['gamma_max'] for frame in frames])
        arrays['step'] = np.array([frame.info['step'] for frame in frames])
    return Packet(values, arrays)


def unpack_md(packet: Packet) -> MdResult:
    """Return the run of :func:`pack_md`."""
    arrays, values = packet.arrays, packet.values
    frames = []
    for index in range(len(arrays.get('step', ()))):
        frame = Atoms(numbers=arrays['numbers'], positions=arrays['positions'][index], cell=arrays['cells'][index], pbc=True)
        frame.info.update(gamma_max=float(arrays['gamma_max'][index]), step=int(arrays['step'][index]))
        frame.arrays['gamma'] = arrays['gamma'][index].copy()
        frames.append(frame)
    trace = MdTrace(**{name.removeprefix('trace_'): column for name, column in arrays.items() if name.startswith('trace_')})
    n_candidates = values['n_candidates']
    return MdResult(
        candidates=frames[:n_candidates],
        stop=StopReason(values['stop']),
        message=values['message'],
        steps_done=values['steps_done'],
        n_selected=values['n_selected'],
        trace=trace,
        before_failure=frames[n_candidates:],
    )


def pack_evaluation(evaluation: Evaluation) -> Packet:
    """Return predictions as they travel."""
    return Packet({}, {name: column for name, column in vars(evaluation).items() if column is not None})


def unpack_evaluation(packet: Packet) -> Evaluation:
    """Return the predictions of :func:`pack_evaluation`."""
    columns = packet.arrays
    return Evaluation(columns['energy'], columns['forces'], columns['stress'], columns.get('gamma'))


def pack_atom_rows(rows: AtomRows) -> Packet:
    """Return descriptors of atoms as they travel."""
    return Packet({}, {name: np.asarray(column) for name, column in vars(rows).items()})


def unpack_atom_rows(packet: Packet) -> AtomRows:
    """Return the descriptors of :func:`pack_atom_rows`."""
    return AtomRows(**packet.arrays)


def pack_spread(spread: Spread) -> Packet:
    """Return the spread of predictions as it travels."""
    return Packet({}, {'energy': spread.energy, 'forces': spread.forces})


def unpack_spread(packet: Packet) -> Spread:
    """Return the spread of :func:`pack_spread`."""
    return Spread(packet.arrays['energy'], packet.arrays['forces'])


def pack_simulated(simulated: Sequence[Simulated]) -> Packet:
    """Return simulations as they travel."""
    averages = [one.averages.to_dict() for one in simulated]
    return Packet({'averages': averages}, dict(Frames.from_atoms(one.atoms for one in simulated).to_arrays()))


def unpack_simulated(packet: Packet) -> list[Simulated]:
    """Return the simulations of :func:`pack_simulated`."""
    frames = Frames.from_arrays(packet.arrays)
    return [Simulated(atoms, Averages(**values)) for atoms, values in zip(frames, packet.values['averages'], strict=True)]

"""Stage explore: one trajectory from each start; frames that the potential does not know come back as candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, uid_of
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.config.explore import InferenceConfig
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote import engine
from aiida_mlip_autopipe.remote.inputs import checked, read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.pod.md import MdResult, MdSettings

CONFIG_TYPE = 'md'
MAX_SEED = 2**31 - 1


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write candidates and traces and return one entry for each trajectory."""
    config = checked(InferenceConfig, settings['settings'])
    potential, starts = read_potential(folder), read_frames(folder, 'starts')
    rng = np.random.default_rng([settings['seed'], settings['round']])
    candidates: list[Atoms] = []
    traces: dict[str, FloatArray] = {}
    runs: list[dict[str, Any]] = []
    for index, start in enumerate(starts):
        conditions = _conditions(config, settings['temperature'], int(rng.integers(1, MAX_SEED)))
        try:
            result = engine.md(start, potential, conditions, potential_folder(folder))
        except (EngineError, InputError) as error:
            runs.append(_entry(start, conditions, None, str(error)))
            continue
        runs.append(_entry(start, conditions, result, result.message))
        candidates.extend(_candidate(frame, start, conditions, settings['round']) for frame in result.candidates)
        traces |= {f'{name}_{index}': column for name, column in _columns(result).items()}
    _write(folder, candidates, traces)
    return {'trajectories': runs}


def _conditions(config: InferenceConfig, temperature: float, seed: int) -> MdSettings:
    return MdSettings(
        temperature=temperature,
        pressure=None if config.pressure is None else config.pressure * GPA,
        steps=config.steps,
        timestep=config.timestep,
        check_interval=config.check_interval,
        gamma_select=config.gamma_select,
        gamma_halt=config.gamma_halt,
        max_candidates=config.max_candidates,
        seed=seed,
    )


def _entry(start: Atoms, conditions: MdSettings, result: MdResult | None, message: str) -> dict[str, Any]:
    gammas = result.trace.gamma_max if result is not None else np.zeros(0)
    finite = gammas[np.isfinite(gammas)]
    return {
        'start': start.info['uid'],
        'lineage': start.info['lineage'],
        'temperature': conditions.temperature,
        'seed': conditions.seed,
        'reason': result.stop.value if result is not None else 'error',
        'message': message,
        'steps_done': result.steps_done if result is not None else 0,
        'n_candidates': len(result.candidates) if result is not None else 0,
        'gamma_max': float(finite.max()) if len(finite) else None,
        'share_above_select': float((gammas > conditions.gamma_select).mean()) if len(gammas) else None,
    }


def _candidate(frame: Atoms, start: Atoms, conditions: MdSettings, loop_round: int) -> Atoms:
    """Return a frame of a trajectory as a structure of its own, with where it came from."""
    candidate = Atoms(numbers=frame.numbers, positions=frame.positions, cell=frame.cell, pbc=True)
    origin = {
        'strategy': CONFIG_TYPE,
        'temperature': conditions.temperature,
        'pressure': conditions.pressure,
        'seed': conditions.seed,
        'step': frame.info['step'],
        'gamma_max': frame.info['gamma_max'],
    }
    candidate.info = {
        'uid': uid_of(candidate),
        'lineage': start.info['lineage'],
        'parent': start.info['uid'],
        'config_type': CONFIG_TYPE,
        'round': loop_round,
        'origin': json.dumps(origin, sort_keys=True),
    }
    return candidate


def _columns(result: MdResult) -> dict[str, FloatArray]:
    trace = result.trace
    return {
        'step': trace.step.astype(np.float64),
        'gamma_max': trace.gamma_max,
        'temperature': trace.temperature,
        'energy': trace.potential_energy,
        'pressure': trace.pressure,
    }


def _write(folder: Path, candidates: list[Atoms], traces: dict[str, FloatArray]) -> None:
    if candidates:
        Frames.from_atoms(candidates).save(folder / arrays_file('candidates'))
    with (folder / arrays_file('trajectories')).open('wb') as handle:
        np.savez(handle, **traces)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`

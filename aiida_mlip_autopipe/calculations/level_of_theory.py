"""The level of theory of a label: what it is made of, which labels of this profile share it, and how two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm

from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.formats.espresso import QeResult

NAMES = ('cutoff_wfc', 'charge_cutoff', 'kpoints_distance', 'smearing', 'degauss', 'magnetic_moments', 'vdw_correction')


def theory_of(config: DFTConfig, pseudos: Mapping[str, str]) -> dict[str, Any]:
    """Return what of the level of theory is known before a calculation: all but the code version and the functional.

    :param pseudos: md5 of the pseudopotential of each element of the family.
    """
    return {
        'code': 'Quantum ESPRESSO pw.x',
        'pseudos': dict(sorted(pseudos.items())),
        'spin': 'polarised' if config.magnetic_moments else 'none',
        'isolated_atoms': 'spin-polarised',
        'hubbard': {element: shell.model_dump() for element, shell in config.hubbard.items()},
        **{name: getattr(config, name) for name in NAMES},
    }


def level_of_theory(config: DFTConfig, pseudos: Mapping[str, str], result: QeResult) -> dict[str, Any]:
    """Return what determines the numbers of a calculation.

    :param pseudos: md5 of the pseudopotential of each element of the family.
    """
    return {**theory_of(config, pseudos), 'code_version': result.code_version, 'functional': result.functional}


def recipe_of(config: DFTConfig, pseudos: Mapping[str, str], code: orm.InstalledCode) -> str:
    """Return the hash of a theory and the program that carries it out: labels of one recipe may stand in for each other."""
    return fingerprint_of({**theory_of(config, pseudos), 'program': f'{code.computer.label}:{code.filepath_executable}'})


def difference(levels: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in words where levels of theory differ, such as `degauss: 0.01 (a1b2…) or 0.02 (c3d4…)`.

    :param levels: level of theory by fingerprint, two or more.
    """
    flat = {name: _flat(level) for name, level in levels.items()}
    parts = []
    for key in sorted({key for level in flat.values() for key in level}):
        found = {name: level.get(key, 'not given') for name, level in flat.items()}
        if len({repr(value) for value in found.values()}) > 1:
            parts.append(f'{key}: ' + ' or '.join(f'{value} ({name})' for name, value in sorted(found.items())))
    return '; '.join(parts) or 'no recorded difference'


def known_difference(fingerprints: Iterable[str]) -> str:
    """Return :func:`difference` of fingerprints, as far as reports in this profile know what they stand for."""
    names = sorted(set(fingerprints))
    levels: dict[str, Mapping[str, Any]] = {}
    for name in names:
        query = orm.QueryBuilder().append(
            orm.Dict, filters={'attributes.levels_of_theory': {'has_key': name}}, project='attributes.levels_of_theory'
        )
        if found := query.first(flat=True):
            levels[name] = found[name]
    unknown = [name for name in names if name not in levels]
    parts = [difference(levels)] if len(levels) > 1 else []
    return '; '.join([*parts, *([f'nothing is recorded of {", ".join(unknown)}'] if unknown else [])])


def _flat(level: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in level.items():
        flat.update(_flat(value, f'{prefix}{key}.') if isinstance(value, Mapping) else {f'{prefix}{key}': value})
    return flat

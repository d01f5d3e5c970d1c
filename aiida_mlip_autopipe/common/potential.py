"""`PotentialRecord`: what is needed to use the files of a fitted potential, whatever engine made it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

from aiida_mlip_autopipe.common.errors import FormatError


@dataclass(frozen=True)
class PotentialRecord:
    """Description of a potential.

    :param engine: name of the trainer, such as `pod`.
    :param elements: chemical symbols in the order of LAMMPS's atom types.
    :param cutoff: Å.
    :param pair_lines: LAMMPS commands that load the potential; file names are relative to the folder of the potential.
    :param grade_lines: LAMMPS commands that give the extrapolation grade or the descriptors it is made from.
    :param reference_energies: eV, energy of the isolated atom of each element, contained in the total energies.
    :param fingerprint: level of theory of the training labels.
    :param active_set: name of the file of the active set, or empty.
    :param training_uuid: AiiDA uuid of the training frames, or empty.
    """

    engine: str
    elements: tuple[str, ...]
    cutoff: float
    pair_lines: tuple[str, ...]
    grade_lines: tuple[str, ...]
    reference_energies: dict[str, float]
    fingerprint: str
    active_set: str = ''
    training_uuid: str = ''

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record of a JSON text.

        :raises FormatError: not JSON, or a field is missing or unknown.
        """
        try:
            values = json.loads(text)
            for name in ('elements', 'pair_lines', 'grade_lines'):
                values[name] = tuple(values[name])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f'record of a potential cannot be read: {error}') from error

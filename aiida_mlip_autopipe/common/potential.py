"""`PotentialRecord`: what is needed to use the files of a fitted potential, whatever engine made it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from aiida_mlip_autopipe.common.errors import FormatError


def checksum_of(content: bytes) -> str:
    """Return the SHA-256 of the content of a file, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


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
    :param checksums: SHA-256 of each file that must be of the same fit as the others, by name.
    :param energy_shift: eV for each atom of an element, which the program that runs the potential does not know: to be added to
        its energies to get total energies; empty when the potential holds its reference energies itself.
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
    checksums: dict[str, str] = field(default_factory=dict)
    energy_shift: dict[str, float] = field(default_factory=dict)

    def foreign_files(self, contents: Mapping[str, bytes]) -> list[str]:
        """Return the names of the files that are missing or not of the fit that the checksums tie together."""
        return [name for name, known in self.checksums.items() if name not in contents or checksum_of(contents[name]) != known]

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

"""`PotentialData`: the files of one fitted potential and what is needed to use them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any, Self

from aiida import orm
from aiida.common.exceptions import EntryPointError, ValidationError
from aiida.plugins import DataFactory
from ase.calculators.calculator import Calculator

from aiida_mlip_autopipe.common.errors import FormatError, InputError, InstallationError
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.engines.lammps.engine import engine_of
from aiida_mlip_autopipe.engines.lammps.shifted import ShiftedLammps
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD


class PotentialData(orm.Data):
    """Files of a potential with the record that describes them; the record's fields are queryable attributes."""

    @classmethod
    def from_folder(cls, folder: Path, *, training_uuid: str = '') -> Self:
        """Return the unstored node of a folder that a trainer wrote.

        :param folder: holds the files of the potential and its record.
        :param training_uuid: AiiDA uuid of the training frames, kept in the record.
        :raises FormatError: the record is missing or unreadable.
        """
        try:
            text = (folder / POTENTIAL_RECORD).read_text(encoding='utf-8')
        except OSError as error:
            raise FormatError(f'the folder of the potential has no readable {POTENTIAL_RECORD}: {error}') from error
        record = PotentialRecord.from_json(text)
        if training_uuid:
            record = dataclasses.replace(record, training_uuid=training_uuid)
        node = cls()
        for path in sorted(folder.iterdir()):
            if path.name != POTENTIAL_RECORD:
                node.base.repository.put_object_from_file(path, path.name)
        node.base.attributes.set_many({**dataclasses.asdict(record), 'elements': list(record.elements)})
        return node

    @property
    def record(self) -> PotentialRecord:
        """The description of the potential."""
        stored = self.base.attributes.all
        # Optional fields that came later are not among the attributes of older nodes.
        values: dict[str, Any] = {f.name: stored[f.name] for f in dataclasses.fields(PotentialRecord) if f.name in stored}
        for name in ('elements', 'pair_lines', 'grade_lines'):
            values[name] = tuple(values[name])
        return PotentialRecord(**values)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols in the order of LAMMPS's atom types."""
        return list(self.base.attributes.get('elements'))

    def lammps_lines(self, *, grade: bool = False, folder: Path | None = None) -> list[str]:
        """Return the LAMMPS commands that load the potential.

        :param grade: with the commands that the extrapolation grade is made from.
        :param folder: where its files lie; the working directory of LAMMPS when None.
        """
        record = self.record
        lines = [*record.pair_lines, *(record.grade_lines if grade else ())]
        if folder is None:
            return lines
        paths = {name: f'"{folder.resolve() / name}"' for name in self.base.repository.list_object_names()}
        return [' '.join(paths.get(word, word) for word in line.split()) for line in lines]

    def write(self, folder: Path) -> list[Path]:
        """Write the files and the record into `folder`, which is made when missing; return what was written."""
        folder.mkdir(parents=True, exist_ok=True)
        names = self.base.repository.list_object_names()
        for name in names:
            (folder / name).write_bytes(self.base.repository.get_object_content(name, mode='rb'))
        (folder / POTENTIAL_RECORD).write_text(self.record.to_json(), encoding='utf-8')
        return [folder / name for name in [*names, POTENTIAL_RECORD]]

    def lammps_files(self) -> dict[str, orm.SinglefileData]:
        """Return new nodes of the files that the LAMMPS commands name, for the input `files` of aiida-lammps's `lammps.raw`."""
        words = {word for line in self.record.pair_lines for word in line.split()}
        names = [name for name in self.base.repository.list_object_names() if name in words]
        return {name: orm.SinglefileData.from_bytes(self._content(name), filename=name) for name in names}

    def lammps_potential_data(self) -> orm.SinglefileData:
        """Return a `LammpsPotentialData`, for aiida-lammps's `lammps.base`, `lammps.relax` and `lammps.md`.

        They write `pair_coeff * * FILE elements` by themselves, so that the potential must be one file of a pair style that they
        know: an ACE potential. Its energies lack the record's `energy_shift`, which no force and no stress feels.

        :raises InputError: it is no such potential; `lammps.raw` runs it, with the lines and files of this node.
        :raises InstallationError: aiida-lammps is missing.
        """
        try:
            kind = DataFactory('lammps.potential')
        except EntryPointError as error:
            raise InstallationError(
                'aiida-lammps is missing; install it with: pip install "aiida-mlip-autopipe[lammps]"'
            ) from error
        style, files = self.record.pair_lines[0].split()[1:], self.lammps_files()
        is_single = len(self.record.pair_lines) == 2 and len(files) == 1 and style[0] in kind.default_potential_info
        if not is_single or 'hybrid' in style[0]:
            raise InputError(
                f"the pair style {' '.join(style)} with {len(files)} files does not fit aiida-lammps's LammpsPotentialData, "
                'which takes one file of a style that it knows; run it with lammps.raw, from lammps_lines() and lammps_files()'
            )
        ((name, _),) = files.items()
        details = {'pair_style': style[0], 'species': self.elements, 'atom_style': 'atomic', 'units': 'metal'}
        properties = {key: value for key, value in vars(kind).items() if isinstance(value, property)}
        try:
            return kind.get_or_create(io.BytesIO(self._content(name)), filename=name, **details)
        finally:  # aiida-lammps 1.0.2 writes the values over the properties of its class, so that all nodes would have them
            for key, value in properties.items():
                setattr(kind, key, value)

    def ase_calculator(self, folder: Path, command: str | None = None) -> Calculator:
        """Return an ASE calculator; its energies are total energies.

        :param folder: where the files of the potential are written to.
        :param command: starts LAMMPS, such as `lmp`, which then runs as a program of its own; None: pyace in this process, for
            an ACE potential.
        :raises InputError: no command, and no ACE potential.
        """
        self.write(folder)
        if command is None:
            calculator = engine_of(self.record.engine).calculator
            if calculator is None:
                raise InputError(f'command: missing; a potential of the engine {self.record.engine} runs in LAMMPS alone')
            return calculator(folder, self.record.energy_shift)
        commands = [line.split(maxsplit=1) for line in self.lammps_lines(folder=folder)]
        return ShiftedLammps(
            energy_shift=self.record.energy_shift,
            command=command,
            specorder=self.elements,
            pair_style=next(rest for name, rest in commands if name == 'pair_style'),
            pair_coeff=[rest for name, rest in commands if name == 'pair_coeff'],
        )

    def _validate(self) -> bool:
        """Refuse to be stored without elements or without a file that the record names."""
        super()._validate()
        if not self.base.attributes.get('elements', None):
            raise ValidationError('a potential without elements cannot be matched to a structure')
        active_set = self.base.attributes.get('active_set')
        if active_set and active_set not in self.base.repository.list_object_names():
            raise ValidationError(f'the record names the active set {active_set}, which is not among the files')
        foreign = self.record.foreign_files(self._contents())
        if foreign:
            raise ValidationError(f'files {foreign} are not of the fit that the record describes: their checksums differ')
        return True

    def _contents(self) -> dict[str, bytes]:
        return {name: self._content(name) for name in self.base.repository.list_object_names()}

    def _content(self, name: str) -> bytes:
        return self.base.repository.get_object_content(name, mode='rb')

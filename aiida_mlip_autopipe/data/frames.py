"""`FramesData`: an ordered set of structures with labels and origin in one node."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final, Self
from zipfile import BadZipFile

from aiida import orm
from aiida.common.exceptions import ValidationError
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.files import arrays_file

FRAMES: Final = arrays_file('frames')


class FramesData(orm.Data):
    """The columns of :class:`~aiida_mlip_autopipe.common.frames.Frames` in one file, with a few queryable attributes.

    One file, because AiiDA opens its repository anew for each file that it stores, hashes or reads.
    Attributes: `n_frames`, `n_labelled`, `elements`, `config_types`, `fingerprints`, `rounds`.
    """

    def __init__(self, frames: Frames | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if frames is not None:
            self.set_frames(frames)

    @classmethod
    def from_atoms(cls, structures: Iterable[Atoms]) -> Self:
        """Return the unstored node of ASE structures; see :meth:`Frames.from_atoms`."""
        return cls(Frames.from_atoms(structures))

    def set_frames(self, frames: Frames) -> None:
        """Take over the columns of `frames`, which are valid by construction."""
        buffer = io.BytesIO()
        frames.write(buffer)
        buffer.seek(0)
        self.base.repository.put_object_from_filelike(buffer, FRAMES)
        self.base.attributes.set_many(
            {
                'n_frames': len(frames),
                'n_labelled': int(frames.labelled.sum()),
                'elements': frames.elements,
                'config_types': sorted(set(frames.config_type.tolist()) - {''}),
                'fingerprints': sorted(set(frames.fingerprint.tolist()) - {''}),
                'rounds': sorted(set(frames.round.tolist())),
            }
        )

    @property
    def frames(self) -> Frames:
        """The columns as stored.

        :raises InvalidFramesError: the file is missing or no `.npz`, the columns contradict each other or hold a number that is
            not finite.
        """
        try:
            return Frames.load(io.BytesIO(self.base.repository.get_object_content(FRAMES, mode='rb')))
        except (FileNotFoundError, ValueError, BadZipFile, EOFError) as error:
            raise InvalidFramesError(f'{FRAMES} cannot be read: {error}') from error

    def __len__(self) -> int:
        return int(self.base.attributes.get('n_frames', 0))

    def _validate(self) -> bool:
        """Refuse to be stored with columns that are no valid frames."""
        super()._validate()
        try:
            found = self.frames
        except InvalidFramesError as error:
            raise ValidationError(f'not valid frames: {error}') from error
        if len(found) != len(self):
            raise ValidationError(f'attribute n_frames is {len(self)}, the columns hold {len(found)} frames')
        return True

"""`FramesData`: an ordered set of structures with labels and origin in one node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from aiida import orm
from aiida.common.exceptions import ValidationError
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames


class FramesData(orm.ArrayData):
    """The columns of :class:`~aiida_mlip_autopipe.common.frames.Frames`, one array each, with a few queryable attributes.

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
        for name, column in frames.to_arrays().items():
            self.set_array(name, column)
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

        :raises InvalidFramesError: the columns contradict each other or hold a number that is not finite.
        """
        return Frames.from_arrays({name: self.get_array(name) for name in self.get_arraynames()})

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

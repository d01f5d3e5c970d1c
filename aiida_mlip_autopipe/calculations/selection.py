"""`SelectCalculation`: which candidates are worth a label, and why the others are not."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.datastructures import CalcInfo
from aiida.common.folders import Folder

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.files import MODEL


class SelectCalculation(WorkerCalculation):
    """Geometric sanity, duplicates, the window of what a surrogate predicts, then the most different ones within the budget."""

    STAGE = 'select'
    PARSER = 'mlip_autopipe.select'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('frames', valid_type=FramesData, help='Candidates; positions and cells in Å.')
        spec.input(
            'known', valid_type=FramesData, required=False, help='Structures that are labelled already (Å): none is bought twice.'
        )
        spec.input(
            'model',
            valid_type=orm.SinglefileData,
            required=False,
            help='MACE model file (eV, Å); in its place `settings` may name a path on the compute machine or a foundation model.',
        )
        spec.input(
            'potential',
            valid_type=PotentialData,
            required=False,
            help='Newest potential: a selector may look at the descriptors of atoms that it is made of.',
        )
        spec.input('train', valid_type=FramesData, required=False, help='Frames (Å) that the potential was fitted to.')
        spec.input('budget', valid_type=orm.Int, help='Largest number of frames to select, dimensionless.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.inputs['settings'].help = 'Selection settings, as `SelectionConfig`: cutoff in Å, angles in degrees.'
        spec.output(
            'pool',
            valid_type=FramesData,
            required=False,
            help='After pre-exploration: the candidates and the ends of their walks (Å); `selection` refers to it then.',
        )
        spec.output(
            'selection',
            valid_type=orm.ArrayData,
            required=False,
            help='`indices`: selected frames, in the order of their choice; `reasons`: why each frame was rejected, or empty.',
        )
        spec.exit_code(211, 'ERROR_MODEL_REFUSED', message='{message}')
        spec.exit_code(212, 'ERROR_ELEMENT_UNKNOWN', message='{message}')
        spec.exit_code(402, 'ERROR_NO_GPU', message='{message}', invalidates_cache=True)
        spec.exit_code(403, 'ERROR_DOWNLOAD_FAILED', message='{message}', invalidates_cache=True)
        spec.exit_code(420, 'ERROR_NOTHING_SELECTED', message='None of {n_frames} candidates was selected: {reasons}')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the inputs of the stage, the model among them."""
        info = super().prepare_for_submission(folder)
        if 'model' in self.inputs:
            with self.inputs.model.open(mode='rb') as source:
                folder.create_file_from_filelike(source, MODEL, mode='wb')
            info.provenance_exclude_list.append(MODEL)
        return info

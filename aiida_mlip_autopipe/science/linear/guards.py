"""Training sets that nothing can be learnt from, and fits that make no sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FitError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames

FORCE_FLOOR: Final = 0.05
"""eV/Å of error that is never called insane, for training sets of perfect crystals without forces."""


def require_trainable(frames: Frames, references: Mapping[str, float], elements: Sequence[str]) -> None:
    """Check labels, elements and reference energies of a training set.

    :param references: eV, energy of the isolated atom of each element; none at all is allowed.
    :raises FitError: no frames, a frame without labels, or an element without training atoms.
    :raises InputError: an element without a finite reference energy.
    """
    if len(frames) == 0:
        raise FitError('the training set holds no frame')
    if not frames.labelled.all():
        raise FitError(f'frame {int(np.argmin(frames.labelled))} of the training set has no energy and forces')
    if unseen := [element for element in elements if element not in frames.elements]:
        raise FitError(f'elements {unseen} do not occur in the training set, which has {frames.elements}')
    if references and (lacking := [element for element in elements if not np.isfinite(references.get(element, np.nan))]):
        raise InputError(f'elements {lacking} have no isolated-atom energy; found {sorted(references)}')


def require_sane(coefficients: FloatArray, force_rmse: float, force_rms: float) -> None:
    """Check the outcome of a fit.

    :param force_rmse: eV/Å, training error.
    :param force_rms: eV/Å, root mean square of the labels.
    :raises FitError: a coefficient is not finite, or the forces are worse than forces of zero.
    """
    if not np.isfinite(coefficients).all():
        raise FitError(f'coefficient {int(np.argmin(np.isfinite(coefficients)))} of the fit is not finite')
    limit = max(force_rms, FORCE_FLOOR)
    if not force_rmse <= limit:
        raise FitError(
            f'the training forces are off by {force_rmse:.3g} eV/Å (rms), more than the forces themselves, {force_rms:.3g} eV/Å'
        )

from pathlib import Path
from typing import NamedTuple

import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.fit import PodFit, PodSettings, fit_pod
from tests import pod_data


class Fitted(NamedTuple):
    frames: Frames
    fit: PodFit
    potential: LammpsPotential

    @property
    def folder(self) -> Path:
        return self.potential.active_set.parent


@pytest.fixture(scope='package')
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pod')
    frames = pod_data.training_frames(40)
    fit = fit_pod(frames, pod_data.REFERENCES, PodSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF), folder)
    return Fitted(frames, fit, pod_data.potential_of(fit, folder))

"""The surrogate that a selection runs with: found by file or by name, or a sentence on why there is none."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from aiida_mlip_autopipe.common.errors import DownloadError, ModelError
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.mace.model import MaceModel, quiet, require_mace
from aiida_mlip_autopipe.formats.files import MODEL

NO_MODEL = 'no model was given: the built-in descriptor was used, and no energy or force was predicted'


@dataclass(frozen=True)
class Surrogate:
    """A model and what the report says of it.

    :param model: None where the built-in descriptor serves.
    :param name: file or name that was asked for, or empty.
    :param note: why there is no model, or empty.
    """

    model: MaceModel | None
    name: str = ''
    note: str = ''


def find_surrogate(config: SelectionConfig, folder: Path) -> Surrogate:
    """Return the surrogate of a job.

    A file in the folder of the job comes first, then the setting: a path on this machine or the name of a foundation model.

    :raises ModelError: no such file or name, or no MACE model.
    :raises NoGpuError: a GPU is asked for that is not there.
    :raises InstallationError: a model is asked for, and mace-torch is not installed.
    :raises DownloadError: a foundation model could not be downloaded.
    """
    if config.model is None:
        return Surrogate(None, note=NO_MODEL)
    require_mace(config.model)
    own = folder / MODEL
    path = own if own.exists() else _path_of(config.model)
    return Surrogate(MaceModel.load(path, device=config.device, dtype=config.dtype), config.model)


def _path_of(name: str) -> Path:
    """Return the file of a path on this machine, or of a foundation model, which is downloaded the first time."""
    if Path(name).expanduser().is_file():
        return Path(name).expanduser()
    with quiet():
        from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_names
    known = [known for known in mace_mp_names if known is not None]
    if name not in known:
        raise ModelError(f'select.model: got {name!r}; neither a file on this machine nor a foundation model: {", ".join(known)}')
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return Path(download_mace_mp_checkpoint(name))
    except (OSError, RuntimeError, URLError) as error:
        raise DownloadError(
            f'select.model: the foundation model {name!r} could not be downloaded to this machine ({error}): '
            'give the path of a model file instead'
        ) from error

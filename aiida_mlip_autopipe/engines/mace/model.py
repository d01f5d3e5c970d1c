"""`MaceModel`: a MACE model file, loaded once and checked before anything runs."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import pickle
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ase.data import chemical_symbols

from aiida_mlip_autopipe.common.errors import InstallationError, ModelError, NoGpuError, UnknownElementError

Device = Literal['auto', 'cpu', 'cuda']
Dtype = Literal['float32', 'float64']

PARTS: Final = ('atomic_numbers', 'r_max', 'interactions', 'products')
"""Attributes by which a MACE model is known, and which are used here."""

BROKEN: Final = (OSError, EOFError, RuntimeError, ValueError, TypeError, AttributeError, ImportError, KeyError, IndexError)
"""What `torch.load` raises for a file that is no model of this version of PyTorch and MACE."""


@dataclass(frozen=True, eq=False)
class MaceModel:
    """A model and where it runs.

    :param network: the `torch.nn.Module`.
    :param elements: chemical symbols that it knows, in its order.
    :param cutoff: Å.
    :param device: 'cpu' or 'cuda'.
    :param dtype: 'float32' or 'float64'.
    :param sha256: of the file.
    """

    network: Any
    elements: tuple[str, ...]
    cutoff: float
    device: str
    dtype: str
    sha256: str

    @classmethod
    def load(cls, path: Path, *, device: Device = 'auto', dtype: Dtype = 'float32') -> MaceModel:
        """Return the model of a file. The file is a pickle, which can run any code: load only what you trust.

        :param device: 'auto' takes the GPU when there is one.
        :raises ModelError: the file is missing or no MACE model.
        :raises NoGpuError: a GPU is asked for that is not there.
        :raises InstallationError: mace-torch is not installed.
        """
        require_mace(path.name)
        place = chosen_device(device)
        with quiet():
            network = _unpickled(path, place)
            network = network.to(place).double() if dtype == 'float64' else network.to(place).float()
        network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        return cls(
            network=network,
            elements=tuple(chemical_symbols[int(z)] for z in network.atomic_numbers),
            cutoff=float(network.r_max),
            device=place,
            dtype=dtype,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )

    def require_elements(self, elements: Sequence[str]) -> None:
        """Refuse structures that the model cannot evaluate.

        :raises UnknownElementError: it names the elements that the model does not know, and those that it knows.
        """
        unknown = [element for element in elements if element not in self.elements]
        if unknown:
            raise UnknownElementError(
                f'select.model: the structures have {unknown}, which the model does not know; it knows {list(self.elements)}'
            )


def has_mace() -> bool:
    """Whether mace-torch is installed."""
    return importlib.util.find_spec('mace') is not None and importlib.util.find_spec('torch') is not None


def require_mace(model: str) -> None:
    """Refuse to go on without mace-torch.

    :param model: what was asked for, for the message.
    :raises InstallationError: it is not installed.
    """
    if not has_mace():
        raise InstallationError(
            f'select.model: {model!r} needs mace-torch, which is not installed on this machine: '
            "pip install 'aiida-mlip-autopipe[mace]', or leave select.model out"
        )


def chosen_device(device: Device) -> str:
    """Return 'cpu' or 'cuda'.

    :raises NoGpuError: a GPU is asked for and absent.
    """
    import torch

    if device == 'cuda' and not torch.cuda.is_available():
        raise NoGpuError(f"select.device: got 'cuda'; PyTorch {torch.__version__} sees no GPU on this machine: take auto or cpu")
    return 'cuda' if device != 'cpu' and torch.cuda.is_available() else 'cpu'


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the remarks of e3nn and MACE on optional accelerators and file formats out of the output."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        yield


def _unpickled(path: Path, device: str) -> Any:
    import mace.modules  # noqa: F401  # its classes are in the file; it must come before e3nn, whose constants it allows to load
    import torch

    if not path.is_file():
        raise ModelError(f'select.model: got {str(path)!r}; there is no such file')
    try:
        network = torch.load(path, map_location=device, weights_only=False)
    except (*BROKEN, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f'select.model: {path.name} is not a MACE model: {reason}') from error
    missing = [name for name in PARTS if not hasattr(network, name)]
    if missing:
        raise ModelError(f'select.model: {path.name} is not a MACE model: it holds a {type(network).__name__} without {missing}')
    return network

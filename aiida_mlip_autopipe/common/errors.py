"""The exceptions of the package: each carries one sentence with the value found and the value expected."""


class MlipError(Exception):
    """Base of every error that this package raises on purpose; its text is meant for the user."""


class InputError(MlipError):
    """A setting or an input that cannot be used; the text names the field, the value and what is allowed."""


class InvalidFramesError(MlipError):
    """Columns of structures that contradict each other or hold a number that is not finite."""


class FormatError(MlipError):
    """Text or bytes of another program that could not be read or must not be written."""


class EngineError(MlipError):
    """An external program (LAMMPS, icet, an ASE calculator) that is missing or failed."""


class InstallationError(EngineError):
    """An external program, or a part of it, that is not installed: no fault of the inputs, and none of a potential."""


class ModelError(InputError):
    """A file or a name that gives no model of the surrogate."""


class UnknownElementError(InputError):
    """Structures of elements that the model of the surrogate does not know."""


class NoGpuError(InputError):
    """A GPU is asked for on a machine where none is seen."""


class DownloadError(EngineError):
    """A model of the surrogate that could not be downloaded to the compute machine."""


class FitError(MlipError):
    """Training data or a fit that cannot give a usable potential."""

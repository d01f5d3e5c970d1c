"""Settings of the labellers: Quantum ESPRESSO, an ASE calculator, or one that a third party registers."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, model_validator

from aiida_mlip_autopipe.config.base import EXTERNAL_TAG, Settings

RHO_TO_WFC = 4.0
"""Cutoff of the charge density over that of the wave functions, for norm-conserving pseudopotentials."""

LABELLER = 'entry point of the process that turns frames into labelled frames'


class JobOptions(Settings):
    """What a job asks of the scheduler."""

    num_machines: PositiveInt = Field(default=1, description='nodes')
    mpi_processes: PositiveInt = Field(default=1, description='MPI processes on each node')
    walltime: PositiveInt = Field(default=3600, description='s, longest run time of one job')
    queue: str | None = Field(default=None, description='queue or partition of the scheduler')
    account: str | None = Field(default=None, description='account that the scheduler charges')


class LabelConfig(Settings):
    """What every labeller has."""

    labeller: str = Field(description=LABELLER)
    code: str = Field(description='label of the AiiDA code that the labeller runs, such as pw@localhost')
    isolated_box: float = Field(default=12.0, ge=6, le=40, description='Å, edge of the cubic box of the isolated atoms')
    force_cap: PositiveFloat = Field(default=50.0, description='eV/Å, frames with a larger force are quarantined')
    max_failure_rate: float = Field(
        default=0.5, ge=0, le=1, description='fraction of failed frames above which the run stops with a table of reasons'
    )
    options: JobOptions = JobOptions()


class DFTConfig(LabelConfig):
    """Labels by Quantum ESPRESSO's `pw.x`, many frames in one job."""

    labeller: Literal['mlip_autopipe.label'] = Field(default='mlip_autopipe.label', description=LABELLER)
    code: str = Field(default='pw@localhost', description='label of the AiiDA code of pw.x')
    pseudo_family: str = Field(min_length=1, description='label of an installed pseudopotential family (aiida-pseudo list)')
    cutoff_wfc: PositiveFloat = Field(le=500, description='Ry, kinetic-energy cutoff of the wave functions')
    cutoff_rho: PositiveFloat | None = Field(
        default=None, description='Ry, kinetic-energy cutoff of the charge density; 4 times cutoff_wfc when not given'
    )
    kpoints_distance: float = Field(default=0.25, gt=0, le=2, description='1/Å, largest distance of k-points, 2π included')
    smearing: Literal['gaussian', 'methfessel-paxton', 'cold', 'fermi-dirac'] = Field(
        default='cold', description='kind of smearing of the occupations'
    )
    degauss: PositiveFloat = Field(default=0.02, le=0.5, description='Ry, width of the smearing')
    conv_thr_per_atom: PositiveFloat = Field(default=1e-9, le=1e-3, description='Ry, SCF threshold for each atom')
    mixing_beta: float = Field(default=0.5, gt=0, le=1, description='charge-density mixing, dimensionless')
    electron_maxstep: PositiveInt = Field(default=100, description='SCF steps before a calculation counts as unconverged')
    runs_at_once: PositiveInt = Field(
        default=1, le=1000, description='runs of pw.x at the same time in one job, which share its MPI processes'
    )
    max_concurrent: PositiveInt = Field(default=4, le=1000, description='jobs at the same time; each labels a batch of frames')
    frames_per_job: PositiveInt = Field(default=100, le=10_000, description='frames of one job, at most')

    @model_validator(mode='after')
    def check_cutoffs(self) -> Self:
        """Refuse a charge density that is coarser than the wave functions."""
        if self.cutoff_rho is not None and self.cutoff_rho < self.cutoff_wfc:
            raise ValueError(f'cutoff_rho: got {self.cutoff_rho:g}; must be at least cutoff_wfc {self.cutoff_wfc:g} Ry')
        return self

    @property
    def charge_cutoff(self) -> float:
        """Kinetic-energy cutoff of the charge density, Ry; that of norm-conserving pseudopotentials when none is given."""
        return self.cutoff_rho or RHO_TO_WFC * self.cutoff_wfc


class AseLabelConfig(LabelConfig):
    """Labels by a calculator of ASE: for tests, teachers, and the demo where Quantum ESPRESSO is not installed."""

    labeller: Literal['mlip_autopipe.label_ase'] = Field(description=LABELLER)
    code: str = Field(default='mlip-worker@localhost', description='label of the AiiDA code of mlip-worker')
    calculator: Literal['emt', 'lj', 'morse'] = Field(default='emt', description="name of the calculator in ASE's registry")
    parameters: dict[str, float | int | bool | str] = Field(default={}, description='keyword arguments of the calculator')


class ExternalLabelConfig(LabelConfig):
    """A labeller that another package registers; its settings are passed on as they are."""

    settings: dict[str, Any] = Field(default={}, description='settings of the labeller, checked by the labeller')


OWN_PREFIX = 'mlip_autopipe.'


def _tag(value: Any) -> str:
    """Return the name by which the union chooses: the labeller itself where it is, or claims to be, one of this package."""
    labeller = value.get('labeller', 'mlip_autopipe.label') if isinstance(value, dict) else getattr(value, 'labeller', None)
    return str(labeller) if str(labeller).startswith(OWN_PREFIX) else EXTERNAL_TAG


AnyLabelConfig = Annotated[
    Annotated[DFTConfig, Tag('mlip_autopipe.label')]
    | Annotated[AseLabelConfig, Tag('mlip_autopipe.label_ase')]
    | Annotated[ExternalLabelConfig, Tag(EXTERNAL_TAG)],
    Discriminator(_tag),
]

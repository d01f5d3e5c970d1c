"""`DFTConfig`: the settings of labels by Quantum ESPRESSO's `pw.x`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from aiida_mlip_autopipe.common.settings import Element, Settings
from aiida_mlip_autopipe.science.labeller import LABELLER, Labeller

RHO_TO_WFC = 4.0
"""Cutoff of the charge density over that of the wave functions, for norm-conserving pseudopotentials."""

OWN_DEFAULTS: Final[dict[str, Any]] = {
    'kpoints_distance': 0.25,
    'smearing': 'cold',
    'degauss': 0.02,
    'conv_thr_per_atom': 1e-9,
    'mixing_beta': 0.7,
    'electron_maxstep': 100,
}
"""What a calculation is done with when neither the user nor a protocol says; units as in `DFTConfig`."""

THEORY_FIELDS: Final = (
    'cutoff_wfc',
    'charge_cutoff',
    'kpoints_distance',
    'smearing',
    'degauss',
    'magnetic_moments',
    'vdw_correction',
)
"""Settings that enter the level of theory as they are."""

NAME: Final = 'mlip_autopipe.label'

Moment = Annotated[float, Field(ge=-10, le=10)]


class HubbardU(Settings):
    """On-site repulsion of one shell (DFT+U, Dudarev's simplified form)."""

    manifold: str = Field(pattern='^[1-7][spdf]$', description='shell of the element, such as 3d')
    u: PositiveFloat = Field(le=20, description='eV')


class DFTConfig(Labeller):
    """Labels by Quantum ESPRESSO's `pw.x`, many frames in one job."""

    labeller: Literal['mlip_autopipe.label'] = Field(default=NAME, description=LABELLER)
    code: str = Field(default='pw@localhost', description='label of the AiiDA code of pw.x')
    protocol: Literal['fast', 'balanced', 'stringent'] | None = Field(
        default=None, description='protocol of aiida-quantumespresso that gives every setting which is not given here'
    )
    pseudo_family: str | None = Field(
        default=None, min_length=1, description='label of an installed pseudopotential family (aiida-pseudo list)'
    )
    cutoff_wfc: PositiveFloat | None = Field(
        default=None,
        le=500,
        description="Ry, kinetic-energy cutoff of the wave functions; the family's recommendation when not given",
    )
    cutoff_rho: PositiveFloat | None = Field(
        default=None,
        description="Ry, kinetic-energy cutoff of the charge density; when not given, in the family's ratio to cutoff_wfc, "
        'or 4 times it where the family recommends nothing',
    )
    kpoints_distance: float | None = Field(
        default=None, gt=0, le=2, description='1/Å, largest distance of k-points, 2π included; 0.25 without a protocol'
    )
    smearing: Literal['gaussian', 'methfessel-paxton', 'cold', 'fermi-dirac'] | None = Field(
        default=None, description='kind of smearing of the occupations; cold without a protocol'
    )
    degauss: PositiveFloat | None = Field(default=None, le=0.5, description='Ry, width of the smearing; 0.02 without a protocol')
    conv_thr_per_atom: PositiveFloat | None = Field(
        default=None, le=1e-3, description='Ry, SCF threshold for each atom; 1e-9 without a protocol'
    )
    mixing_beta: float | None = Field(
        default=None, gt=0, le=1, description='charge-density mixing, dimensionless; 0.7 without a protocol'
    )
    electron_maxstep: PositiveInt | None = Field(
        default=None, description='SCF steps before a calculation counts as unconverged; 100 without a protocol'
    )
    magnetic_moments: dict[Element, Moment] = Field(
        default={},
        description='μB, initial moment of each magnetic element; any makes all calculations spin-polarised. '
        'Isolated atoms with unpaired electrons always are',
    )
    hubbard: dict[Element, HubbardU] = Field(default={}, description='DFT+U: shell and U of each element')
    hubbard_input: Literal['card', 'namelist'] = Field(
        default='card',
        description='how U is written: card for pw.x 7.1 or newer, namelist for older ones, which choose the shell',
    )
    vdw_correction: Literal['grimme-d2', 'grimme-d3', 'ts-vdw', 'xdm'] | None = Field(
        default=None, description='van der Waals correction, by the name that pw.x has for it'
    )
    charge: float = Field(default=0.0, description='e, charge of the cell; only 0 is allowed')
    reuse: bool = Field(
        default=True, description='take labels of the same structures and level of theory that this profile already has'
    )
    clean_workdir: bool = Field(default=True, description='remove the work folders of the jobs when the labels are read')
    runs_at_once: PositiveInt = Field(
        default=1, le=1000, description='runs of pw.x at the same time in one job, which share its MPI processes'
    )
    max_concurrent: PositiveInt = Field(default=4, le=1000, description='jobs at the same time; each labels a batch of frames')
    frames_per_job: PositiveInt = Field(default=100, le=10_000, description='frames of one job, at most')

    @model_validator(mode='before')
    @classmethod
    def fill_without_protocol(cls, values: Any) -> Any:
        """Fill in the package's own defaults where no protocol gives them."""
        if not isinstance(values, dict) or values.get('protocol') is not None:
            return values
        return {**values, **{name: default for name, default in OWN_DEFAULTS.items() if values.get(name) is None}}

    @field_validator('charge')
    @classmethod
    def check_charge(cls, value: float) -> float:
        """Refuse a charged cell."""
        if value != 0:
            raise ValueError('must be 0: the energy of a charged periodic cell depends on the size of the cell')
        return value

    @model_validator(mode='after')
    def check_family(self) -> Self:
        """Require a family of pseudopotentials, by name or from the protocol."""
        if self.pseudo_family is None and self.protocol is None:
            raise ValueError('pseudo_family: missing; give a family (aiida-pseudo list), or a protocol, which brings one')
        return self

    @model_validator(mode='after')
    def check_cutoffs(self) -> Self:
        """Refuse a charge density that is coarser than the wave functions."""
        if self.cutoff_rho is not None and self.cutoff_rho < (self.cutoff_wfc or 0):
            raise ValueError(f'cutoff_rho: got {self.cutoff_rho:g}; must be at least cutoff_wfc {self.cutoff_wfc:g} Ry')
        return self

    @property
    def missing(self) -> list[str]:
        """Fields that a protocol or a family still has to give before anything can run."""
        return [name for name in ('pseudo_family', 'cutoff_wfc', *OWN_DEFAULTS) if getattr(self, name) is None]

    def theory(self, pseudos: Mapping[str, str]) -> dict[str, Any]:
        """Return what of the level of theory is known before a calculation: all but the code version and the functional.

        :param pseudos: md5 of the pseudopotential of each element of the family.
        """
        return {
            'code': 'Quantum ESPRESSO pw.x',
            'pseudos': dict(sorted(pseudos.items())),
            'spin': 'polarised' if self.magnetic_moments else 'none',
            'isolated_atoms': 'spin-polarised',
            'hubbard': {element: shell.model_dump() for element, shell in self.hubbard.items()},
            **{name: getattr(self, name) for name in THEORY_FIELDS},
        }

    @property
    def charge_cutoff(self) -> float | None:
        """Kinetic-energy cutoff of the charge density, Ry; that of norm-conserving pseudopotentials when none is given."""
        return self.cutoff_rho or (RHO_TO_WFC * self.cutoff_wfc if self.cutoff_wfc else None)

"""`PacemakerTrainer`: the settings of Pacemaker: basis, loss, optimizer, ladder, weights, active set, and its linear start."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.engines.ace.files import ENGINE
from aiida_mlip_autopipe.engines.ace.trainer import FUNCTIONS, AceTrainer, Functions
from aiida_mlip_autopipe.science.linear.trainer import CORE, LinearWeights
from aiida_mlip_autopipe.science.trainer import Trainer

Combination = Literal['ALL', 'UNARY', 'BINARY', 'TERNARY', 'QUATERNARY', 'QUINARY']
"""Which combinations of elements a block of basis functions or bonds is for; the more special one wins."""

FractionOfBasis = Annotated[float, Field(gt=0, lt=1)]

OF_THE_START = ('b_basis_size', 'functions', 'bonds', 'delta_spline', 'ladder_step', 'ladder_type')
"""Fields without a meaning where the basis is that of a linear fit."""

FROM_LINEAR = {'l1': 0.0, 'l2': 0.0, 'max_iter': 100}
"""Defaults of a fit that starts from a linear one, see docs/pacemaker.md: the regularisation would be half of the loss."""

NAME: Final = 'mlip_autopipe.pacemaker'

LINEAR_EMBEDDING = ('FinnisSinclairShiftedScaled', [1.0, 1.0])
"""Embedding and first density in which a linear potential can go on as it is."""


class PacemakerSettings(Settings):
    """Settings that say why a misspelt key matters: Pacemaker itself ignores it without a word."""

    @model_validator(mode='before')
    @classmethod
    def check_keys(cls, values: Any) -> Any:
        """Refuse unknown keys, with what Pacemaker would make of them."""
        known = {*cls.model_fields, *cls.GONE}
        unknown = sorted(str(key) for key in values if key not in known) if isinstance(values, dict) else []
        if unknown:
            near = difflib.get_close_matches(unknown[0], cls.model_fields, n=1)
            hint = f'did you mean {near[0]!r}? ' if near else ''
            raise ValueError(
                f'unknown key {unknown[0]!r}; {hint}Pacemaker ignores keys that it does not know without a word '
                f'(kapa in place of kappa gives a fit to energies only); allowed here: {", ".join(cls.model_fields)}'
            )
        return values


class FunctionsConfig(PacemakerSettings):
    """Largest radial and angular index of the basis functions by body order, the first one being two-body."""

    nradmax_by_orders: list[PositiveInt] = Field(default=[15, 6, 4, 3], min_length=1, description='largest n, dimensionless')
    lmax_by_orders: list[NonNegativeInt] = Field(default=[0, 3, 2, 1], min_length=1, description='largest l, dimensionless')

    @model_validator(mode='after')
    def check_lengths(self) -> Self:
        """Refuse lists that do not have one entry for each body order."""
        if len(self.nradmax_by_orders) != len(self.lmax_by_orders):
            raise ValueError(
                f'nradmax_by_orders has {len(self.nradmax_by_orders)} body orders and lmax_by_orders '
                f'{len(self.lmax_by_orders)}; both need one entry for each'
            )
        return self


class EmbeddingConfig(PacemakerSettings):
    """How the densities of an atom make its energy."""

    npot: Literal['FinnisSinclairShiftedScaled', 'FinnisSinclair'] = Field(
        default='FinnisSinclairShiftedScaled', description='embedding function'
    )
    fs_parameters: list[float] = Field(
        default=[1, 1, 1, 0.5], min_length=2, description='prefactor and exponent of each density, dimensionless'
    )
    ndensity: int = Field(default=2, ge=1, le=10, description='number of densities; 1 with [1, 1] is a linear potential')

    @model_validator(mode='after')
    def check_parameters(self) -> Self:
        """Refuse parameters that are not one pair for each density."""
        if len(self.fs_parameters) != 2 * self.ndensity:
            raise ValueError(f'fs_parameters must be {2 * self.ndensity} numbers for ndensity {self.ndensity}')
        return self


class BondConfig(PacemakerSettings):
    """Radial basis between two elements; its cutoff is that of the training settings."""

    radbase: Literal['SBessel', 'ChebExpCos', 'ChebPow', 'ChebLinear'] = Field(default='SBessel', description='radial basis')
    radparameters: list[PositiveFloat] = Field(default=[5.25], min_length=1, description='parameters of the radial basis')
    dcut: PositiveFloat = Field(default=0.01, le=1, description='Å, width of the outer cutoff')
    cutoff_function: Literal['cos', 'poly'] = Field(default='cos', description='form of the outer cutoff')


class EnergyWeightingConfig(PacemakerSettings):
    """Weights that fall with the energy above the ground state; structures beyond the upper limits are left out of the fit."""

    zero: Literal['convex_hull', 'cohesive'] = Field(default='convex_hull', description='where the energy is counted from')
    lower_energy: PositiveFloat = Field(default=1.0, description='eV/atom, below it a structure is of the lower tier')
    upper_energy: PositiveFloat = Field(default=10.0, description='eV/atom, structures above it are left out of the fit')
    upper_force: PositiveFloat | None = Field(
        default=None, description='eV/Å, structures with a larger force are left out of the fit; null: none is'
    )
    energy_shift: PositiveFloat = Field(default=1.0, description='eV/atom, energy weight is 1/(E + shift)²')
    force_shift: PositiveFloat = Field(default=1.0, description='eV²/Å², force weight is energy weight/(F² + shift)')
    lower_weight: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description='share of the energy weight that the lower tier gets; null: as it comes out'
    )

    @model_validator(mode='after')
    def check_order(self) -> Self:
        """Refuse limits in the wrong order."""
        if self.upper_energy <= self.lower_energy:
            raise ValueError(f'upper_energy {self.upper_energy:g} must be larger than lower_energy {self.lower_energy:g}')
        return self


class LinearStart(LinearWeights):
    """The linear ACE fit that Pacemaker starts from: its basis is that of the potential."""

    functions: Functions = Field(default='auto', description=FUNCTIONS)


class PacemakerTrainer(PacemakerSettings, Trainer):
    """Pacemaker: an atomic cluster expansion with embeddings, by gradients; it has no stress loss."""

    GONE = {'pacemaker': 'its keys stand in train itself'}
    ENGINE = ENGINE
    MAY_LACK = True

    trainer: Literal['mlip_autopipe.pacemaker'] = Field(default=NAME, description='entry point of the trainer')
    core_repulsion: bool = Field(default=True, description=CORE)
    linear: LinearStart = LinearStart()

    initial_potential: Literal['linear', 'none'] = Field(
        default='linear',
        description='start of the fit: a linear ACE fit of the same frames by `mlip_autopipe.ace`, which also chooses the basis, '
        'and in later rounds the potential of the round before; none: from scratch, with the basis given here',
    )
    b_basis_size: PositiveInt = Field(
        default=200, description='functions per element, an upper limit on top of what functions allows'
    )
    functions: dict[Combination, FunctionsConfig] = Field(
        default={'ALL': FunctionsConfig()}, min_length=1, description='basis functions by combination of elements'
    )
    embeddings: dict[str, EmbeddingConfig] = Field(
        default={'ALL': EmbeddingConfig()}, min_length=1, description='embedding by element; ALL: of every element'
    )
    bonds: dict[Combination, BondConfig] = Field(
        default={'ALL': BondConfig()}, min_length=1, description='radial basis by combination of elements'
    )
    delta_spline: PositiveFloat = Field(default=0.001, le=0.1, description='Å, distance of the knots of the radial splines')
    kappa: Literal['auto'] | Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.01, description='relative weight of the forces; auto: from the variances of energies and forces'
    )
    kappa_f: PositiveFloat | dict[str, PositiveFloat] = Field(
        default=1.0, description='factor of the column w_forces, one for all structures or one for each config_type'
    )
    l1: NonNegativeFloat = Field(default=1e-8, description='L1 regularisation of the coefficients, from a linear fit 0')
    l2: NonNegativeFloat = Field(default=1e-8, description='L2 regularisation of the coefficients, from a linear fit 0')
    optimizer: Literal['BFGS', 'L-BFGS-B', 'CG', 'trf', 'dogbox', 'lm', 'dual_annealing', 'Adam', 'SGD'] = Field(
        default='BFGS', description='optimizer of the fit'
    )
    max_iter: PositiveInt = Field(default=500, description='iterations, of each ladder step; from a linear fit 100')
    batch_size: PositiveInt = Field(default=20, description='structures evaluated at a time')
    display_step: int = Field(default=25, ge=2, description='iterations between two long entries of the log')
    ladder_step: PositiveInt | FractionOfBasis | tuple[PositiveInt, FractionOfBasis] | None = Field(
        default=None,
        description='functions added in each step to each block of elements (Al, Mg, Al-Mg and Mg-Al are four): number, fraction '
        'of all functions so far, or the larger of both; null: all at once',
    )
    ladder_type: Literal['body_order', 'power_order'] = Field(default='body_order', description='order of the ladder')
    weighting: Literal['uniform', 'energy'] = Field(default='uniform', description='weights of the structures')
    energy_weighting: EnergyWeightingConfig = EnergyWeightingConfig()
    test_size: PositiveInt | Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description='structures that Pacemaker itself sets aside at random; null: none, the test set is frozen by us',
    )
    all_atoms: bool = Field(
        default=True, description='active set of all atoms; Pacemaker alone leaves out those with large force errors'
    )

    @model_validator(mode='before')
    @classmethod
    def check_linear(cls, values: Any) -> Any:
        """Refuse settings of the linear fit that do not stand in its section."""
        if isinstance(values, dict) and (found := [name for name in LinearWeights.model_fields if name in values]):
            raise ValueError(f'{found[0]}: Pacemaker has none; that of the linear fit from which it starts is linear.{found[0]}')
        return values

    @property
    def start(self) -> AceTrainer | None:
        """The linear fit that comes first, where it starts from one."""
        if self.initial_potential == 'none':
            return None
        shared = {name: getattr(self, name) for name in ('cutoff', 'core_repulsion', 'checks')}
        return AceTrainer(**{name: getattr(self.linear, name) for name in LinearStart.model_fields}, **shared)

    @property
    def continues(self) -> bool:
        """Whether later rounds start from the potential of the round before."""
        return self.initial_potential == 'linear'

    @model_validator(mode='before')
    @classmethod
    def fill_in(cls, values: Any) -> Any:
        """Return the values with the defaults of their start."""
        is_linear = isinstance(values, dict) and values.get('initial_potential', 'linear') == 'linear'
        return {**FROM_LINEAR, **values} if is_linear else values

    @model_validator(mode='after')
    def check_start(self) -> Self:
        """Refuse a basis that somebody chose for a fit that takes its basis from a linear one, and embeddings that change it."""
        if self.initial_potential == 'none':
            if 'linear' in self.model_fields_set:
                raise ValueError('linear has no effect beside initial_potential none: leave it out')
            return self
        if chosen := [name for name in OF_THE_START if name in self.model_fields_set]:
            raise ValueError(
                f'{chosen[0]} has no effect beside initial_potential linear, where the basis is that of the linear fit '
                '(train.linear.functions is its size): leave it out, or set initial_potential: none'
            )
        for name, embedding in self.embeddings.items():
            if (embedding.npot, embedding.fs_parameters[:2]) != LINEAR_EMBEDDING:
                raise ValueError(
                    f'embeddings.{name}: got {embedding.npot} {embedding.fs_parameters}; initial_potential linear needs '
                    f'{LINEAR_EMBEDDING[0]} with fs_parameters that begin with 1, 1, so that the start is the linear fit: '
                    'change it, or set initial_potential: none'
                )
        return self

    @model_serializer(mode='wrap')
    def without_basis(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the settings; a basis that nobody chose does not look chosen when they are read again."""
        values: dict[str, Any] = handler(self)
        unused = OF_THE_START if self.initial_potential == 'linear' else ('linear',)
        return {name: value for name, value in values.items() if name not in unused}

    @model_validator(mode='after')
    def check_force_weights(self) -> Self:
        """Refuse force weights that Pacemaker would undo or not read."""
        if not isinstance(self.kappa_f, dict) and self.kappa_f != 1 and self.kappa == 'auto':
            raise ValueError(
                f'kappa_f {self.kappa_f:g} of all structures has no effect beside kappa auto: Pacemaker normalises w_forces to '
                'the sum 1; give kappa as a number, or kappa_f for each config_type'
            )
        if isinstance(self.kappa_f, dict) and self.weighting == 'energy':
            raise ValueError(
                'kappa_f for each config_type cannot stand beside weighting energy: '
                'Pacemaker ignores its own weights when the data set has a column w_forces'
            )
        return self

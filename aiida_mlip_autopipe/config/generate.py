"""`GeneratorConfig`: how candidate structures are made from the target system."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.config.base import Element, Settings
from aiida_mlip_autopipe.config.ranges import Spread

LinearStrain = Annotated[float, Field(gt=-0.5, lt=0.5)]
Component = Annotated[float, Field(gt=-1 / 3, lt=1 / 3)]
ElasticSize = Annotated[float, Field(gt=0, lt=0.3)]
Miller = tuple[int, int, int]
Of = Annotated[list[str] | None, Field(min_length=1)]

OF = 'sections whose structures are the parents (bulk: all bulk bases); when left out, as the table in docs/generate.md says'


class SQSConfig(Settings):
    """Special quasirandom structures made by icet."""

    per_composition: PositiveInt = Field(default=2, description='structures for each composition and supercell')
    steps: PositiveInt = Field(default=2000, description='Monte Carlo steps for each structure')
    cutoffs: list[PositiveFloat] = Field(
        default=[5.0], min_length=1, description='Å, cluster radii: pairs first, then triplets, …'
    )
    method: Literal['icet', 'shuffle'] = Field(default='icet', description='shuffle: the random solution, without annealing')


class FilesConfig(Settings):
    """Structures read from files, as bases."""

    paths: list[str] = Field(
        min_length=1, description='files that ASE reads (CIF, POSCAR, extxyz, …), as seen from the machine where generate runs'
    )
    supercells: list[tuple[PositiveInt, PositiveInt, PositiveInt]] = Field(
        default=[(1, 1, 1)], min_length=1, description='repeats of each structure'
    )


class StrainConfig(Settings):
    """Symmetric strains of each base structure."""

    count: NonNegativeInt = Field(default=3, description='random strains for each base structure')
    max_strain: float = Field(default=0.03, gt=0, lt=1 / 3, description='largest strain component, dimensionless')
    hydrostatic: Annotated[list[LinearStrain], Spread] = Field(
        default=[-0.04, 0.04], description='linear strains applied along all axes alike, dimensionless'
    )
    of: Of = Field(default=None, description=OF)


class DeformConfig(Settings):
    """Strains of single directions on a grid, and general ones from a Sobol sequence."""

    uniaxial: Annotated[list[Component], Spread] = Field(
        default=[], description='strains along each of the three axes, dimensionless'
    )
    biaxial: Annotated[list[Component], Spread] = Field(
        default=[], description='strains of each pair of axes alike, dimensionless'
    )
    shear: Annotated[list[Component], Spread] = Field(
        default=[], description='off-diagonal components of the tensor, dimensionless'
    )
    general: NonNegativeInt = Field(default=0, description='strains with six components')
    max_strain: float = Field(default=0.05, gt=0, lt=1 / 3, description='largest component of the general strains, dimensionless')
    of: Of = Field(default=None, description=OF)


class EOSConfig(Settings):
    """The equation-of-state series of each base structure."""

    count: int = Field(default=11, ge=2, description='volumes, evenly spaced')
    volumes: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.25), description='smallest and largest volume in units of that of the base, dimensionless'
    )
    of: Of = Field(default=None, description=OF)

    @model_validator(mode='after')
    def check_volumes(self) -> Self:
        """Refuse a series that does not grow."""
        if self.volumes[0] >= self.volumes[1]:
            raise ValueError(f'volumes must grow, got {list(self.volumes)}')
        return self


class ElasticConfig(Settings):
    """Finite strains for elastic constants, of each base structure."""

    sizes: Annotated[list[ElasticSize], Spread] = Field(
        default=[0.005, 0.01], min_length=1, description='engineering strains, dimensionless'
    )
    of: Of = Field(default=None, description=OF)


class PhononConfig(Settings):
    """Cells with one atom displaced, by phonopy, of each base structure."""

    distance: float = Field(default=0.03, gt=0, lt=1, description='Å, length of the displacement')
    supercell: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(default=(1, 1, 1), description='repeats of the base')
    of: Of = Field(default=None, description=OF)


class RattleConfig(Settings):
    """Gaussian displacements of all atoms."""

    count: NonNegativeInt = Field(default=4, description='rattled structures for each base structure')
    stdev: float = Field(default=0.1, gt=0, le=1.0, description='Å, standard deviation of each coordinate')
    stdev_by_element: dict[Element, Annotated[float, Field(ge=0, le=1.0)]] = Field(
        default={}, description='Å, in place of stdev for the elements named'
    )
    temperature: NonNegativeFloat | None = Field(
        default=None, description='K; with it the standard deviations are those of the Debye model'
    )
    debye_temperature: PositiveFloat = Field(default=300.0, description='K')
    min_distance: PositiveFloat | None = Field(
        default=None, description='Å; with it displacements that bring atoms nearer are drawn again'
    )
    of: Of = Field(default=None, description=OF)


class VacancyConfig(Settings):
    """Missing atoms."""

    count: NonNegativeInt = Field(default=1, description='structures with vacancies for each base structure')
    n_vacancies: PositiveInt = Field(default=1, description='atoms taken out of each')
    of: Of = Field(default=None, description=OF)


class DivacancyConfig(Settings):
    """Two neighbouring atoms missing."""

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    reach: float = Field(default=1.1, ge=1, description='longest distance of the pair in shortest distances, dimensionless')
    of: Of = Field(default=None, description=OF)


class InterstitialConfig(Settings):
    """Atoms at empty sites that are distinct by symmetry."""

    count: PositiveInt = Field(default=4, description='largest number of structures for each base structure')
    elements: list[Element] = Field(default=[], description='chemical symbols of what is added; none: the elements of the base')
    per_cell: PositiveInt = Field(default=1, description='atoms added to each')
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of a site to an atom')
    of: Of = Field(default=None, description=OF)


class AntisiteConfig(Settings):
    """Atoms that become another element."""

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='atoms changed in each')
    of: Of = Field(default=None, description=OF)


class SwapConfig(Settings):
    """Atoms of different elements that change places."""

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='pairs swapped in each')
    of: Of = Field(default=None, description=OF)


class FrenkelConfig(Settings):
    """Atoms that left their site for an empty one."""

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of an empty site to an atom')
    of: Of = Field(default=None, description=OF)


class SurfaceConfig(Settings):
    """Slabs of each alloy."""

    millers: list[Miller] = Field(
        default=[(1, 0, 0), (1, 1, 0), (1, 1, 1)], min_length=1, description='Miller indices of the cubic cell (hcp: primitive)'
    )
    layers: PositiveInt = Field(default=3, description='thickness in periods along the normal')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')
    vacuum: PositiveFloat = Field(default=12.0, description='Å between the slab and its image')
    per_alloy: NonNegativeInt = Field(default=1, description='flat slabs of each Miller index and alloy')
    adatoms: NonNegativeInt = Field(default=0, description='slabs of each with one more atom')
    steps: NonNegativeInt = Field(default=0, description='slabs of each with half of the top layer missing')

    @model_validator(mode='after')
    def check_millers(self) -> Self:
        """Refuse the plane that is none."""
        if any(not any(miller) for miller in self.millers):
            raise ValueError(f'millers must not be (0, 0, 0), got {[list(miller) for miller in self.millers]}')
        return self


class StackingFaultConfig(Settings):
    """Faults along the gamma line of fcc or hcp, of each alloy."""

    count: PositiveInt = Field(default=4, description='slides, evenly spaced, without 0')
    longest: float = Field(
        default=1.0, gt=0, le=3, description='last slide in units of the partial Burgers vector, dimensionless'
    )
    layers: int = Field(default=6, ge=4, description='close-packed planes in the cell: a multiple of 3 for fcc, of 2 for hcp')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')


class DimerConfig(Settings):
    """Two atoms in a box, for all pairs of elements: the short-range wall."""

    count: int = Field(default=14, ge=2, description='distances for each pair, evenly spaced')
    distances: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.7, 2.0), description='shortest and longest in sums of the covalent radii, dimensionless'
    )
    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')

    @model_validator(mode='after')
    def check_distances(self) -> Self:
        """Refuse a series that does not grow."""
        if self.distances[0] >= self.distances[1]:
            raise ValueError(f'distances must grow, got {list(self.distances)}')
        return self


class IsolatedAtomConfig(Settings):
    """One atom of each element; label makes its own for the references."""

    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')


class AmorphousConfig(Settings):
    """Random packings of each alloy."""

    count: PositiveInt = Field(default=4, description='structures of each alloy')
    n_atoms: int = Field(default=32, ge=2, description='atoms in each')
    densities: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.05), description='lowest and highest density in units of the crystal, dimensionless'
    )
    min_distance: float = Field(default=0.75, gt=0, lt=1.5, description='in sums of the covalent radii, dimensionless')


class ExtraConfig(Settings):
    """A strategy of another package."""

    strategy: str = Field(description='entry point (group mlip_autopipe.strategies)')
    settings: dict[str, Any] = Field(default={}, description='what the strategy takes')
    of: Of = Field(default=None, description=OF)


class CheckConfig(Settings):
    """What a structure must fulfil to be a candidate."""

    min_bond_fraction: float = Field(
        default=0.5, ge=0, le=1.0, description='shortest bond allowed, in sums of covalent radii, dimensionless'
    )
    max_skew: float = Field(default=65.0, gt=0, lt=90, description='degrees, largest deviation of a cell angle from 90 degrees')
    max_aspect: float = Field(default=10.0, ge=1, description='longest lattice vector over shortest height, dimensionless')
    volume_per_atom: tuple[NonNegativeFloat, PositiveFloat] | None = Field(
        default=None, description='bounds in volumes of the covalent spheres, dimensionless; not for cells with vacuum'
    )
    max_atoms: PositiveInt = Field(default=500, description='atoms that one DFT calculation may have')
    duplicate_tolerance: NonNegativeFloat = Field(
        default=0.002, description='Å, displacement up to which two structures are the same, after rotation and permutation'
    )


class BudgetConfig(Settings):
    """A total number of structures in place of what the sections add up to."""

    n_structures: PositiveInt = Field(description='bases and fixed sets, filled up with random structures')
    weights: dict[str, NonNegativeFloat] = Field(
        default={}, description='share of each section that draws at random; when left out, its count, dimensionless'
    )


class GeneratorConfig(Settings):
    """Structures made for each composition: bases, then their distortions, then defects."""

    sqs: SQSConfig = SQSConfig()
    strain: StrainConfig = StrainConfig()
    rattle: RattleConfig = RattleConfig()
    vacancy: VacancyConfig = VacancyConfig()
    files: FilesConfig | None = None
    deform: DeformConfig | None = None
    eos: EOSConfig | None = None
    elastic: ElasticConfig | None = None
    phonon: PhononConfig | None = None
    divacancy: DivacancyConfig | None = None
    interstitial: InterstitialConfig | None = None
    antisite: AntisiteConfig | None = None
    swap: SwapConfig | None = None
    frenkel: FrenkelConfig | None = None
    surface: SurfaceConfig | None = None
    stacking_fault: StackingFaultConfig | None = None
    dimer: DimerConfig | None = None
    isolated_atom: IsolatedAtomConfig | None = None
    amorphous: AmorphousConfig | None = None
    extra: list[ExtraConfig] = Field(default=[], description='strategies of other packages, in this order after all others')
    checks: CheckConfig = CheckConfig()
    budget: BudgetConfig | None = None

    @model_validator(mode='after')
    def check_parents(self) -> Self:
        """Refuse parents and weights that name no section that is used."""
        used = {name for name in type(self).model_fields if getattr(self, name)} - {'extra', 'checks', 'budget'}
        used |= {'bulk', *(extra.strategy for extra in self.extra)}
        named = {f'{name}.of': getattr(getattr(self, name), 'of', None) for name in type(self).model_fields}
        named |= {f'extra.{index}.of': extra.of for index, extra in enumerate(self.extra)}
        named['budget.weights'] = list(self.budget.weights) if self.budget else None
        for place, names in named.items():
            if unknown := [name for name in names or () if name not in used]:
                raise ValueError(f'{place} names {unknown}; sections used here: {sorted(used)}')
        return self

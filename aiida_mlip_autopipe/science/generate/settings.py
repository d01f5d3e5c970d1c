"""A `StructureBuilder` out of plain settings, as they come from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.vacancy import Vacancies


def structure_builder(system: Mapping[str, Any], generate: Mapping[str, Any]) -> StructureBuilder:
    """Return the builder that the settings describe.

    :param system: fields of `TargetSystem`: lattice parameters in Å.
    :param generate: fields of `GeneratorConfig`: strains dimensionless, displacements and cutoffs in Å.
    """
    sqs, strain, rattle, vacancy = (generate[name] for name in ('sqs', 'strain', 'rattle', 'vacancy'))
    return StructureBuilder(
        prototype=system['prototype'],
        compositions=tuple(system['compositions']),
        lattice_parameters=system['lattice_parameters'],
        supercells=tuple((i, j, k) for i, j, k in system['supercells']),
        sqs_per_composition=sqs['per_composition'],
        sqs_steps=sqs['steps'],
        sqs_cutoffs=tuple(sqs['cutoffs']),
        strain=Strain(strain['count'], strain['max_strain'], tuple(strain['hydrostatic'])),
        rattle=Rattle(rattle['count'], rattle['stdev']),
        vacancies=Vacancies(vacancy['count'], vacancy['n_vacancies']),
    )

"""`BuilderMixin`: the inputs of a run out of a configuration, or out of a material and the name of a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from aiida import orm
from aiida.engine import ProcessBuilder
from aiida_quantumespresso.workflows.protocols.utils import ProtocolMixin, recursive_merge

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.workflows.edge import code_sections, run_inputs
from aiida_mlip_autopipe.workflows.material import sections_of


class BuilderMixin(ProtocolMixin):
    """Builders of the chains that run a whole configuration."""

    EXPLORES: ClassVar[bool] = False
    """Whether the section explore counts."""

    @classmethod
    def get_builder_from_config(cls, config: MLIPConfig | Path | str) -> ProcessBuilder:
        """Return the inputs of a run: all that the configuration names becomes a node, once.

        :param config: or the path of its YAML file.
        :raises InputError: a mistake in the file, or one line for each thing that is missing in this profile or on this disk.
        """
        checked = config if isinstance(config, MLIPConfig) else MLIPConfig.from_yaml(Path(config))
        builder = cls.get_builder()
        builder._update(run_inputs(checked, explores=cls.EXPLORES))
        builder.metadata.label = checked.name
        return builder

    @classmethod
    def get_protocol_filepath(cls) -> Path:
        """Return the file of the protocols."""
        return Path(__file__).parent / 'protocols' / 'run.yaml'

    @classmethod
    def get_builder_from_protocol(
        cls,
        material: Sequence[str] | orm.StructureData,
        codes: Mapping[str, orm.AbstractCode | str],
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return the inputs of a run on a material, by one of the protocols `fast`, `balanced` and `stringent`.

        :param material: chemical symbols, or a stored structure that is the base.
        :param codes: or their labels: `label`, such as `pw.x`; `worker` where it is not `mlip-worker@localhost`; `train`,
            `explore` and `lammps` where these run programs of their own.
        :param protocol: `balanced` where none is given.
        :param overrides: sections of the configuration, as its YAML file has them.
        :raises InputError: an unknown protocol or code, a mistake in the overrides, or what the profile lacks.
        """
        if protocol is not None and protocol not in (known := cls.get_available_protocols()):
            raise InputError(f'protocol: got {protocol!r}; must be one of {", ".join(known)}')
        merged = recursive_merge(cls.get_protocol_inputs(protocol), sections_of(material))
        merged = recursive_merge(recursive_merge(merged, code_sections(codes)), dict(overrides or {}))
        return cls.get_builder_from_config(MLIPConfig.from_mapping(merged))

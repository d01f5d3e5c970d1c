"""`WorkerCalculation`: base of the jobs that run one stage of `mlip-worker` on the compute machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from aiida import orm
from aiida.common.datastructures import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob

from aiida_mlip_autopipe.calculations.spec import BandedCalcJobSpec, set_job_defaults
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats import files

PLAIN_NODES = (orm.Dict, orm.List, orm.Str, orm.Int, orm.Float, orm.Bool)


class WorkerCalculation(CalcJob):
    """One stage of `mlip-worker`: plain inputs go into `settings.json`, frames and potentials into files named by their port."""

    _spec_class = BandedCalcJobSpec
    STAGE: ClassVar[str]
    PARSER: ClassVar[str]

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define what all stages share."""
        super().define(spec)
        spec.input('settings', valid_type=orm.Dict, help='Settings of the stage; units stand with the fields of the config.')
        set_job_defaults(spec, parser=cls.PARSER, input_file=files.SETTINGS, output_file=files.STDOUT)
        spec.inputs['code'].required = True
        spec.output('report', valid_type=orm.Dict, required=False, help='What the stage says about its result.')
        spec.exit_code(210, 'ERROR_INPUT_REFUSED', message='{message}')
        spec.exit_code(310, 'ERROR_REPORT_MISSING', message='The stage ended without a report: {stderr}')
        spec.exit_code(320, 'ERROR_OUTPUT_UNREADABLE', message='An output cannot be read: {cause}')
        spec.exit_code(401, 'ERROR_INSTALLATION', message='{message}', invalidates_cache=True)
        spec.exit_code(410, 'ERROR_STAGE_FAILED', message='{message}')

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        """Write the inputs of the stage and say what comes back."""
        plain: dict[str, Any] = {}
        arrays: list[str] = []
        for name, node in self.inputs.items():
            if isinstance(node, FramesData):
                node.frames.save(Path(folder.abspath) / files.arrays_file(name))
                arrays.append(files.arrays_file(name))
            elif isinstance(node, PotentialData):
                arrays.extend(self._write_potential(folder, name, node))
            elif isinstance(node, PLAIN_NODES):
                plain[name] = node.get_dict() if isinstance(node, orm.Dict) else _value_of(node)
        with folder.open(files.SETTINGS, 'w', encoding='utf-8') as handle:
            json.dump(plain, handle, indent=2, sort_keys=True)
        return self._calc_info(arrays)

    @staticmethod
    def _write_potential(folder: Folder, name: str, node: PotentialData) -> list[str]:
        with tempfile.TemporaryDirectory() as scratch:
            written = node.write(Path(scratch))
            for path in written:
                folder.get_subfolder(name, create=True).insert_path(str(path), path.name)
        return [f'{name}/{path.name}' for path in written]

    def _calc_info(self, arrays: list[str]) -> CalcInfo:
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        code.cmdline_params = [self.STAGE]
        code.stdout_name = files.STDOUT
        code.stderr_name = files.STDERR
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = [files.REPORT, files.ERROR, files.STDOUT, files.STDERR]
        info.retrieve_temporary_list = [(f'*{files.ARRAYS_SUFFIX}', '.', 0), files.POTENTIAL]
        info.provenance_exclude_list = arrays
        return info


def _value_of(node: orm.Data) -> Any:
    return node.get_list() if isinstance(node, orm.List) else node.value

"""`SimulateWorkChain`: relaxations or MD by aiida-lammps where its LAMMPS has the pair style, by mlip-worker where it has not."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import CalcJob, ExitCode, ToContext, WorkChain, if_

from aiida_mlip_autopipe.calculations.simulate_functions import OUTPUT, SCRIPT_PORT, lammps_inputs, read_lammps, wanted_files
from aiida_mlip_autopipe.calculations.simulate_worker import SimulateCalculation, validate_simulation
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, add_options_port, job_options
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.log import read_log
from aiida_mlip_autopipe.engines.lammps.simulation_files import lacks_style
from aiida_mlip_autopipe.workflows.processes import LAMMPS_RAW, find_process
from aiida_mlip_autopipe.workflows.programs import lacks_pair_styles


class SimulateWorkChain(WorkChain):
    """Each structure is relaxed or runs MD, all of them in one job."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input('frames', valid_type=FramesData, help='Start structures (Å).')
        spec.input('settings', valid_type=orm.Dict, validator=validate_simulation, help='As `Simulation`: K, fs, eV/Å.')
        spec.input('worker_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`.')
        spec.input('lammps_code', valid_type=orm.AbstractCode, required=False, help='Code of `lmp`, for aiida-lammps.')
        add_options_port(spec)
        spec.output('ends', valid_type=FramesData, required=False, help='The structures at their end (Å).')
        spec.output(
            'report',
            valid_type=orm.Dict,
            required=False,
            help='`averages` of each structure: volume (Å³), temperature (K), energy (eV), samples.',
        )
        spec.outline(
            cls.setup,
            if_(cls.should_run_lammps)(cls.run_lammps, cls.inspect_lammps),
            if_(cls.should_run_worker)(cls.run_worker, cls.inspect_worker),
        )
        spec.exit_code(410, 'ERROR_SIMULATION_FAILED', message='The simulation failed: {cause}')

    def setup(self) -> None:
        """Choose the program."""
        self.ctx.is_done = False
        self.ctx.has_program = False
        if 'lammps_code' not in self.inputs:
            return
        code, lines = self.inputs.lammps_code, self.inputs.potential.record.pair_lines
        self.ctx.has_program = not lacks_pair_styles(code, lines)
        if not self.ctx.has_program:
            self.report(f'{code.full_label} has not the pair style of "{lines[0]}": mlip-worker runs it')

    def should_run_lammps(self) -> bool:
        """Whether the LAMMPS of the code has the pair style, or nobody can say before it is tried."""
        return bool(self.ctx.has_program)

    def run_lammps(self) -> Any:
        """Submit aiida-lammps's job."""
        given = {name: self.inputs[name] for name in ('potential', 'frames', 'settings')}
        nodes = lammps_inputs(**given)
        options = {**job_options(self.inputs.options.get_dict()), 'environment_variables': {'OMP_NUM_THREADS': '1'}}
        child = self.submit(
            find_process(LAMMPS_RAW, 'properties.lammps_code'),
            code=self.inputs.lammps_code,
            script=nodes.pop(SCRIPT_PORT),
            files=nodes,
            settings=orm.Dict({'additional_retrieve_list': wanted_files(len(self.inputs.frames))}),
            metadata={'call_link_label': 'lammps', 'options': options},
        )
        return ToContext(lammps=child)

    def inspect_lammps(self) -> ExitCode | None:
        """Take over what it gave; without the pair style mlip-worker is next."""
        child = self.ctx.lammps
        if not child.is_finished_ok:
            if 'retrieved' in child.outputs and lacks_style(read_log(_output_of(child))):
                self.report(f'{self.inputs.lammps_code.full_label} has not the pair style: mlip-worker runs it')
                return None
            return self.exit_codes.ERROR_SIMULATION_FAILED.format(cause=child.exit_message or child.process_state)
        given = {name: self.inputs[name] for name in ('potential', 'frames', 'settings')}
        outputs, node = read_lammps.run_get_node(**given, retrieved=child.outputs.retrieved)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_SIMULATION_FAILED.format(cause=node.exit_message)
        self.out_many(outputs)
        self.ctx.is_done = True
        return None

    def should_run_worker(self) -> bool:
        """Whether no other program did it."""
        return not self.ctx.is_done

    def run_worker(self) -> Any:
        """Submit the job of mlip-worker."""
        child = self.submit(
            SimulateCalculation,
            code=self.inputs.worker_code,
            metadata={'call_link_label': 'worker', 'options': job_options(self.inputs.options.get_dict())},
            **{name: self.inputs[name] for name in ('potential', 'frames', 'settings')},
        )
        return ToContext(worker=child)

    def inspect_worker(self) -> ExitCode | None:
        """Take over what it gave."""
        child = self.ctx.worker
        if not child.is_finished_ok:
            return self.exit_codes.ERROR_SIMULATION_FAILED.format(cause=child.exit_message or child.process_state)
        self.out_many({name: child.outputs[name] for name in ('ends', 'report')})
        return None


def _output_of(child: CalcJob) -> str:
    repository = child.outputs.retrieved.base.repository
    return repository.get_object_content(OUTPUT) if OUTPUT in repository.list_object_names() else ''

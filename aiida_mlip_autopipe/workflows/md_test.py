"""`MdTestWorkChain`: the second part of the test set, frames of MD from its own lineages at each temperature of the ladder."""

from __future__ import annotations

from typing import Any, Final

from aiida import orm
from aiida.engine import ExitCode

from aiida_mlip_autopipe.calculations.lammps_md import LammpsMdCalculation
from aiida_mlip_autopipe.calculations.testset_functions import choose_md_frames, pick_md_starts
from aiida_mlip_autopipe.config.loop import ActiveLearningConfig
from aiida_mlip_autopipe.engines.lammps.explorer import sampling
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.testset import md_shares, temperatures_of
from aiida_mlip_autopipe.workflows.stages import StagesWorkChain

NEVER: Final = 1e9
"""Grade that no atom reaches: which frames are tested must not depend on what the potential knows."""

LINK: Final = 'explore_test'


class MdTestWorkChain(StagesWorkChain):
    """The stages, and MD beside each exploration until every temperature has its frames in the test set; the outline is not here.

    It runs in mlip-worker, which runs the potentials of every trainer of this package. What is in the test set stays in: only
    temperatures without a labelled frame are tried again with the next potential.
    """

    def setup(self) -> None:
        """Note how many frames each temperature shall give."""
        super().setup()
        loop = ActiveLearningConfig.model_validate(self.ctx.config['loop'])
        shares = md_shares(loop.test_md_labels, self.ctx.config['explore']['temperatures']) if loop.buys_md_test else {}
        self.ctx.md_shares = {str(temperature): count for temperature, count in shares.items()}
        self.ctx.md_jobs = {}

    def submit_md_test(self, *, is_last: bool) -> dict[str, Any]:
        """Submit MD at each temperature that has no frames yet and can be paid, and return the jobs by name in the context.

        :param is_last: whether no label is bought any more.
        """
        self.ctx.md_jobs, self.ctx.md_report = {}, None
        wanted = self._payable()
        if is_last or not wanted or self.ctx.test_bases is None:
            return {}
        starts = pick_md_starts(self.ctx.test_bases, self.ctx.settings['explore'], self._test_seed())
        children = {}
        for index, temperature in enumerate(wanted):
            children[f'md_test_{index}'] = self.submit(
                LammpsMdCalculation,
                code=self.inputs.codes.worker,
                potential=self.ctx.potential,
                starts=starts,
                temperature=orm.Float(float(temperature)),
                seed=orm.Int(self._test_seed().value + index),
                round=orm.Int(self.ctx.round),
                settings=orm.Dict(self._md_settings(wanted[temperature])),
                metadata=self._metadata(LINK),
            )
        self.ctx.md_jobs = dict(zip(children, wanted, strict=True))
        return children

    def take_md_test(self) -> None:
        """Choose the frames to label for the test set, and say where there are none."""
        if not self.ctx.md_jobs:
            return
        parts: dict[str, orm.Data] = {}
        for name, temperature in self.ctx.md_jobs.items():
            child = self.ctx[name]
            for port, kind in (('report', 'report'), ('candidates', 'samples')):
                if port in child.outputs:
                    parts[f'{kind}_{name}'] = child.outputs[port]
            if not child.is_finished_ok:
                self.report(f'MD for the test set at {temperature} K failed: {child.exit_message or child.process_state}')
        wanted = [[float(temperature), self.ctx.md_shares[temperature]] for temperature in self.ctx.md_jobs.values()]
        found = choose_md_frames(orm.List(wanted), self._test_limits(), self._test_seed(), **parts)
        self.ctx.md_report, self.ctx.for_test = found['report'], found.get('frames')
        for told in found['report']['temperatures']:
            if not told['n_frames']:
                self.report(f'the test set has no frames of MD at {told["temperature"]:g} K yet: {told["reasons"] or "none ran"}')

    def inspect_label(self) -> ExitCode | None:
        """Take over the labels; a temperature of whose frames none was labelled is tried again with the next potential."""
        ended = super().inspect_label()
        if self.ctx.md_jobs and 'test' in self.ctx:
            there = set(map(str, temperatures_of(self.ctx.test.frames).tolist()))
            for temperature in set(self.ctx.md_jobs.values()) & there:
                self.ctx.md_shares.pop(temperature, None)
        return ended

    def _payable(self) -> dict[str, int]:
        """Return the shares of the temperatures without frames, within the budget and with a label left for training."""
        left = self.ctx.config['loop']['max_labels'] - self.ctx.labels_total - 1
        wanted: dict[str, int] = {}
        for temperature, count in self.ctx.md_shares.items():
            if sum(wanted.values()) + count <= left:
                wanted[temperature] = count
        return wanted

    def _md_settings(self, samples: int) -> dict[str, Any]:
        changes = {'temperature_end': None, 'quench': 'none', 'gamma_select': NEVER, 'gamma_halt': 2 * NEVER}
        return sampling(Explorer.of(self.ctx.config['explore']), samples, max_candidates=samples, **changes)

    def _kept_for_md(self) -> int:
        """Return the labels of the second part, and one for training in the round that buys it."""
        return sum(self.ctx.md_shares.values()) + 1 if self.ctx.md_shares else 0

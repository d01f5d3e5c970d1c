"""The processes of AiiDA: those of aiida-mlip-autopipe, with other stages."""

from aiida_mlip_autopipe.calculations.label_ase import LabelAseCalculation
from aiida_mlip_autopipe.calculations.linear_fit import LinearFitCalculation


class PairLabelCalculation(LabelAseCalculation):
    STAGE = 'pairs.label'


class PairTrainCalculation(LinearFitCalculation):
    STAGE = 'pairs.train'
    PARSER = 'mlip_autopipe.pod'

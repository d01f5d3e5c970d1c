"""Submit the loop of a configuration to the daemon: verdi run examples/almg/run_active_learning.py [CONFIG]."""

import sys
from pathlib import Path

from aiida.engine import submit

from aiida_mlip_autopipe.workflows.active_learning import ActiveLearningWorkChain

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / 'config.yaml'
node = submit(ActiveLearningWorkChain.get_builder_from_config(path))
print(f'submitted ActiveLearningWorkChain<{node.pk}>; watch it with: verdi process status {node.pk}')

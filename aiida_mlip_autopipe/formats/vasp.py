"""Whether the self-consistency cycles of VASP converged: what ASE's readers do not say, and a label needs."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

REACHED: Final = 'aborting loop because EDIFF is reached'
"""What OUTCAR says after each cycle that converged."""


def unconverged_steps(path: Path) -> int:
    """Return how many ionic steps of an OUTCAR or a vasprun.xml are not known to have converged; 0 for any other file."""
    if 'OUTCAR' in path.name:
        text = path.read_text(encoding='utf-8', errors='replace')
        return max(0, len(re.findall(r'free  energy   TOTEN', text)) - text.count(REACHED))
    return _unconverged_in_xml(path) if 'vasprun' in path.name else 0


def _unconverged_in_xml(path: Path) -> int:
    """Return the number of calculations that took as many electronic steps as were allowed."""
    root = ET.parse(path).getroot()
    limit = next((int(str(item.text)) for item in root.iter('i') if item.get('name') == 'NELM'), 0)
    steps = [len(calculation.findall('scstep')) for calculation in root.iter('calculation')]
    return sum(limit > 1 and count >= limit for count in steps)

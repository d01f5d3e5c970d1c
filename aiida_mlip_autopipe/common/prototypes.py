"""Crystal prototypes by name and the number of sites in the primitive cell of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

SITES_PER_CELL: Final[Mapping[str, int]] = MappingProxyType({'fcc': 1, 'bcc': 1, 'sc': 1, 'hcp': 2, 'diamond': 2})

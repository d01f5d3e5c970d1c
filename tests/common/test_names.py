import pytest

from aiida_mlip_autopipe.common.names import nearest_name

PROTOTYPES = ('fcc', 'bcc', 'L1_0', 'L1_2', 'D0_3')


@pytest.mark.parametrize(
    ('name', 'meant'), [('fc', 'fcc'), ('FCC', 'fcc'), ('l12', 'L1_2'), ('DO_3', 'D0_3'), ('perovskite', ''), ('', '')]
)
def test_what_was_meant(name: str, meant: str) -> None:
    assert nearest_name(name, PROTOTYPES) == meant

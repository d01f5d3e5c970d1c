import re

from aiida_mlip_autopipe.formats.restarts import RESTARTS, restart_file


def test_names_sort_in_the_order_of_the_starts():
    names = [restart_file(index) for index in (0, 2, 10, 100)]
    assert names == sorted(names)
    assert names[0] == 'restart_000.lammps'


def test_the_folder_is_a_plain_name():
    assert re.fullmatch(r'[a-z]+', RESTARTS)

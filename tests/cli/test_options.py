import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aiida_mlip_autopipe.cli.options import NO_PROFILE, fail_with_one_sentence, load_profile
from aiida_mlip_autopipe.common.errors import FormatError, InputError, MlipError


@pytest.mark.parametrize('error', [MlipError, InputError, FormatError])
def test_errors_raised_on_purpose_become_one_message(error):
    @fail_with_one_sentence
    def command():
        raise error('what is wrong')

    with pytest.raises(click.ClickException, match=r'^what is wrong$') as caught:
        command()
    assert caught.value.exit_code == 1


def test_other_errors_stay_what_they_are():
    @fail_with_one_sentence
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_the_decorated_command_keeps_its_name_and_help():
    @fail_with_one_sentence
    def command():
        """Help."""

    assert (command.__name__, command.__doc__) == ('command', 'Help.')


def test_the_loaded_profile_is_kept(aiida_profile, aiida_manager):
    load_profile()
    assert aiida_manager.get_profile().name == aiida_profile.name


@pytest.mark.parametrize('arguments', [['status', '1'], ['setup'], ['export', '1', '--db', 'a.db']])
def test_without_a_profile_one_sentence_says_what_to_do(tmp_path, arguments):
    program = Path(sys.executable).parent / 'mlip-auto'
    environment = {**os.environ, 'AIIDA_PATH': str(tmp_path)}
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 1
    assert f'Error: {NO_PROFILE}' in done.stderr
    assert 'Traceback' not in done.stderr

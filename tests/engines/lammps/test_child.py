import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.engines.lammps.child import run_in_child

ENVIRONMENT = dict(os.environ)
PATIENCE = 10.0  # s
PARENT = """
import os, sys
from aiida_mlip_autopipe.engines.lammps.child import run_in_child
program = "import os, subprocess, sys, time; "
if sys.argv[2] == "family":
    program += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    program += "open(sys.argv[1], 'w').write(f'{os.getpid()} {p.pid}'); "
else:
    program += "open(sys.argv[1], 'w').write(f'{os.getpid()}'); "
program += "time.sleep(60)"
run_in_child([sys.executable, "-c", program, sys.argv[1]], environment=dict(os.environ))
"""


def python(program, **options):
    return run_in_child([sys.executable, '-c', program], environment=ENVIRONMENT, **options)


def is_running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


def wait_for(condition):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def start_parent(tmp_path, kind):
    """Start a parent whose child waits; return the parent and the process numbers below it."""
    note = tmp_path / 'pids'
    parent = subprocess.Popen([sys.executable, '-c', PARENT, str(note), kind], stderr=subprocess.DEVNULL)
    assert wait_for(lambda: note.exists() and note.read_text())
    time.sleep(0.05)
    return parent, [int(word) for word in note.read_text().split()]


def test_output_is_handed_back(tmp_path):
    assert python('import os; print(os.getcwd())', folder=tmp_path).strip() == str(tmp_path)


def test_environment_is_passed_on():
    arguments = [sys.executable, '-c', 'import os; print(os.environ["COLOUR"])']
    assert run_in_child(arguments, environment={**ENVIRONMENT, 'COLOUR': 'blue'}).strip() == 'blue'


def test_a_crash_names_the_signal_and_quotes_the_error_output():
    program = 'import os, signal, sys; sys.stderr.write("last words"); sys.stderr.flush(); os.kill(os.getpid(), signal.SIGSEGV)'
    with pytest.raises(EngineError, match=r'SIGSEGV.*last words'):
        python(program)


def test_an_exit_code_is_an_error():
    with pytest.raises(EngineError, match='exit code 7'):
        python('raise SystemExit(7)')


def test_only_the_tail_of_the_error_output_is_quoted():
    with pytest.raises(EngineError) as caught:
        python('import sys; [print("line", i, file=sys.stderr) for i in range(100)]; sys.exit(1)')
    assert 'line 99' in str(caught.value)
    assert 'line 10\n' not in str(caught.value)


def test_a_missing_program_is_an_error():
    with pytest.raises(EngineError, match='could not be started'):
        run_in_child(['/nowhere/lmp'], environment=ENVIRONMENT)


def test_time_limit():
    began = time.monotonic()
    with pytest.raises(EngineError, match=r'time limit of 0\.5 s'):
        python('import time; time.sleep(60)', timeout=0.5)
    assert time.monotonic() - began < PATIENCE


def test_much_output_does_not_block():
    assert len(python('print("x" * 3_000_000)')) > 3_000_000


def test_it_works_in_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(python('print(1)')))
    thread.start()
    thread.join()
    assert found == ['1\n']


def test_the_signal_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    python('pass')
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_child_dies_with_a_parent_that_is_killed(tmp_path):
    parent, pids = start_parent(tmp_path, 'alone')
    assert all(is_running(pid) for pid in pids)
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not any(is_running(pid) for pid in pids))


def test_the_whole_group_dies_with_a_parent_that_is_terminated(tmp_path):
    parent, pids = start_parent(tmp_path, 'family')
    assert len(pids) == 2
    assert all(is_running(pid) for pid in pids)
    parent.terminate()
    assert parent.wait(timeout=PATIENCE) == 128 + signal.SIGTERM
    assert wait_for(lambda: not any(is_running(pid) for pid in pids))

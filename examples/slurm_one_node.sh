#!/usr/bin/env bash
# A Slurm cluster of this machine alone, without systemd: for tests and for trying things out, not for work.
#
#   slurm_one_node.sh start FOLDER   starts munged, slurmctld and slurmd; their files lie in FOLDER, slurm.conf among them
#   slurm_one_node.sh stop FOLDER    stops those three, and no other
#
# Needs root and the packages slurm-wlm and munge. Slurm's commands find the cluster by SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail

WAIT=30 # s, for a service to start or to end
fail() { printf 'ERROR: %s\n' "$*" >&2; exit 1; }
[ $# = 2 ] || fail "usage: $0 start|stop FOLDER"
FOLDER=$(mkdir -p "$2" && cd "$2" && pwd)
export SLURM_CONF=$FOLDER/slurm.conf

write_conf() {
    local facts
    facts=$(slurmd -C | head -n 1)
    cat >"$SLURM_CONF" <<END
ClusterName=onenode
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-6817}
SlurmdPort=${SLURMD_PORT:-6818}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$FOLDER/munge.socket
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/slurmctld.pid
SlurmdPidFile=$FOLDER/slurmd.pid
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
SlurmctldDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
MpiDefault=none
SchedulerParameters=batch_sched_delay=0,sched_interval=1
KillWait=15
$facts NodeAddr=127.0.0.1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

wait_until() {
    for _ in $(seq $((WAIT * 10))); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    tail -n 5 "$FOLDER"/*.log >&2 || true
    fail "waited $WAIT s in vain for: $*"
}

is_idle() { sinfo --noheader --format=%T | grep -qE '^(idle|mixed|allocated)$'; }
has_ended() { ! kill -0 "$1"; }

start() {
    [ "$(id -u)" = 0 ] || fail "the services of Slurm must be started by root"
    for program in munged slurmctld slurmd; do
        command -v "$program" >/dev/null || fail "$program is not installed (apt-get install slurm-wlm munge)"
    done
    mkdir -p "$FOLDER/state" "$FOLDER/spool"
    [ -s "$FOLDER/munge.key" ] || (umask 077 && head -c 128 /dev/urandom >"$FOLDER/munge.key")
    write_conf
    # --force: the folder may lie below one that others can write, such as /tmp
    munged --force --key-file="$FOLDER/munge.key" --socket="$FOLDER/munge.socket" --pid-file="$FOLDER/munged.pid" \
        --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munged.seed" 2>/dev/null
    slurmctld -c
    slurmd
    wait_until is_idle
}

stop() {
    for name in slurmd slurmctld munged; do
        [ -s "$FOLDER/$name.pid" ] || continue
        local pid
        pid=$(cat "$FOLDER/$name.pid")
        if kill "$pid" 2>/dev/null; then wait_until has_ended "$pid"; fi
    done
}

case $1 in
    start) start ;;
    stop) stop ;;
    *) fail "usage: $0 start|stop FOLDER" ;;
esac

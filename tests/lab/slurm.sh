#!/usr/bin/env bash
# A private SLURM cluster of one node, on free ports, with its own munge: several can run side by side. Root only.
#   slurm.sh install | start DIR | stop DIR | status DIR
# After `start DIR`, `. DIR/environment` lets sbatch, squeue and the others find it.
set -euo pipefail

usage() {
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

install_packages() {
  command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v munged >/dev/null && return
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurm-wlm munge >/dev/null
}

free_ports() {
  python3 - "$1" <<'PY'
import socket, sys

sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in sockets:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in sockets))
PY
}

can_limit_memory() {
  local probe=/sys/fs/cgroup/memory/seamless-lab-$$
  mkdir "$probe" 2>/dev/null && rmdir "$probe"
}

write_configuration() {
  local dir=$1 host ctld_port d_port tasks=none memory='' cgroups=CgroupPlugin=autodetect
  host=$(hostname -s)
  if can_limit_memory; then # then a job that takes more than it has asked for meets the kernel
    tasks=cgroup memory=_Memory
    cgroups=$'CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes'
  fi
  read -r ctld_port d_port <<<"$(free_ports 2)"
  mkdir -p "$dir"/{state,spool,log,munge}
  chmod 0755 "$dir" "$dir/munge"
  cat >"$dir/slurm.conf" <<CONF
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmdPort=$d_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CryptoType=crypto/munge
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/$tasks
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.log
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core$memory
FirstJobId=$((RANDOM * 1000 + 1))
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=$host MaxTime=1 State=UP
CONF
  printf '%s\n' "$cgroups" >"$dir/cgroup.conf"
  printf 'export SLURM_CONF=%q\n' "$dir/slurm.conf" >"$dir/environment"
}

start() {
  local dir=$1 deadline
  install_packages
  if status "$dir" 2>/dev/null; then return; fi
  write_configuration "$dir"
  head -c 1024 /dev/urandom >"$dir/munge/key"
  chmod 0600 "$dir/munge/key"
  # --force: the directory may lie below one that everybody can write to
  munged --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" --pid-file="$dir/munge/pid" \
    --seed-file="$dir/munge/seed" --log-file="$dir/log/munged.log" 2>>"$dir/log/munged.log"
  export SLURM_CONF=$dir/slurm.conf
  slurmctld
  slurmd -N "$(hostname -s)"
  deadline=$((SECONDS + 30))
  until [[ $(sinfo -h -p main -o %t 2>/dev/null) == idle ]]; do
    if ((SECONDS > deadline)); then
      tail -n 20 "$dir"/log/*.log >&2
      stop "$dir"
      printf 'SLURM is not up after 30 s\n' >&2
      exit 1
    fi
    sleep 0.1
  done
}

alive() { # a process that is there and not a zombie
  [[ -r /proc/$1/stat ]] && [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) != Z* ]]
}

stop() {
  local dir=$1 file pid deadline
  export SLURM_CONF=$dir/slurm.conf
  if [[ -f $dir/slurmctld.pid ]]; then
    timeout 10 scancel --user=root --full 2>/dev/null || true
    timeout 10 squeue -h -o %i 2>/dev/null | xargs -r timeout 10 scancel 2>/dev/null || true
  fi
  for file in "$dir/slurmd.pid" "$dir/slurmctld.pid" "$dir/munge/pid"; do
    [[ -f $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || true
    deadline=$((SECONDS + 10))
    while alive "$pid" && ((SECONDS < deadline)); do sleep 0.1; done
    if alive "$pid"; then kill -9 "$pid" 2>/dev/null || true; fi
    rm -f -- "$file"
  done
  remove_groups "$dir"
}

remove_groups() { # of its jobs: SLURM leaves them behind
  local first group deadline=$((SECONDS + 5))
  first=$(sed -n 's/^FirstJobId=//p' "$1/slurm.conf")
  for group in /sys/fs/cgroup/memory/slurm_*/uid_*/job_"${first%001}"???; do
    while [[ -d $group ]] && ! find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && ((SECONDS < deadline)); do
      sleep 0.1 # its last processes are just ending
    done
  done
}

status() {
  local dir=$1
  [[ -f $dir/slurm.conf ]] && SLURM_CONF=$dir/slurm.conf timeout 10 sinfo -h -p main -o '%P %t'
}

case "${1-} ${2-}" in
"install ") install_packages ;;
"start "?* | "stop "?* | "status "?*) "$1" "$(realpath -m -- "$2")" ;;
*) usage ;;
esac

#!/usr/bin/env bash
# OAR on this machine with one node, as if of 16 cores, on PostgreSQL; jobs are submitted by the user `oarlab`. Root only.
# There is one per machine (the packages keep their settings in /etc/oar).
#   oar.sh install | start | stop | status
set -euo pipefail

conf=/etc/oar/oar.conf
run=/run/oar-lab
user=oarlab

usage() {
  sed -n '2,4s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

install_packages() {
  if ! command -v oarsub >/dev/null || ! command -v oarnodesetting >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends oar-server oar-server-pgsql oar-node \
      oar-user oar-user-pgsql postgresql libdbd-pg-perl openssh-server lsb-base >/dev/null
  fi
  id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
}

configure() {
  sed -i -E \
    -e 's/^#? ?(DB_BASE_PASSWD)=.*/\1="oar"/' \
    -e 's/^#? ?(DB_BASE_PASSWD_RO)=.*/\1="oar_ro"/' \
    -e 's/^(JOB_RESOURCE_MANAGER_PROPERTY_DB_FIELD=.*)/#\1/' \
    -e 's/^(JOB_RESOURCE_MANAGER_FILE=.*)/#\1/' \
    -e 's/^(SCHEDULER_JOB_SECURITY_TIME)=.*/\1="1"/' \
    -e 's/^(FINAUD_FREQUENCY)=.*/\1="0"/' \
    -e 's/^(LOG_LEVEL)=.*/\1="3"/' "$conf"
}

cluster_version() {
  pg_lsclusters --no-header | awk '$2 == "main" {print $1; exit}'
}

quietly() { # show what a command says only if it fails
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f -- "$log"
    return 1
  fi
  rm -f -- "$log"
}

start() {
  local deadline core known
  install_packages
  mkdir -p /run/sshd "$run"
  if status >/dev/null 2>&1; then return; fi
  stop_server
  configure
  pg_lsclusters --no-header | grep -q ' online' || pg_ctlcluster --skip-systemctl-redirect "$(cluster_version)" main start
  oar-database --check >/dev/null 2>&1 || quietly oar-database --create --db-is-local -y
  if ! sshd_runs; then
    /usr/sbin/sshd -f /etc/oar/sshd_config -o ListenAddress=127.0.0.1 -o "PidFile=$run/sshd.pid" 2>/dev/null
  fi
  quietly /etc/init.d/oar-server start
  if [[ $(oarnodes -s 2>/dev/null) != *localhost* ]]; then # in a pipe, oarnodes could die of a grep that has seen enough
    for property in host cpu core; do
      if [[ $property == host ]]; then oarproperty -q -c -a host >/dev/null; else oarproperty -q -a "$property" >/dev/null; fi
    done || true
  fi
  known=" $(oarnodes 2>/dev/null | grep -o 'core=[0-9]*' | tr '\n' ' ' || true)"
  for core in {1..16}; do # one job each: what is launched together is launched sooner
    [[ $known == *" core=$core "* ]] ||
      oarnodesetting -a -h localhost -p host=localhost -p cpu=1 -p "core=$core" -p "cpuset=$((core - 1))" >/dev/null
  done
  deadline=$((SECONDS + 30))
  until status >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then
      tail -n 20 /var/log/oar.log >&2
      printf 'OAR is not up after 30 s\n' >&2
      exit 1
    fi
    sleep 0.2
  done
  # What a server before this one has left behind: their node is suspected to be broken.
  end_jobs
  oarnodesetting -s Alive --sql "state = 'Suspected'" >/dev/null 2>&1 || true # there may be none
}

jobs_left() {
  timeout 10 oarstat 2>/dev/null | awk '$1 ~ /^[0-9]+$/ {print $1}'
}

end_jobs() { # and wait for their end: a server that is stopped before that takes their node for a broken one
  local deadline=$((SECONDS + 30)) left
  left=$(jobs_left)
  [[ -n $left ]] || return 0
  # shellcheck disable=SC2086  # one word a job
  oardel $left >/dev/null 2>&1 || true
  while [[ -n $(jobs_left) ]] && ((SECONDS < deadline)); do sleep 0.2; done
}

sshd_runs() {
  [[ -f $run/sshd.pid ]] && kill -0 "$(<"$run/sshd.pid")" 2>/dev/null
}

almighty() { # the processes of the server: the init script leaves some behind
  pgrep -f '^(/usr/bin/perl )?(.*/)?Almighty' || true
}

stop_server() {
  local pid group
  for signal in TERM KILL; do
    for pid in $(almighty); do
      group=$(ps -o pgid= -p "$pid" | tr -d ' ') || continue
      if [[ -n $group && $group != 1 ]]; then kill "-$signal" -- "-$group" 2>/dev/null || true; fi
    done
    [[ -z $(almighty) ]] && break
    sleep 1
  done
  rm -f /run/oar-server.pid /var/run/oar-server.pid
}

stop() {
  if [[ -n $(almighty) ]]; then end_jobs; fi
  stop_server
  if sshd_runs; then kill "$(<"$run/sshd.pid")"; fi
  rm -f -- "$run/sshd.pid"
  pg_ctlcluster --skip-systemctl-redirect "$(cluster_version)" main stop -m fast 2>/dev/null || true
}

status() {
  [[ -n $(almighty) ]] && timeout 10 oarnodes -s | grep Alive
}

case "${1-}" in
install) install_packages ;;
start | stop | status) "$1" ;;
*) usage ;;
esac

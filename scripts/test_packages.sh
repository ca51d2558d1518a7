#!/usr/bin/env bash
# Installs the Debian packages that the tests use and a plain machine may lack. Root only; others are told.
set -euo pipefail

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")

packages=()
need() { # need COMMAND PACKAGE...: the packages, if the command is missing
  command -v "$1" >/dev/null || [[ -x /usr/sbin/$1 ]] || packages+=("${@:2}")
}
need zsh zsh
need fish fish
need tmux tmux
need mandoc mandoc
need sshd openssh-server
need ssh openssh-client
need ip iproute2
need gcc gcc libc6-dev
need chromium chromium fonts-dejavu-core
need chromedriver chromium-driver
need g++ g++
need gfortran gfortran
need rustc rustc
need go golang-go
need systemd-analyze systemd
need slurmctld slurm-wlm munge
need oarsub oar-server oar-server-pgsql oar-node oar-user oar-user-pgsql postgresql libdbd-pg-perl lsb-base

if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  if ((${#packages[@]} > 0)); then
    printf 'Some tests will be skipped; to have them: apt-get install %s\n' "${packages[*]}" >&2
  fi
  exit 0
fi
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
if ((${#packages[@]} > 0)); then
  export DEBIAN_FRONTEND=noninteractive
  if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
    tail -n 20 -- "$log" >&2
    printf 'cannot install %s\n' "${packages[*]}" >&2
    exit 1
  fi
fi
if ! "$root/tests/lab/apptainer.sh" install >"$log" 2>&1; then
  tail -n 20 -- "$log" >&2
  printf 'cannot install Apptainer\n' >&2
  exit 1
fi

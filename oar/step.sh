#!/usr/bin/env bash
# One step as a batch job, with the words of seamless-run, after variables that it needs:
#   oarsub -S "./oar/step.sh SEAMLESS_CACHE=$HOME/cache sort words.txt"
# A job that is submitted again finds what it had finished.
#OAR -n seamless-step
#OAR -l /core=1,walltime=01:00:00
set -euo pipefail

# Leading words NAME=VALUE become variables, as OAR passes none on.
while [[ ${1:-} =~ ^[A-Z_][A-Z0-9_]*= ]]; do
  declare -x "$1"
  shift
done
if (($# == 0)); then
  printf 'usage: oarsub -S "step.sh [NAME=VALUE...] [options of seamless-run] COMMAND [ARG...]"\n' >&2
  exit 2
fi
# Through a front end's services: see services.sh. With SEAMLESS_CACHE set, that directory is used instead.
if [[ -z ${SEAMLESS_CACHE:-} && -O .seamless-clients.json ]]; then
  SEAMLESS_REMOTE_CLIENTS=$(<.seamless-clients.json)
  export SEAMLESS_REMOTE_CLIENTS
fi
exec seamless-run --yes "$@"

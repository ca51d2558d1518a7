#!/usr/bin/env bash
# One step as a batch job, with the words of seamless-run:
#   sbatch slurm/step.sh sort words.txt
#   sbatch --cpus-per-task 8 slurm/step.sh -c 'sort words.txt > sorted.txt'
# A job that is requeued, or submitted again, finds what it had finished.
#SBATCH --job-name=seamless-step
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --time=01:00:00
set -euo pipefail
if (($# == 0)); then
  printf 'usage: sbatch step.sh [options of seamless-run] COMMAND [ARG...]\n' >&2
  exit 2
fi
# Through a front end's services: see services.sh. With SEAMLESS_CACHE set, that directory is used instead.
if [[ -z ${SEAMLESS_CACHE:-} && -O .seamless-clients.json ]]; then
  SEAMLESS_REMOTE_CLIENTS=$(<.seamless-clients.json)
  export SEAMLESS_REMOTE_CLIENTS
fi
exec seamless-run --yes "$@"

#!/usr/bin/env bash
# One task of a job array for each line of a file with command lines:
#   sbatch --array=1-"$(grep -c '' commands.txt)" slurm/array.sh commands.txt [options of seamless-run]
# Any task may be requeued at any time: a line that was finished is looked up, not executed.
#SBATCH --job-name=seamless-array
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=seamless-array-%A_%a.out
#SBATCH --time=01:00:00
set -euo pipefail
if (($# == 0)) || [[ -z ${SLURM_ARRAY_TASK_ID:-} ]]; then
  printf 'usage: sbatch --array=1-N array.sh COMMANDS [options of seamless-run]\n' >&2
  exit 2
fi
commands=$1
shift
line=$(sed -n "${SLURM_ARRAY_TASK_ID}p" -- "$commands")
line=${line%$'\r'}
if [[ -z $line ]]; then
  printf 'array.sh: %s has no line %s\n' "$commands" "$SLURM_ARRAY_TASK_ID" >&2
  exit 2
fi
# Through a front end's services: see services.sh. With SEAMLESS_CACHE set, that directory is used instead.
if [[ -z ${SEAMLESS_CACHE:-} && -O .seamless-clients.json ]]; then
  SEAMLESS_REMOTE_CLIENTS=$(<.seamless-clients.json)
  export SEAMLESS_REMOTE_CLIENTS
fi
exec seamless-run --yes "$@" -c "$line"

#!/usr/bin/env bash
# One job of an array for each line of a file with command lines:
#   oarsub --array "$(grep -c '' commands.txt)" -S "./oar/array.sh SEAMLESS_CACHE=$HOME/cache commands.txt"
# Any job may be ended and submitted again: a line that was finished is looked up, not executed.
#OAR -n seamless-array
#OAR -l /core=1,walltime=01:00:00
set -euo pipefail

# Leading words NAME=VALUE become variables, as OAR passes none on.
while [[ ${1:-} =~ ^[A-Z_][A-Z0-9_]*= ]]; do
  declare -x "$1"
  shift
done
if (($# == 0)) || [[ -z ${OAR_ARRAY_INDEX:-} ]]; then
  printf 'usage: oarsub --array N -S "array.sh [NAME=VALUE...] COMMANDS [options of seamless-run]"\n' >&2
  exit 2
fi
commands=$1
shift
line=$(sed -n "${OAR_ARRAY_INDEX}p" -- "$commands")
line=${line%$'\r'}
if [[ -z $line ]]; then
  printf 'array.sh: %s has no line %s\n' "$commands" "$OAR_ARRAY_INDEX" >&2
  exit 2
fi
# Through a front end's services: see services.sh. With SEAMLESS_CACHE set, that directory is used instead.
if [[ -z ${SEAMLESS_CACHE:-} && -O .seamless-clients.json ]]; then
  SEAMLESS_REMOTE_CLIENTS=$(<.seamless-clients.json)
  export SEAMLESS_REMOTE_CLIENTS
fi
exec seamless-run --yes "$@" -c "$line"

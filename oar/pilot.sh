#!/usr/bin/env bash
# A pilot job: one allocation that works through a file with command lines, as many at a time as it has cores.
#   oarsub -l /core=16,walltime=8:00:00 -S "./oar/pilot.sh SEAMLESS_CACHE=$HOME/cache commands.txt"
# Two minutes before its time is over it stops, and OAR submits it again for the rest. Several may share a file.
#OAR -n seamless-pilot
#OAR -t idempotent
#OAR --checkpoint 120
#OAR --signal 10
#OAR -l /core=1,walltime=01:00:00
set -uo pipefail # not -e: what fails is counted

# Leading words NAME=VALUE become variables, as OAR passes none on.
while [[ ${1:-} =~ ^[A-Z_][A-Z0-9_]*= ]]; do
  declare -x "$1"
  shift
done
if (($# == 0)); then
  printf 'usage: oarsub -S "pilot.sh [NAME=VALUE...] COMMANDS [options of seamless-run]"\n' >&2
  exit 2
fi
commands=$1
shift
options=("$@")
width=${SEAMLESS_PILOT_WIDTH:-$(sort -- "${OAR_NODE_FILE:-/dev/null}" | wc -l)}
((width > 0)) || width=1
# Through a front end's services: see services.sh. With SEAMLESS_CACHE set, that directory is used instead.
if [[ -z ${SEAMLESS_CACHE:-} && -O .seamless-clients.json ]]; then
  SEAMLESS_REMOTE_CLIENTS=$(<.seamless-clients.json)
  export SEAMLESS_REMOTE_CLIENTS
fi
leaving=
failed=0
trap 'leaving=again' USR1
trap 'leaving=stop' TERM INT

running() { jobs -rp | wc -l; }

reap() { # wait until a step has ended, or a signal has come
  local status=0
  wait -n || status=$?
  if ((status != 0)) && [[ -z $leaving ]]; then
    printf 'pilot: a step has ended with status %s\n' "$status" >&2
    failed=$((failed + 1))
  fi
}

while [[ -z $leaving ]] && { IFS= read -r line || [[ -n $line ]]; }; do # the last line may have no end
  line=${line%$'\r'}
  [[ -n $line ]] || continue
  while (($(running) >= width)) && [[ -z $leaving ]]; do reap; done
  [[ -z $leaving ]] || break
  seamless-run --yes "${options[@]}" -c "$line" </dev/null &
done <"$commands"
while [[ -n $(jobs -p) && -z $leaving ]]; do reap; done

if [[ -n $leaving ]]; then
  # What is interrupted now is executed by whoever asks next; what was finished is never executed again.
  jobs -rp | xargs -r kill -TERM
  wait
  if [[ $leaving == again ]]; then
    exit 99 # so OAR knows that there is more to do
  fi
  exit 143
fi
exit $((failed > 0))

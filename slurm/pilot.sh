#!/usr/bin/env bash
# A pilot job: one allocation that works through a file with command lines, as many at a time as it has cores.
#   sbatch --cpus-per-task 16 --time 08:00:00 slurm/pilot.sh commands.txt [options of seamless-run]
# Two minutes before its time is over it stops, and is queued again for the rest. Several pilots may share a file.
#SBATCH --job-name=seamless-pilot
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120
#SBATCH --time=01:00:00
set -uo pipefail # not -e: what fails is counted
if (($# == 0)); then
  printf 'usage: sbatch pilot.sh COMMANDS [options of seamless-run]\n' >&2
  exit 2
fi
commands=$1
shift
options=("$@")
width=${SEAMLESS_PILOT_WIDTH:-${SLURM_CPUS_PER_TASK:-1}}
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
    scontrol requeue "$SLURM_JOB_ID"
    sleep 60 # until SLURM ends this job to queue it again
  fi
  exit 143
fi
exit $((failed > 0))

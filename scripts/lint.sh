#!/usr/bin/env bash
# Check the sources: style, format, types, spelling, shell. Prints only what is wrong; runs every check before it fails.
set -euo pipefail

bin=$PWD/.venv/bin
status=0

check() {
  local output
  if ! output=$("$@" 2>&1); then
    printf -- '--- %s\n%s\n' "${1##*/} ${2:-}" "$output" >&2
    status=1
  fi
}

existing=()
for directory in .ci scripts demo seamless tests benchmarks conda images ansible slurm oar; do
  [[ -d $directory ]] && existing+=("$directory")
done
mapfile -t shell_files < <("$bin/shfmt" -f "${existing[@]}")

check "$bin/ruff" check --quiet .
check "$bin/ruff" format --quiet --diff .
check "$bin/mypy" --no-error-summary
check "$bin/codespell"
if ((${#shell_files[@]} > 0)); then
  check "$bin/shellcheck" "${shell_files[@]}"
  check "$bin/shfmt" --indent 2 --diff "${shell_files[@]}"
fi
exit "$status"

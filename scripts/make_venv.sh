#!/usr/bin/env bash
# Make a virtual environment with Seamless and one of its extras, or leave it alone if it is up to date.
#
#   scripts/make_venv.sh [--editable] DIRECTORY EXTRA
#
# PYTHON names the interpreter (default: the first of python3, python3.14 ... python3.10 that is new enough).
# An environment that is there already is kept, whoever made it, as long as it works.
set -euo pipefail

die() {
  printf 'make_venv.sh: %s\n' "$*" >&2
  exit 1
}

new_enough() {
  "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

find_python() {
  local candidate
  if [[ -n ${PYTHON:-} ]]; then
    new_enough "$PYTHON" || die "PYTHON=$PYTHON is not a Python of version 3.10 or later"
    printf '%s\n' "$PYTHON"
    return
  fi
  for candidate in python3 python3.{14,13,12,11,10}; do
    if new_enough "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  die "no Python of version 3.10 or later found; on Debian: apt-get install python3 python3-venv"
}

# Debian has the module that fills a new environment in a package of its own.
need_ensurepip() {
  local python=$1 version package
  "$python" -c 'import ensurepip' 2>/dev/null && return
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  package=python$version-venv
  if ((EUID != 0)) || [[ -t 0 && -z ${CI:-} ]] || ! command -v apt-get >/dev/null; then
    die "$python cannot make virtual environments; on Debian and Ubuntu: sudo apt-get install $package"
  fi
  printf 'make_venv.sh: installing %s\n' "$package" >&2
  quietly apt-get update
  quietly env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$package"
}

# Runs a command and shows what it printed only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status != 0)); then
    cat "$log" >&2
    rm -f "$log"
    die "failed with status $status: $*"
  fi
  rm -f "$log"
}

# A usable environment has a Python that is new enough and knows where it is (it was not moved), and pip.
usable() {
  local venv=$1
  [[ -x $venv/bin/python ]] && new_enough "$venv/bin/python" &&
    "$venv/bin/python" -I -c 'import os, sys; sys.exit(os.path.realpath(sys.prefix) != os.path.realpath(sys.argv[1]))' "$venv" &&
    [[ -x $venv/bin/pip ]] && "$venv/bin/pip" --version >/dev/null 2>&1
}

# What the environment was made from. A copy is out of date with any change of the sources; an editable one is not.
fingerprint() {
  local venv=$1 extra=$2 editable=$3
  {
    readlink -f "$venv"
    "$venv/bin/python" -VV
    printf '%s %s\n' "$extra" "$editable"
    cat pyproject.toml seamless/version.py
    if [[ $editable == no ]]; then
      find seamless -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 cat
    fi
  } | sha256sum | cut -d ' ' -f 1
}

main() {
  local editable=no venv extra python
  if [[ ${1:-} == --editable ]]; then
    editable=yes
    shift
  fi
  (($# == 2)) || die "usage: make_venv.sh [--editable] DIRECTORY EXTRA"
  venv=$1 extra=$2
  if ! usable "$venv"; then
    python=$(find_python)
    need_ensurepip "$python"
    printf 'Making %s with %s ...\n' "$venv" "$("$python" -V)" >&2
    mkdir -p "$(dirname "$venv")"
    quietly "$python" -m venv --clear "$venv"
  fi
  if [[ $(cat "$venv/.made-from" 2>/dev/null) == "$(fingerprint "$venv" "$extra" "$editable")" ]]; then
    return
  fi
  printf 'Installing Seamless and what it needs into %s ...\n' "$venv" >&2
  local arguments=(install --quiet --disable-pip-version-check)
  if [[ $editable == yes ]]; then
    quietly "$venv/bin/python" -m pip "${arguments[@]}" --editable ".[$extra]"
  else
    quietly "$venv/bin/python" -m pip "${arguments[@]}" ".[$extra]"
    quietly "$venv/bin/python" -m pip "${arguments[@]}" --no-deps --force-reinstall .
  fi
  fingerprint "$venv" "$extra" "$editable" >"$venv/.made-from"
}

main "$@"

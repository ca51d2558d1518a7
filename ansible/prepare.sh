#!/usr/bin/env bash
# Makes what the playbooks carry to other machines, in build/ansible: the launcher as one file, the wheel of
# Seamless, and an archive of all other wheels. Only this script asks a package index; the machines never do.
#   prepare.sh [--output DIR] [--lock FILE] [--python 3.N]
# --lock, --python: of the machines; default: images/seamless-dask.lock, the version of the python3 here
set -euo pipefail

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
output=$root/build/ansible
lock=$root/images/seamless-dask.lock
python=${PYTHON:-python3}
version=

usage() {
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

while (($# > 0)); do
  case $1 in
  --output) output=${2:?} ;;
  --lock) lock=${2:?} ;;
  --python) version=${2:?} ;;
  *) usage ;;
  esac
  shift 2
done

pip() {
  "$python" -m pip --disable-pip-version-check --quiet "$@"
}

platforms() { # for every glibc up to 2.34
  local glibc
  for glibc in 5 12 17 24 26 27 28 31 34; do
    printf -- '--platform\nmanylinux_2_%s_%s\n' "$glibc" "$(uname -m)"
  done
}

mkdir -p -- "$output"
PYTHONPATH=$root "$python" "$root/scripts/make_single_file.py" "$output/remote-http-launcher.pyz"
rm -f -- "$output"/seamless-*.whl
pip wheel --no-deps --wheel-dir "$output" "$root"

version=${version:-$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')}
mapfile -t words < <(platforms)
wheels=$(mktemp -d)
trap 'rm -rf -- "$wheels"' EXIT
pip download --no-deps --require-hashes --only-binary=:all: --implementation cp --python-version "$version" \
  "${words[@]}" --requirement "$lock" --dest "$wheels"
tar --create --file "$output/wheels.tar" --directory "$wheels" .
printf '%s\n' "$output"

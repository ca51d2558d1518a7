#!/usr/bin/env bash
# Installs the Debian packages that the tests use and a plain machine may lack. Root only; others are told.
set -euo pipefail

packages=()
command -v zsh >/dev/null || packages+=(zsh)

if ((${#packages[@]} == 0)); then
  exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
  printf 'Some tests will be skipped; to have them: apt-get install %s\n' "${packages[*]}" >&2
  exit 0
fi
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
  tail -n 20 -- "$log" >&2
  printf 'cannot install %s\n' "${packages[*]}" >&2
  exit 1
fi

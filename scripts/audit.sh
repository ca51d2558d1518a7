#!/usr/bin/env bash
# Ask pip-audit for known vulnerabilities of all locked Python packages. Needs the network and pip-audit.
set -euo pipefail

for lock in images/*.lock; do
  [[ $lock == *.packages.lock ]] && continue
  echo "--- $lock"
  pip-audit --require-hashes --disable-pip --requirement "$lock"
done

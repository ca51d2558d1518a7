#!/usr/bin/env bash
# Ask pip-audit for known vulnerabilities of all locked Python packages. Needs the network and pip-audit.
# --licences: list their licences instead, as the packages installed in .venv state them. Needs no network.
set -euo pipefail

case ${1:-} in
--licences)
  exec .venv/bin/python scripts/licences.py
  ;;
'') ;;
*)
  echo "usage: scripts/audit.sh [--licences]" >&2
  exit 2
  ;;
esac

if ! command -v pip-audit >/dev/null; then
  echo "audit.sh: pip-audit is not installed; it asks a database in the network, so nothing was audited" >&2
  exit 2
fi
status=0
for lock in images/*.lock conda/*/requirements.lock; do
  [[ $lock == *.packages.lock ]] && continue
  echo "--- $lock"
  pip-audit --require-hashes --disable-pip --requirement "$lock" || status=1
done
exit "$status"

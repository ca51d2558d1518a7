#!/usr/bin/env bash
# Lets jobs of this directory use the services that its configuration names: starts them at need, and writes how
# they are reached, with their tokens, to .seamless-clients.json, which only you can read. On the front end:
#   oar/services.sh && oarsub -S "./oar/step.sh sort words.txt"
# The services must listen on an address that compute nodes reach (network_interface: in the cluster definition).
set -euo pipefail

program=$(command -v seamless-run) || {
  printf 'services.sh: there is no seamless-run on PATH\n' >&2
  exit 1
}
python=$(dirname -- "$(readlink -f -- "$program")")/python
umask 077
new=$(mktemp ./.seamless-clients.json.XXXXXXXX)
trap 'rm -f -- "$new"' EXIT
"$python" - <<'PY' >"$new"
import json
import sys

import seamless.config

seamless.config.init()
cluster = seamless.config.describe()["state"]["cluster"]
clients = seamless.config.collect_remote_clients(cluster)
inside = [entry for kind in ("buffer", "database") for entry in clients[kind]]
if not inside:
    raise SystemExit("services.sh: no services are configured for this directory")
for entry in inside:
    if entry.get("remote_url"):
        entry["url"] = entry["remote_url"]
    if "//127." in entry["url"]:
        print("services.sh: warning: other machines cannot reach", entry["url"], file=sys.stderr)
print(json.dumps(clients))
PY
mv -- "$new" .seamless-clients.json
trap - EXIT

#!/usr/bin/env bash
# A small real job, twice: which words follow each other in the sources of the Python library, and which modules
# resemble each other. The second time nothing is computed. Everything is kept below .demo.
set -euo pipefail

root=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
place=$root/.demo
python=$place/venv/bin/python
export PATH=$place/venv/bin:$PATH
export SEAMLESS_CACHE=$place/cache

# Pairs of words that follow each other, with their number.
pairs="awk 'length > 2 { print last, \$0; last = \$0 }'"
line="tr -cs A-Za-z '\\n' < corpus.txt | $pairs | sort | uniq -c | sort -rn | sed 6q"

say() {
  if [[ -t 1 ]]; then
    printf '\n\033[1m%s\033[0m\n' "$*"
  else
    printf '\n%s\n' "$*"
  fi
}

# Runs a command in a directory, then tells how long it took.
timed() {
  local directory=$1 start end
  shift
  start=$(date +%s%N)
  (cd "$directory" && "$@")
  end=$(date +%s%N)
  printf '    -> %d ms\n' "$(((end - start) / 1000000))"
}

rm -rf "$SEAMLESS_CACHE" "$place/data" "$place/elsewhere"
mkdir -p "$place/data" "$place/elsewhere"
"$python" "$root/demo/corpus.py" "$place/data"

say "1. A pipeline of the shell, behind the word seamless-run:"
printf 'seamless-run -c "%s"\n' "${line//\$/\\$}"
timed "$place/data" seamless-run -c "$line"

say "2. The same line again: the answer comes from the cache."
timed "$place/data" seamless-run -c "$line"

say "3. A copy of the file in another directory, with a new time stamp: only the content counts."
cp "$place/data/corpus.txt" "$place/elsewhere/corpus.txt"
timed "$place/elsewhere" seamless-run -c "$line"

say "4. With one more line in the file it is another step, and it is computed:"
echo 'seamless seamless seamless' >>"$place/elsewhere/corpus.txt"
timed "$place/elsewhere" seamless-run -c "$line"

say "5. A Python function, behind @direct (demo/similar.py):"
timed "$place/data" "$python" "$root/demo/similar.py" modules.csv

say "6. The same program again:"
timed "$place/data" "$python" "$root/demo/similar.py" modules.csv

printf '\nThe cache: %s, %s\n' "$SEAMLESS_CACHE" "$(du -sh "$SEAMLESS_CACHE" | cut -f 1)"

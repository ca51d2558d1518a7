#!/usr/bin/env bash
set -euo pipefail

mkdir -p counts
for text in texts/*.txt; do
  datalad run -m count -i "$text" -o "counts/${text##*/}" "count-words < $text > counts/${text##*/}"
done
datalad run -m merge -i 'counts/*.txt' -o total.txt "merge-counts counts/*.txt > total.txt"

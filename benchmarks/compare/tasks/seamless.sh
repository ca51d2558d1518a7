#!/usr/bin/env bash
set -euo pipefail

for text in texts/*.txt; do
  seamless-run "count-words < $text > counts/${text##*/}"
done
seamless-run -g1 -i 'counts/*.txt' -c 'merge-counts counts/*.txt > total.txt'

#!/usr/bin/env bash
set -euo pipefail

mkdir -p counts
for text in texts/*.txt; do
  count-words <"$text" >"counts/${text##*/}"
done
merge-counts counts/*.txt >total.txt

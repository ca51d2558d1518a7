"""Which modules resemble each other in the names that they use: a slow function that is only run once."""

from __future__ import annotations

import sys

import seamless
from seamless.transformer import direct


@direct
def similar_modules(table: str, limit: int) -> list[list[object]]:
    """Return the `limit` most similar pairs of modules (cosine of their weighted name counts)."""
    import collections
    import csv
    import io
    import itertools
    import math

    counts: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for row in csv.DictReader(io.StringIO(table)):
        counts[row["module"]][row["name"]] = int(row["count"])
    users = collections.Counter(name for names in counts.values() for name in names)
    vectors = {}
    for module, names in counts.items():
        weights = {name: count * math.log(len(counts) / users[name]) for name, count in names.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        vectors[module] = {name: weight / length for name, weight in weights.items() if weight > 0}
    pairs = []
    for a, b in itertools.combinations(sorted(vectors), 2):
        small, large = sorted((vectors[a], vectors[b]), key=len)
        pairs.append((sum(weight * large.get(name, 0.0) for name, weight in small.items()), a, b))
    return [[round(cosine, 3), a, b] for cosine, a, b in sorted(pairs, reverse=True)[:limit]]


def main() -> None:
    """Print the most similar pairs of the table named by the first argument."""
    with open(sys.argv[1], encoding="utf-8", newline="") as f:
        table = f.read()
    for cosine, a, b in similar_modules(table, 8):
        print(f"{cosine:8.3f}  {a} ~ {b}")
    seamless.close()


if __name__ == "__main__":
    main()

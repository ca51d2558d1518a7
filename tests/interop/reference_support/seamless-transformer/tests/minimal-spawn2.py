"""A program with worker processes, and without a guard."""

import seamless
from seamless.transformer import spawn

spawn(1)
seamless.close()
print("STOP")

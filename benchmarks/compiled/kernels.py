"""What is measured: the forces between bodies in C and with numpy, and an addition, which is nothing but its call."""

from __future__ import annotations

from typing import Any

ADD_SCHEMA = "inputs: [{name: a, dtype: int32}, {name: b, dtype: int32}]\noutputs: [{name: result, dtype: int32}]\n"
ADD_CODE = "int transform(int a, int b, int *result) { *result = a + b; return 0; }\n"

FORCES_SCHEMA = """\
inputs:
  - {name: x, dtype: float64, shape: [N, 3]}
  - {name: m, dtype: float64, shape: [N]}
outputs:
  - {name: a, dtype: float64, shape: [N, 3]}
"""
FORCES_CODE = """\
#include "transformer.h"
#include <math.h>
int transform(unsigned int N, const float64_3 *x, const double *m, float64_3 *a) {
    for (unsigned i = 0; i < N; i++)
        for (unsigned j = 0; j < N; j++) {
            double d[3], r2 = 1e-3;
            for (int k = 0; k < 3; k++) { d[k] = x[j][k] - x[i][k]; r2 += d[k] * d[k]; }
            double f = m[j] / (r2 * sqrt(r2));
            for (int k = 0; k < 3; k++) a[i][k] += f * d[k];
        }
    return 0;
}
"""


def forces(x: Any, m: Any) -> Any:
    """Return the accelerations, as numpy computes them fastest."""
    import numpy as np

    d = x[None, :, :] - x[:, None, :]
    r2 = np.einsum("ijk,ijk->ij", d, d) + 1e-3
    return np.einsum("ij,ijk->ik", m / (r2 * np.sqrt(r2)), d)

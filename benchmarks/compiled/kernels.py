"""What is measured: forces between bodies in every language and with numpy, and an addition: nothing but its call."""

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
FORCES_C = """\
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

FORCES_CPP = (
    "#include <cmath>\n#include <cstdint>\ntypedef double float64_3[3];\nusing std::sqrt;\n"
    + FORCES_C.partition("#include <math.h>\n")[2].replace("int transform", 'extern "C" int transform')
)
FORCES_FORTRAN = """\
integer(c_int) function transform(n, x, m, a) bind(C, name='transform')
  use iso_c_binding
  implicit none
  integer(c_int), value :: n
  real(c_double), intent(in) :: x(3, n), m(n)
  real(c_double), intent(out) :: a(3, n)
  real(c_double) :: d(3), r2
  integer :: i, j
  a = 0
  do i = 1, n
    do j = 1, n
      d = x(:, j) - x(:, i)
      r2 = 1d-3 + d(1) * d(1)
      r2 = r2 + d(2) * d(2)
      r2 = r2 + d(3) * d(3)
      a(:, i) = a(:, i) + m(j) / (r2 * sqrt(r2)) * d
    end do
  end do
  transform = 0
end function
"""
FORCES_RUST = """\
use std::slice::{from_raw_parts, from_raw_parts_mut};

#[no_mangle]
pub unsafe extern "C" fn transform(n: u32, x: *const [f64; 3], m: *const f64, a: *mut [f64; 3]) -> i32 {
    let n = n as usize;
    let (x, m, a) = (from_raw_parts(x, n), from_raw_parts(m, n), from_raw_parts_mut(a, n));
    for i in 0..n {
        for j in 0..n {
            let mut d = [0.0; 3];
            let mut r2 = 1e-3;
            for k in 0..3 { d[k] = x[j][k] - x[i][k]; r2 += d[k] * d[k]; }
            let f = m[j] / (r2 * f64::sqrt(r2));
            for k in 0..3 { a[i][k] += f * d[k]; }
        }
    }
    0
}
"""
VECTORS_GO = """\
package main

// #define transform declared_for_transform
// #include "transformer.h"
// #undef transform
import "C"
import (
	"math"
	"unsafe"
)

func vectors(p *C.float64_3, n C.uint) [][3]float64 {
	return unsafe.Slice((*[3]float64)(unsafe.Pointer(p)), n)
}
"""
FORCES_GO = (
    VECTORS_GO
    + """
//export transform
func transform(N C.uint, bodies *C.float64_3, masses *C.double, result *C.float64_3) C.int {
	x, a := vectors(bodies, N), vectors(result, N)
	m := unsafe.Slice((*float64)(unsafe.Pointer(masses)), N)
	for i := range x {
		for j := range x {
			var d [3]float64
			r2 := 1e-3
			for k := range d {
				d[k] = x[j][k] - x[i][k]
				r2 += float64(d[k] * d[k])
			}
			f := m[j] / float64(r2*math.Sqrt(r2))
			for k := range d {
				a[i][k] += float64(f * d[k])
			}
		}
	}
	return 0
}

func main() {}
"""
)
FORCES = {"c": FORCES_C, "cpp": FORCES_CPP, "fortran": FORCES_FORTRAN, "rust": FORCES_RUST, "go": FORCES_GO}


def forces(x: Any, m: Any) -> Any:
    """Return the accelerations, as numpy computes them fastest."""
    import numpy as np

    d = x[None, :, :] - x[:, None, :]
    r2 = np.einsum("ijk,ijk->ij", d, d) + 1e-3
    return np.einsum("ij,ijk->ik", m / (r2 * np.sqrt(r2)), d)

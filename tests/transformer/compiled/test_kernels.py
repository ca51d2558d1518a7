"""Real kernels in every language give what numpy gives: exactly, as no option of the defaults changes a digit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks.compiled.kernels import VECTORS_GO

Step = Callable[..., Any]

# --- Smith-Waterman: the best score of a local alignment, and where it ends ------------------------

ALIGN = """\
inputs:
  - {name: a, dtype: char, shape: [N]}
  - {name: b, dtype: char, shape: [M]}
  - {name: gap, dtype: int32}
outputs:
  - {name: score, dtype: int32}
  - {name: end, dtype: uint32, shape: [2]}
"""

ALIGN_C = """\
#include "transformer.h"
#include <stdlib.h>
int transform(unsigned N, unsigned M, const char *a, const char *b, int32_t gap, int32_t *score, uint32_2 *end) {
    int32_t *row = calloc(M + 1, sizeof *row);
    if (row == NULL) return 1;
    for (unsigned i = 1; i <= N; i++) {
        int32_t diagonal = 0;
        for (unsigned j = 1; j <= M; j++) {
            int32_t best = diagonal + (a[i - 1] == b[j - 1] ? 2 : -1);
            if (row[j] - gap > best) best = row[j] - gap;
            if (row[j - 1] - gap > best) best = row[j - 1] - gap;
            if (best < 0) best = 0;
            diagonal = row[j];
            row[j] = best;
            if (best > *score) { *score = best; (*end)[0] = i; (*end)[1] = j; }
        }
    }
    free(row);
    return 0;
}
"""

ALIGN_CPP = """\
#include <algorithm>
#include <cstdint>
#include <vector>
extern "C" int transform(unsigned N, unsigned M, const char *a, const char *b, int32_t gap, int32_t *score,
                         uint32_t *end) {
    std::vector<int32_t> row(M + 1);
    for (unsigned i = 1; i <= N; i++) {
        int32_t diagonal = 0;
        for (unsigned j = 1; j <= M; j++) {
            int32_t best = diagonal + (a[i - 1] == b[j - 1] ? 2 : -1);
            best = std::max({best, row[j] - gap, row[j - 1] - gap, 0});
            diagonal = row[j];
            row[j] = best;
            if (best > *score) { *score = best; end[0] = i; end[1] = j; }
        }
    }
    return 0;
}
"""

ALIGN_FORTRAN = """\
integer(c_int) function transform(n, m, a, b, gap, score, last) bind(C, name='transform')
  use iso_c_binding
  implicit none
  integer(c_int), value :: n, m
  character(kind=c_char), intent(in) :: a(n), b(m)
  integer(c_int32_t), value :: gap
  integer(c_int32_t), intent(out) :: score
  integer(c_int32_t), intent(out) :: last(2)
  integer(c_int32_t), allocatable :: row(:)
  integer(c_int32_t) :: best, diagonal
  integer :: i, j
  allocate(row(0:m))
  row = 0
  score = 0
  last = 0
  do i = 1, n
    diagonal = 0
    do j = 1, m
      best = diagonal + merge(2, -1, a(i) == b(j))
      best = max(best, row(j) - gap, row(j - 1) - gap, 0)
      diagonal = row(j)
      row(j) = best
      if (best > score) then
        score = best
        last = [i, j]
      end if
    end do
  end do
  deallocate(row)
  transform = 0
end function
"""

ALIGN_RUST = """\
use std::slice;

#[no_mangle]
pub unsafe extern "C" fn transform(
    n: u32, m: u32, a: *const u8, b: *const u8, gap: i32, score: *mut i32, end: *mut [u32; 2],
) -> i32 {
    let (a, b) = (slice::from_raw_parts(a, n as usize), slice::from_raw_parts(b, m as usize));
    let mut row = vec![0i32; b.len() + 1];
    for i in 1..=a.len() {
        let mut diagonal = 0;
        for j in 1..=b.len() {
            let mut best = diagonal + if a[i - 1] == b[j - 1] { 2 } else { -1 };
            best = best.max(row[j] - gap).max(row[j - 1] - gap).max(0);
            diagonal = row[j];
            row[j] = best;
            if best > *score {
                *score = best;
                *end = [i as u32, j as u32];
            }
        }
    }
    0
}
"""

ALIGN_GO = """\
package main

// #include <stdint.h>
import "C"
import "unsafe"

//export transform
func transform(n, m C.uint, pa, pb *C.char, gap int32, score *int32, place *C.uint32_t) C.int {
	a := unsafe.Slice((*byte)(unsafe.Pointer(pa)), n)
	b := unsafe.Slice((*byte)(unsafe.Pointer(pb)), m)
	end := unsafe.Slice(place, 2)
	row := make([]int32, len(b)+1)
	for i := 1; i <= len(a); i++ {
		diagonal := int32(0)
		for j := 1; j <= len(b); j++ {
			best := diagonal - 1
			if a[i-1] == b[j-1] {
				best = diagonal + 2
			}
			for _, other := range [3]int32{row[j] - gap, row[j-1] - gap, 0} {
				if other > best {
					best = other
				}
			}
			diagonal = row[j]
			row[j] = best
			if best > *score {
				*score = best
				end[0], end[1] = C.uint32_t(i), C.uint32_t(j)
			}
		}
	}
	return 0
}

func main() {}
"""


def align(a: bytes, b: bytes, gap: int) -> tuple[int, list[int]]:
    """Return the best score of a local alignment and where it ends, with numpy, one anti-diagonal at a time."""
    x, y = np.frombuffer(a, "u1"), np.frombuffer(b, "u1")
    scores = np.zeros((len(x) + 1, len(y) + 1), "i8")
    for k in range(2, len(x) + len(y) + 1):
        i = np.arange(max(1, k - len(y)), min(len(x), k - 1) + 1)
        j = k - i
        same = np.where(x[i - 1] == y[j - 1], 2, -1)
        ways = [scores[i - 1, j - 1] + same, scores[i - 1, j] - gap, scores[i, j - 1] - gap]
        scores[i, j] = np.maximum(np.maximum.reduce(ways), 0)
    place = np.unravel_index(int(np.argmax(scores)), scores.shape)
    return int(scores[place]), [int(n) for n in place]


@pytest.mark.parametrize(
    ("language", "code"),
    [("c", ALIGN_C), ("cpp", ALIGN_CPP), ("fortran", ALIGN_FORTRAN), ("rust", ALIGN_RUST), ("go", ALIGN_GO)],
    ids=lambda value: value if len(value) < 9 else "",
)
def test_an_alignment_is_that_of_numpy(language: str, code: str, step: Step) -> None:
    random = np.random.default_rng(1)
    a, b = (bytes(random.choice(list(b"ACGT"), size).tolist()) for size in (300, 217))
    result = step(language, ALIGN, code)(a, b, 1).run()
    assert (result["score"], result["end"].tolist()) == align(a, b, 1)


# --- n bodies: some steps of a leapfrog integration -------------------------------------------------

BODIES = """\
inputs:
  - {name: x, dtype: float64, shape: [N, 3]}
  - {name: v, dtype: float64, shape: [N, 3]}
  - {name: m, dtype: float64, shape: [N]}
  - {name: dt, dtype: float64}
  - {name: steps, dtype: int32}
outputs:
  - {name: y, dtype: float64, shape: [N, 3]}
  - {name: w, dtype: float64, shape: [N, 3]}
"""

BODIES_C = """\
#include "transformer.h"
#include <math.h>
#include <string.h>
int transform(unsigned int N, const float64_3 *x, const float64_3 *v, const double *m, double dt, int32_t steps,
              float64_3 *y, float64_3 *w) {
    memcpy(y, x, N * sizeof *x);
    memcpy(w, v, N * sizeof *v);
    for (int32_t s = 0; s < steps; s++) {
        for (unsigned i = 0; i < N; i++) {
            double a[3] = {0, 0, 0};
            for (unsigned j = 0; j < N; j++) {
                double d[3], r2 = 1e-3;
                for (int k = 0; k < 3; k++) { d[k] = y[j][k] - y[i][k]; r2 += d[k] * d[k]; }
                double f = m[j] / (r2 * sqrt(r2));
                for (int k = 0; k < 3; k++) a[k] += f * d[k];
            }
            for (int k = 0; k < 3; k++) w[i][k] += dt * a[k];
        }
        for (unsigned i = 0; i < N; i++)
            for (int k = 0; k < 3; k++) y[i][k] += dt * w[i][k];
    }
    return 0;
}
"""

BODIES_CPP = BODIES_C.replace('#include "transformer.h"', "#include <cstdint>\ntypedef double float64_3[3];").replace(
    "int transform", 'extern "C" int transform'
)

BODIES_FORTRAN = """\
integer(c_int) function transform(n, x, v, m, dt, steps, y, w) bind(C, name='transform')
  use iso_c_binding
  implicit none
  integer(c_int), value :: n
  real(c_double), intent(in) :: x(3, n), v(3, n), m(n)
  real(c_double), value :: dt
  integer(c_int32_t), value :: steps
  real(c_double), intent(out) :: y(3, n), w(3, n)
  real(c_double) :: a(3), d(3), r2, f
  integer :: s, i, j, k
  y = x
  w = v
  do s = 1, steps
    do i = 1, n
      a = 0
      do j = 1, n
        r2 = 1d-3
        do k = 1, 3
          d(k) = y(k, j) - y(k, i)
          r2 = r2 + d(k) * d(k)
        end do
        f = m(j) / (r2 * sqrt(r2))
        a = a + f * d
      end do
      w(:, i) = w(:, i) + dt * a
    end do
    y = y + dt * w
  end do
  transform = 0
end function
"""

BODIES_RUST = """\
use std::slice::{from_raw_parts, from_raw_parts_mut};

#[no_mangle]
pub unsafe extern "C" fn transform(
    n: u32, x: *const [f64; 3], v: *const [f64; 3], m: *const f64, dt: f64, steps: i32,
    y: *mut [f64; 3], w: *mut [f64; 3],
) -> i32 {
    let n = n as usize;
    let (y, w, m) = (from_raw_parts_mut(y, n), from_raw_parts_mut(w, n), from_raw_parts(m, n));
    y.copy_from_slice(from_raw_parts(x, n));
    w.copy_from_slice(from_raw_parts(v, n));
    for _ in 0..steps {
        for i in 0..n {
            let mut a = [0.0; 3];
            for j in 0..n {
                let mut d = [0.0; 3];
                let mut r2 = 1e-3;
                for k in 0..3 { d[k] = y[j][k] - y[i][k]; r2 += d[k] * d[k]; }
                let f = m[j] / (r2 * f64::sqrt(r2));
                for k in 0..3 { a[k] += f * d[k]; }
            }
            for k in 0..3 { w[i][k] += dt * a[k]; }
        }
        for i in 0..n { for k in 0..3 { y[i][k] += dt * w[i][k]; } }
    }
    0
}
"""

# A product that is converted is rounded: Go does not contract it with a sum, on whatever processor.
BODIES_GO = (
    VECTORS_GO
    + """
//export transform
func transform(
	N C.uint, x *C.float64_3, v *C.float64_3, mass *C.double, dt float64, steps int32, yy *C.float64_3, ww *C.float64_3,
) C.int {
	y, w := vectors(yy, N), vectors(ww, N)
	m := unsafe.Slice((*float64)(unsafe.Pointer(mass)), N)
	copy(y, vectors(x, N))
	copy(w, vectors(v, N))
	for s := int32(0); s < steps; s++ {
		for i := range y {
			var a [3]float64
			for j := range y {
				var d [3]float64
				r2 := 1e-3
				for k := range d {
					d[k] = y[j][k] - y[i][k]
					r2 += float64(d[k] * d[k])
				}
				f := m[j] / float64(r2*math.Sqrt(r2))
				for k := range d {
					a[k] += float64(f * d[k])
				}
			}
			for k := range a {
				w[i][k] += float64(dt * a[k])
			}
		}
		for i := range y {
			for k := range y[i] {
				y[i][k] += float64(dt * w[i][k])
			}
		}
	}
	return 0
}

func main() {}
"""
)


def bodies(x: Any, v: Any, m: Any, dt: float, steps: int) -> tuple[Any, Any]:
    """Return positions and velocities after some steps; the sums in the order in which the kernels make them."""
    y, w = x.copy(), v.copy()
    for _ in range(steps):
        a = np.zeros_like(y)
        for j in range(len(y)):
            d = y[j] - y
            r2 = 1e-3 + d[:, 0] * d[:, 0]
            r2 = r2 + d[:, 1] * d[:, 1]
            r2 = r2 + d[:, 2] * d[:, 2]
            a += (m[j] / (r2 * np.sqrt(r2)))[:, None] * d
        w += dt * a
        y += dt * w
    return y, w


@pytest.mark.parametrize(
    ("language", "code"),
    [("c", BODIES_C), ("cpp", BODIES_CPP), ("fortran", BODIES_FORTRAN), ("rust", BODIES_RUST), ("go", BODIES_GO)],
    ids=lambda value: value if len(value) < 9 else "",
)
def test_bodies_move_as_with_numpy_to_the_last_bit(language: str, code: str, step: Step) -> None:
    random = np.random.default_rng(2)
    x, v, m = random.normal(size=(40, 3)), random.normal(size=(40, 3)), random.uniform(size=40)
    result = step(language, BODIES, code)(x, v, m, 0.01, 20).run()
    y, w = bodies(x, v, m, 0.01, 20)
    np.testing.assert_array_equal(result["y"], y)
    np.testing.assert_array_equal(result["w"], w)

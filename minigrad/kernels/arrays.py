"""Loops over elements, and over rows of shape (rows, d); and exp, which they need.

Numba calls the C library's exp for one number after the other.  The one here is arithmetic only,
which the compiler turns into instructions on 8 or 16 numbers at once:

    exp x = 2ᵏ exp r        with k the whole number nearest to x / log 2, so that |r| ≤ (log 2) / 2

where exp r is Taylor's series, to the degree at which the next term is below rounding, and 2ᵏ is k
in the place of a floating-point number's exponent.

Numba keeps machine code on disk until the loop's own file changes: so what these loops call stands
in their file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload
from numpy.polynomial import chebyshev

from minigrad.kernels.compilation import FUSE, REORDER, full_width, kernel

# Functions of one number, for use inside the loops.


def exp(x: Any) -> Any:
    """Exponential function: 0 where it is below 0.7 times the least normal number.

    And infinite where it is above 0.7 times the largest.
    """
    return np.exp(x)


@overload(exp, jit_options={"fastmath": FUSE, "forceinline": True})  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Callable[[Any], Any]:
    if x == types.float32:
        real, whole, degree, bits, bias, low, high = np.float32, np.int32, 7, 23, 127, -88.0, 88.7
        log2_head, log2_tail = 0.693359375, -2.12194440e-4  # k times the head is exact
    else:
        real, whole, degree, bits, bias = np.float64, np.int64, 13, 52, 1023
        low, high = -709.0, 709.7
        log2_head, log2_tail = 6.93147180369123816490e-1, 1.90821492927058770002e-10
    taylor = np.array([1 / math.factorial(n) for n in range(degree, -1, -1)], real)
    # From `least` to `most`, k goes from -bias to bias + 1.
    least, most, per_log2, half = real(low), real(high), real(1 / math.log(2)), real(0.5)
    head, tail, shift, exponent_of_1 = real(log2_head), real(log2_tail), whole(bits), whole(bias)

    def implementation(x: Any) -> Any:
        bounded = least if x < least else x
        bounded = most if bounded > most else bounded
        k = np.floor(bounded * per_log2 + half)
        r = bounded - k * head - k * tail
        # Even and odd powers side by side: two short loops, that the compiler unrolls.
        r2 = r * r
        odd, even = taylor[0], taylor[1]
        for n in range(2, degree, 2):
            odd = odd * r2 + taylor[n]
            even = even * r2 + taylor[n + 1]
        return (odd * r + even) * whole((whole(k) + exponent_of_1) << shift).view(real)

    return implementation


def _scaled_erfc(a: float) -> float:
    """Return exp(a²) erfc(a), by its definition or its continued fraction."""
    if a < 1:
        return math.exp(a * a) * math.erfc(a)
    fraction = a
    for n in range(400, 0, -1):
        fraction = a + n / 2 / fraction
    return 1 / (math.sqrt(math.pi) * fraction)


# exp(a²) erfc(a) as a polynomial in s, which goes from 1 at a = 0 to -1 at a = 27, where erfc(a) is
# below the least normal number.  In t = 1 / (1 + a/2), and so in s, a line in t, it is nearly
# straight.
FARTHEST = 27.0
LEAST_T = 1 / (1 + FARTHEST / 2)


def _erfc_polynomial(degree: int) -> Any:
    def remainder(s: Any, polynomial: Any) -> Any:
        t = LEAST_T + (1 - LEAST_T) * (np.asarray(s) + 1) / 2
        return np.array([_scaled_erfc(a) for a in 2 / t - 2]) - np.polyval(polynomial[::-1], s)

    polynomial = np.zeros(degree + 1)
    for _ in range(2):  # the second time of what rounding has left over
        coefficients = chebyshev.chebinterpolate(remainder, degree, (polynomial,))
        polynomial += chebyshev.cheb2poly(coefficients)
    return polynomial[::-1]


def normal_cdf(x: Any) -> Any:
    """Φ(x) = ½ erfc(-x / √2), and the density φ(x) = exp(-x²/2) / √(2π) beside it."""
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return np.vectorize(math.erfc)(-x / math.sqrt(2)) / 2, density


@overload(normal_cdf, jit_options={"fastmath": FUSE, "forceinline": True})  # type: ignore[untyped-decorator]
def _normal_cdf(x: Any) -> Callable[[Any], Any]:
    real, degree = (np.float32, 11) if x == types.float32 else (np.float64, 23)
    polynomial = _erfc_polynomial(degree).astype(real)
    one, half, farthest, root = real(1), real(0.5), real(FARTHEST), real(math.sqrt(0.5))
    slope, offset = real(2 / (1 - LEAST_T)), real(-(1 + LEAST_T) / (1 - LEAST_T))
    density = real(1 / math.sqrt(2 * math.pi))

    def implementation(x: Any) -> Any:
        a = abs(x) * root
        a = farthest if a > farthest else a
        s = slope / (one + half * a) + offset
        s2 = s * s
        odd, even = polynomial[0], polynomial[1]
        for n in range(2, degree, 2):
            odd = odd * s2 + polynomial[n]
            even = even * s2 + polynomial[n + 1]
        e = exp(-a * a)
        tail = half * (odd * s + even) * e  # Φ(-|x|)
        return one - tail if x > 0 else tail, density * e

    return implementation


# Loops over the elements of flat arrays.


@kernel(FUSE)
def gelu(x: Any, z: Any) -> None:
    """Write x Φ(x) to z."""
    full_width()
    for i in range(x.size):
        phi, _ = normal_cdf(x[i])
        z[i] = x[i] * phi


@kernel(FUSE)
def gelu_vjp(g: Any, x: Any, z: Any) -> None:
    """Write g (Φ(x) + x φ(x)) to z."""
    full_width()
    for i in range(x.size):
        phi, density = normal_cdf(x[i])
        z[i] = g[i] * (phi + x[i] * density)


@kernel(FUSE)
def gelu_tanh(x: Any, c: Any, a: Any, z: Any) -> None:
    """Write ½ x (1 + tanh u) = x / (1 + exp(-2u)) to z, with u = c (x + a x³)."""
    full_width()
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        z[i] = x[i] / (one + exp(-two * c * (x[i] + a * x[i] * x[i] * x[i])))


@kernel(FUSE)
def gelu_tanh_vjp(g: Any, x: Any, c: Any, a: Any, z: Any) -> None:
    """Write g (σ + x σ (1 - σ) 2u') to z, with σ = σ(2u) and u' = c (1 + 3a x²)."""
    full_width()
    one, two, three = x.dtype.type(1), x.dtype.type(2), x.dtype.type(3)
    for i in range(x.size):
        v = x[i]
        sigma = one / (one + exp(-two * c * (v + a * v * v * v)))
        slope = two * c * (one + three * a * v * v)
        z[i] = g[i] * (sigma + v * sigma * (one - sigma) * slope)


@kernel(FUSE)
def keep(g: Any, mask: Any, z: Any) -> None:
    """Write g to z where the mask is true, else 0."""
    for i in range(g.size):
        z[i] = g[i] if mask[i] else g.dtype.type(0)


@kernel(FUSE)
def add_at(g: Any, index: Any, z: Any) -> None:
    """Add g[i] to z[index[i]]."""
    for i in range(g.size):
        z[index[i]] += g[i]


# Loops over rows.


@intrinsic  # type: ignore[untyped-decorator]
def _larger(typing: Any, x: Any, y: Any) -> Any:
    """Return the larger of two numbers that are no NaN, in one instruction, on many at once.

    Of a comparison and a choice the compiler does not see that the order of numbers is free.
    """

    def generate(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        real = arguments[0].type
        function = ir.FunctionType(real, [real, real])
        larger = build.module.declare_intrinsic("llvm.maxnum", [real], function)
        return build.call(larger, arguments, fastmath=("nnan", "nsz"))

    return x(x, x), generate


@njit  # type: ignore[untyped-decorator]
def _maximum(x: Any, count: int) -> Any:
    """Return the maximum of the first `count` elements.

    A NaN may count or not: the exponentials of a row that has one sum up to NaN either way.
    """
    m = x[0]
    for j in range(count):
        m = _larger(m, x[j])
    return m


@kernel(REORDER)
def softmax(x: Any, scale: Any, period: int, z: Any) -> None:
    """Write exp(scale xⱼ) / Σ exp(scale x) to z.

    In row i over its first ``i % period + 1`` elements; with period 0 over all of them.  Up to
    the next multiple of 32 the others are computed too, and dropped: a full register takes less
    time than an odd rest.  The scale must not be negative.
    """
    full_width()
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        count = min(i % period + 1, x.shape[1]) if period else x.shape[1]
        stop = min((count + 31) // 32 * 32, x.shape[1])
        m = scale * _maximum(x[i], count)
        total = zero
        for j in range(stop):
            z[i, j] = exp(scale * x[i, j] - m) if j < count else zero
            total += z[i, j]
        share = one / total
        for j in range(stop):
            z[i, j] *= share
        for j in range(stop, x.shape[1]):
            z[i, j] = zero


@kernel(REORDER)
def softmax_vjp(g: Any, p: Any, scale: Any, z: Any) -> None:
    """Write scale pⱼ (gⱼ - Σ g p) to z."""
    for i in range(p.shape[0]):
        mean = p.dtype.type(0)
        for j in range(p.shape[1]):
            mean += g[i, j] * p[i, j]
        for j in range(p.shape[1]):
            z[i, j] = scale * p[i, j] * (g[i, j] - mean)


@kernel(REORDER)
def cross_entropy(x: Any, labels: Any, smoothing: Any, z: Any) -> None:
    """Write log Σ exp x - Σ t x to z for each row, with the targets t of its label."""
    one, share = x.dtype.type(1), smoothing / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        m = _maximum(x[i], x.shape[1])
        total = mean = x.dtype.type(0)
        for j in range(x.shape[1]):
            total += exp(x[i, j] - m)
            mean += share * (x[i, j] - m)
        z[i] = np.log(total) - (one - smoothing) * (x[i, labels[i]] - m)
        if smoothing > 0:
            z[i] -= mean


@kernel(REORDER)
def cross_entropy_vjp(g: Any, x: Any, labels: Any, smoothing: Any, z: Any) -> None:
    """Write g (softmax x - t) to z for each row, with the targets t of its label."""
    one, share = x.dtype.type(1), smoothing / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        m = _maximum(x[i], x.shape[1])
        total = x.dtype.type(0)
        for j in range(x.shape[1]):
            z[i, j] = exp(x[i, j] - m)
            total += z[i, j]
        inverse = one / total
        for j in range(x.shape[1]):
            z[i, j] = g[i] * (z[i, j] * inverse - share)
        z[i, labels[i]] -= g[i] * (one - smoothing)


@njit(fastmath=REORDER, error_model="numpy")  # type: ignore[untyped-decorator]
def _mean_and_inverse_sigma(x: Any, eps: Any) -> Any:
    """Return μ and 1 / √(σ² + ε) of a vector."""
    share = x.dtype.type(1) / x.dtype.type(x.size)
    mean = x.dtype.type(0)
    for j in range(x.size):
        mean += x[j]
    mean *= share
    variance = x.dtype.type(0)
    for j in range(x.size):
        variance += (x[j] - mean) * (x[j] - mean)
    return mean, x.dtype.type(1) / np.sqrt(variance * share + eps)


@kernel(REORDER)
def layer_norm(x: Any, weight: Any, bias: Any, eps: Any, z: Any) -> None:
    """Write (xⱼ - μ) / √(σ² + ε) weightⱼ + biasⱼ to z."""
    for i in range(x.shape[0]):
        mean, r = _mean_and_inverse_sigma(x[i], eps)
        for j in range(x.shape[1]):
            z[i, j] = (x[i, j] - mean) * r * weight[j] + bias[j]


@kernel(REORDER)
def layer_norm_vjp(g: Any, x: Any, weight: Any, eps: Any, z: Any) -> None:
    """Write r (w - mean w - x̂ mean(w x̂)) to z, with w = g weight and x̂ = r (x - μ)."""
    share = x.dtype.type(1) / x.dtype.type(x.shape[1])
    for i in range(x.shape[0]):
        mean, r = _mean_and_inverse_sigma(x[i], eps)
        along_one = along_x = x.dtype.type(0)
        for j in range(x.shape[1]):
            w = g[i, j] * weight[j]
            along_one += w
            along_x += w * (x[i, j] - mean)
        along_one *= share
        along_x *= share * r * r
        for j in range(x.shape[1]):
            z[i, j] = r * (g[i, j] * weight[j] - along_one - (x[i, j] - mean) * along_x)


@kernel(REORDER)
def layer_norm_weight_vjp(g: Any, x: Any, eps: Any, z: Any) -> None:
    """Write Σ g x̂ over the rows to z, a vector."""
    z[:] = 0
    for i in range(x.shape[0]):
        mean, r = _mean_and_inverse_sigma(x[i], eps)
        for j in range(x.shape[1]):
            z[j] += g[i, j] * (x[i, j] - mean) * r


@kernel(FUSE)
def add_rows_at(g: Any, index: Any, z: Any) -> None:
    """Add row i of g to row index[i] of z."""
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            z[index[i], j] += g[i, j]


@kernel(FUSE)
def where_positive(g: Any, x: Any, z: Any) -> None:
    """Write g to z where x is positive, else 0.  All are flat."""
    for i in range(g.size):
        z[i] = g[i] if x[i] > 0 else g.dtype.type(0)

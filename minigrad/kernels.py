"""Compiled loops for the functions that large models spend their time in.

Each loop is the equation of the function beside it in `functional`, one row or element after the
other instead of one NumPy call after the other: the numbers stay in a register between two
operations.  They use one core and let other threads run (`parallel` gives each thread a part of the
batch).  Imported on first use, because Numba takes its time.

The loops need exp, and Numba calls the C library's for one number after the other.  `exp` here is
arithmetic only, which the compiler turns into instructions on 8 or 16 numbers at once:

    exp x = 2ᵏ exp r        with k the whole number nearest to x / log 2, so that |r| ≤ (log 2) / 2

where exp r is Taylor's series, to the degree at which the next term is below rounding, and 2ᵏ is k
in the place of a floating-point number's exponent.  At both ends of that place nothing more is
needed: the least k stands there for the factor 0, and the greatest for infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.polynomial import chebyshev

Function = TypeVar("Function", bound=Callable[..., Any])

# What the compiler may do beside IEEE's arithmetic: fuse a product and a sum, which rounds once
# instead of twice; and in loops that sum up, add in another order, several numbers at once.
FUSE = {"contract"}
REORDER = {"contract", "reassoc"}


def kernel(fastmath: set[str]) -> Callable[[Function], Function]:
    """Compile a loop, and keep the machine code on disk where that is possible."""

    def compiled(loop: Function) -> Function:
        options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        try:
            return njit(cache=True, **options)(loop)
        except RuntimeError:  # no folder can be written
            return njit(**options)(loop)

    return compiled


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
# 0 in float64.  In t = 1 / (1 + a/2), and so in s, a line in t, it is nearly straight.
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


# Loops over elements.


@kernel(FUSE)
def gelu(x: Any, z: Any) -> None:
    """Write x Φ(x) to z."""
    for i in range(x.size):
        phi, _ = normal_cdf(x[i])
        z[i] = x[i] * phi


@kernel(FUSE)
def gelu_vjp(g: Any, x: Any, z: Any) -> None:
    """Write g (Φ(x) + x φ(x)) to z."""
    for i in range(x.size):
        phi, density = normal_cdf(x[i])
        z[i] = g[i] * (phi + x[i] * density)


@kernel(FUSE)
def gelu_tanh(x: Any, c: Any, a: Any, z: Any) -> None:
    """Write ½ x (1 + tanh u) = x / (1 + exp(-2u)) to z, with u = c (x + a x³)."""
    one, two = x.dtype.type(1), x.dtype.type(2)
    for i in range(x.size):
        z[i] = x[i] / (one + exp(-two * c * (x[i] + a * x[i] * x[i] * x[i])))


@kernel(FUSE)
def gelu_tanh_vjp(g: Any, x: Any, c: Any, a: Any, z: Any) -> None:
    """Write g (σ + x σ (1 - σ) 2u') to z, with σ = σ(2u) and u' = c (1 + 3a x²)."""
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


# Loops over rows: x is of shape (rows, d).


@njit(fastmath={"nnan", "nsz"})  # type: ignore[untyped-decorator]
def _maximum(x: Any, count: int) -> Any:
    """Return the maximum of the first `count` elements, of those that are no NaN."""
    m = x[0]
    for j in range(count):
        m = x[j] if x[j] > m else m
    return m


@kernel(REORDER)
def softmax(x: Any, scale: Any, period: int, z: Any) -> None:
    """Write exp(scale xⱼ) / Σ exp(scale x) to z.

    In row i over its first ``i % period + 1`` elements; with period 0 over all of them.
    """
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.shape[0]):
        count = min(i % period + 1, x.shape[1]) if period else x.shape[1]
        m = scale * _maximum(x[i], count)
        total = zero
        for j in range(count):
            z[i, j] = exp(scale * x[i, j] - m)
            total += z[i, j]
        share = one / total
        for j in range(count):
            z[i, j] *= share
        for j in range(count, x.shape[1]):
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


# Loops over the windows of images, x of shape (images, channels, height, width).  The windows are
# given as the pairs (vertical, horizontal) of `functional.windows.Windows`; `size` says how many
# there are.


@njit  # type: ignore[untyped-decorator]
def _inside(first: int, step: int, count: int, length: int) -> tuple[int, int]:
    """Return the range of q below `count` for which 0 ≤ first + step q < length."""
    start = min(max(0, -(first // step)), count)
    return start, max(start, min(count, (length - 1 - first) // step + 1))


@njit  # type: ignore[untyped-decorator]
def _is_shift(height: int, width: int, stride: Any, size: Any) -> bool:
    """Whether there is a window at each place, so that columns are shifted copies of a channel."""
    return stride[0] == stride[1] == 1 and size[0] == height and size[1] == width


@njit  # type: ignore[untyped-decorator]
def _clear_outside(row: Any, down: int, right: int, height: int, width: int) -> None:
    """Set those of a channel's elements to 0 that are outside once it is shifted."""
    for k in range(min(-down, height) * width):
        row[k] = 0
    for k in range(max(height - down, 0) * width, height * width):
        row[k] = 0
    if right < 0:
        for k in range(0, height * width, width):
            for q in range(min(-right, width)):
                row[k + q] = 0
    elif right > 0:
        for k in range(0, height * width, width):
            for q in range(max(width - right, 0), width):
                row[k + q] = 0


@kernel(FUSE)
def image_to_columns(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Write element (i, j) of all windows of channel c to row (c, i, j) of z[n]; 0 outside x."""
    height, width = x.shape[2:]
    shift = _is_shift(height, width, stride, size)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            flat = x[n, c].reshape(-1)
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    row = z[n, (c * kernel[0] + i) * kernel[1] + j]
                    down, right = i * dilation[0] - padding[0], j * dilation[1] - padding[1]
                    if shift:
                        by = down * width + right
                        for k in range(max(0, -by), min(flat.size, flat.size - by)):
                            row[k] = flat[k + by]
                        _clear_outside(row, down, right, height, width)
                        continue
                    start, stop = _inside(right, stride[1], size[1], width)
                    for r in range(size[0]):
                        y = r * stride[0] + down
                        for q in range(size[1]):
                            if 0 <= y < height and start <= q < stop:
                                row[r * size[1] + q] = x[n, c, y, right + q * stride[1]]
                            else:
                                row[r * size[1] + q] = 0


@kernel(FUSE)
def columns_to_image(
    columns: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, size: Any, z: Any
) -> None:
    """Add each element of the columns to where `image_to_columns` took it from; uses them up."""
    height, width = z.shape[2:]
    shift = _is_shift(height, width, stride, size)
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            flat = z[n, c].reshape(-1)
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    row = columns[n, (c * kernel[0] + i) * kernel[1] + j]
                    down, right = i * dilation[0] - padding[0], j * dilation[1] - padding[1]
                    if shift:
                        by = down * width + right
                        _clear_outside(row, down, right, height, width)
                        for k in range(max(0, -by), min(flat.size, flat.size - by)):
                            flat[k + by] += row[k]
                        continue
                    start, stop = _inside(right, stride[1], size[1], width)
                    for r in range(size[0]):
                        y = r * stride[0] + down
                        if 0 <= y < height:
                            for q in range(start, stop):
                                z[n, c, y, right + q * stride[1]] += row[r * size[1] + q]


@kernel(FUSE)
def index_of_maximum(x: Any, kernel: Any, stride: Any, padding: Any, z: Any) -> None:
    """Write the index in x.reshape(-1) of each window's first maximum, or first NaN, to z."""
    height, width = x.shape[2:]
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            origin = (n * x.shape[1] + c) * height * width
            for r in range(z.shape[2]):
                top = r * stride[0] - padding[0]
                first, below = max(top, 0), min(top + kernel[0], height)
                for q in range(z.shape[3]):
                    left = q * stride[1] - padding[1]
                    start, beyond = max(left, 0), min(left + kernel[1], width)
                    best, where = x[n, c, first, start], first * width + start
                    for y in range(first, below):
                        for at in range(start, beyond):
                            value = x[n, c, y, at]
                            better = (value > best) | ((value != value) & (best == best))
                            best = value if better else best
                            where = y * width + at if better else where
                    z[n, c, r, q] = origin + where


# Windows of 2x2 side by side, which are nearly all that networks use: whole rows of them at once.


@njit  # type: ignore[untyped-decorator]
def _replaces(value: Any, best: Any) -> Any:
    """Whether a value is a new maximum: the first of equals stays, and a NaN is above all."""
    return (value > best) | ((value != value) & (best == best))


@kernel(FUSE)
def maximum_2x2(x: Any, z: Any) -> None:
    """Write the maximum of each window to z."""
    for n in range(z.shape[0]):
        for c in range(z.shape[1]):
            for r in range(z.shape[2]):
                for q in range(z.shape[3]):
                    best = x[n, c, 2 * r, 2 * q]
                    for value in (
                        x[n, c, 2 * r, 2 * q + 1],
                        x[n, c, 2 * r + 1, 2 * q],
                        x[n, c, 2 * r + 1, 2 * q + 1],
                    ):
                        best = value if _replaces(value, best) else best
                    z[n, c, r, q] = best


@kernel(FUSE)
def put_at_maximum_2x2(g: Any, x: Any, z: Any) -> None:
    """Write g to where in z the first maximum of each window of x is, and 0 to its other places."""
    zero = g.dtype.type(0)
    for n in range(g.shape[0]):
        for c in range(g.shape[1]):
            for r in range(g.shape[2]):
                upper, lower = x[n, c, 2 * r], x[n, c, 2 * r + 1]
                z_upper, z_lower = z[n, c, 2 * r], z[n, c, 2 * r + 1]
                for q in range(g.shape[3]):
                    v = g[n, c, r, q]
                    right_above = _replaces(upper[2 * q + 1], upper[2 * q])
                    right_below = _replaces(lower[2 * q + 1], lower[2 * q])
                    above = upper[2 * q + 1] if right_above else upper[2 * q]
                    below = lower[2 * q + 1] if right_below else lower[2 * q]
                    is_below = _replaces(below, above)
                    v_above, v_below = (zero if is_below else v), (v if is_below else zero)
                    z_upper[2 * q] = zero if right_above else v_above
                    z_upper[2 * q + 1] = v_above if right_above else zero
                    z_lower[2 * q] = zero if right_below else v_below
                    z_lower[2 * q + 1] = v_below if right_below else zero


@kernel(FUSE)
def add_at(g: Any, index: Any, z: Any) -> None:
    """Add g[i] to z[index[i]]."""
    for i in range(g.size):
        z[index[i]] += g[i]

"""The table: the operations that can be differentiated, one row each.

A row is the operation z = f(x, y), then what it sends back to each input: with g = z̄ = ∂loss/∂z,
the vector-Jacobian products

    x̄ = (∂z/∂x)ᵀ g          ȳ = (∂z/∂y)ᵀ g

A VJP is called with ``g, z, *inputs, **kwargs``, so it may use the result z where that is shorter
(exp, sqrt, tanh).  Broadcasting is not the row's business, nor is a stack of matrices times one
matrix: the engine sums the gradient of a repeated input.  What takes more than a line stands in
`linear_maps`, `reductions`, `linear_algebra` and `einstein`, and rows for losses and layers in
`functional`.  What is made of rows (variance, stack, trace, ...) is a plain function and stands in
`compositions`.  The tests hold all of it against numerical derivatives, first and second.

Kinks have subgradients.  At 0, `relu`, `absolute` and `sign` have derivative 0, `leaky_relu` and
`elu` the slope of their left side, and `norm` and `hypot`, at the tip of their cone, 0 in every
direction.  `maximum` and `minimum` give half to each input where the two are equal, `max` and
`min` an equal share to each of the elements that tie.  `sign` and the roundings are constant
between their jumps, and have derivative 0 at the jumps too; `fmod` and `remainder` have in the
divisor the slope of the side they are on.  Where a slope is infinite (`sqrt` and `cbrt` at 0,
`arcsin` at 1) the gradient is infinite, with NumPy's warning.  `silu` of -∞ is NaN, as -∞ · 0 is;
`logsumexp` of nothing but -∞ is -∞, the logarithm of 0, and its gradient NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad import einstein, linear_algebra, linear_maps, reductions
from minigrad.primitive import Primitive, Variadic, table

# Python numbers: NumPy's would make float32 float64.
LN2, LN10, TWO_OVER_ROOT_PI = math.log(2), math.log(10), 2 / math.sqrt(math.pi)


def one_less(x: Any, y: Any) -> Any:
    """Return the exponent y - 1 of y x**(y - 1), but y where x = y = 0: 0 · 0**-1 would be NaN.

    Second derivatives at x = 0 that involve y are not finite, and not to be trusted.
    """
    if isinstance(y, int | float):
        return y - (y != 0)
    return y - np.logical_or(np.not_equal(x, 0), np.not_equal(y, 0))


def one_for_zero(x: Any) -> Any:
    """Return x, with 1 in the place of 0.

    As the base of a power: log 0 would make 0 · -inf = NaN of a derivative of 0 (0**y = 0 for all
    y > 0).  The logarithm of a negative base stays NaN: there x**y is a number for whole y only.
    As the length of a vector 0, which has no direction: 0 / 0 would be NaN.
    """
    return x + np.equal(x, 0)


def logistic(x: Any) -> Any:
    """1 / (1 + exp -x), and exp x / (1 + exp x) for negative x: no exponential overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def error_function(x: Any) -> Any:
    """2/√π ∫₀ˣ exp(-t²) dt, of one element after the other: NumPy has none."""
    dtype = x.dtype if getattr(x, "dtype", np.dtype(int)).kind == "f" else np.float64
    return np.vectorize(math.erf, otypes=[dtype])(x)


# ruff: noqa: E501  a row is a row
# fmt: off

# Arithmetic.         z = f(x, y)        x̄ from g = z̄                ȳ from g = z̄
add      = Primitive(np.add,             lambda g, z, x, y: g,        lambda g, z, x, y: g)
subtract = Primitive(np.subtract,        lambda g, z, x, y: g,        lambda g, z, x, y: -g)
multiply = Primitive(np.multiply,        lambda g, z, x, y: g * y,    lambda g, z, x, y: g * x)
divide   = Primitive(np.divide,          lambda g, z, x, y: g / y,    lambda g, z, x, y: -g * z / y)
negative = Primitive(np.negative,        lambda g, z, x: -g)
positive = Primitive(np.positive,        lambda g, z, x: g)

# Powers and roots.
power    = Primitive(lambda x, y: x**y,  lambda g, z, x, y: g * y * x ** one_less(x, y),
                                         lambda g, z, x, y: g * z * np.log(one_for_zero(x)), name="power", numpy=np.power)
square   = Primitive(np.square,          lambda g, z, x: 2 * g * x)
sqrt     = Primitive(np.sqrt,            lambda g, z, x: g / (2 * z))
cbrt     = Primitive(np.cbrt,            lambda g, z, x: g / (3 * z * z))
reciprocal = Primitive(np.reciprocal,    lambda g, z, x: -g * z * z)
hypot    = Primitive(np.hypot,           lambda g, z, x, y: g * (x / one_for_zero(z)),
                                         lambda g, z, x, y: g * (y / one_for_zero(z)))

# Exponentials and logarithms.
exp      = Primitive(np.exp,             lambda g, z, x: g * z)
exp2     = Primitive(np.exp2,            lambda g, z, x: g * z * LN2)
expm1    = Primitive(np.expm1,           lambda g, z, x: g * np.exp(x))
log      = Primitive(np.log,             lambda g, z, x: g / x)
log2     = Primitive(np.log2,            lambda g, z, x: g / (x * LN2))
log10    = Primitive(np.log10,           lambda g, z, x: g / (x * LN10))
log1p    = Primitive(np.log1p,           lambda g, z, x: g / (1 + x))
logaddexp  = Primitive(np.logaddexp,     lambda g, z, x, y: g * np.exp(x - z),  lambda g, z, x, y: g * np.exp(y - z))
logaddexp2 = Primitive(np.logaddexp2,    lambda g, z, x, y: g * np.exp2(x - z), lambda g, z, x, y: g * np.exp2(y - z))

# Circular, hyperbolic and error functions.
sin      = Primitive(np.sin,             lambda g, z, x: g * np.cos(x))
cos      = Primitive(np.cos,             lambda g, z, x: -g * np.sin(x))
tan      = Primitive(np.tan,             lambda g, z, x: g + g * z * z)
arcsin   = Primitive(np.arcsin,          lambda g, z, x: g / np.sqrt((1 - x) * (1 + x)))
arccos   = Primitive(np.arccos,          lambda g, z, x: -g / np.sqrt((1 - x) * (1 + x)))
arctan   = Primitive(np.arctan,          lambda g, z, x: g / (1 + x * x))
arctan2  = Primitive(np.arctan2,         lambda g, z, x, y: g * (y / (r := np.hypot(x, y))) / r, lambda g, z, x, y: -g * (x / (r := np.hypot(x, y))) / r)
sinh     = Primitive(np.sinh,            lambda g, z, x: g * np.cosh(x))
cosh     = Primitive(np.cosh,            lambda g, z, x: g * np.sinh(x))
tanh     = Primitive(np.tanh,            lambda g, z, x: g - g * z * z)
arcsinh  = Primitive(np.arcsinh,         lambda g, z, x: g / np.hypot(x, 1))
arccosh  = Primitive(np.arccosh,         lambda g, z, x: g / np.sqrt((x - 1) * (x + 1)))
arctanh  = Primitive(np.arctanh,         lambda g, z, x: g / ((1 - x) * (1 + x)))
erf      = Primitive(error_function,     lambda g, z, x: g * (TWO_OVER_ROOT_PI * np.exp(-(x * x))), name="erf")
deg2rad  = Primitive(np.deg2rad,         lambda g, z, x: g * (math.pi / 180))
rad2deg  = Primitive(np.rad2deg,         lambda g, z, x: g * (180 / math.pi))

# Constant between jumps.
zero: Primitive = Primitive(np.zeros_like, lambda g, z, x: zero(g), name="zero")
sign     = Primitive(np.sign,            lambda g, z, x: zero(g))
floor    = Primitive(np.floor,           lambda g, z, x: zero(g))
ceil     = Primitive(np.ceil,            lambda g, z, x: zero(g))
trunc    = Primitive(np.trunc,           lambda g, z, x: zero(g))
rint     = Primitive(np.rint,            lambda g, z, x: zero(g))
round    = Primitive(lambda x, decimals=0: np.round(x, decimals), lambda g, z, x, decimals=0: zero(g), name="round", numpy=np.round)
floor_divide = Primitive(np.floor_divide, lambda g, z, x, y: zero(g), lambda g, z, x, y: zero(g))
# What is left of x when y went into it n times: z = x - n y.  (n = (x - z) / y, but for rounding.)
fmod      = Primitive(np.fmod,           lambda g, z, x, y: g,        lambda g, z, x, y: -g * np.rint((x - z) / y))
remainder = Primitive(np.remainder,      lambda g, z, x, y: g,        lambda g, z, x, y: -g * np.rint((x - z) / y))

# Kinks.
keep: Primitive = Primitive(linear_maps.keep,  lambda g, z, x, mask: keep(g, mask=mask))   # x where the mask is true, else 0
where_positive: Primitive = Primitive(linear_maps.where_positive, lambda h, z, g, x: where_positive(h, x),   # g where x > 0, else 0
                                         lambda h, z, g, x: zero(x))
absolute = Primitive(np.absolute,        lambda g, z, x: g * np.sign(x))
maximum  = Primitive(np.maximum,         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.greater(x, y), g, 0)),
                                         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.less(x, y), g, 0)))
minimum  = Primitive(np.minimum,         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.less(x, y), g, 0)),
                                         lambda g, z, x, y: np.where(np.equal(x, y), g / 2, np.where(np.greater(x, y), g, 0)))
where    = Primitive(lambda x, y, condition: np.where(condition, x, y),
                     lambda g, z, x, y, condition: keep(g, mask=condition),
                     lambda g, z, x, y, condition: keep(g, mask=np.logical_not(condition)), name="where")

# Activations that NumPy lacks.  Finite, with their gradients, for any finite x.
sigmoid  = Primitive(logistic,           lambda g, z, x: g * (z * (1 - z)), name="sigmoid")
softplus = Primitive(lambda x: np.logaddexp(x, 0), lambda g, z, x: g * sigmoid(x), name="softplus")
silu     = Primitive(lambda x: x * logistic(x), lambda g, z, x: g * (sigmoid(x) * (1 + (x - z))), name="silu")
relu     = Primitive(lambda x: np.maximum(x, 0), lambda g, z, x: where_positive(g, x), name="relu")
leaky_relu = Primitive(lambda x, negative_slope=0.01: np.where(x > 0, x, float(negative_slope) * x),
                     lambda g, z, x, negative_slope=0.01: np.where(x > 0, g, float(negative_slope) * g), name="leaky_relu")
elu      = Primitive(lambda x, alpha=1.0: np.where(x > 0, x, float(alpha) * np.expm1(np.minimum(x, 0))),
                     lambda g, z, x, alpha=1.0: np.where(x > 0, g, g * (z + float(alpha))), name="elu")

# Linear maps: each one's VJP is its transpose.
matmul   = Primitive(linear_maps.matmul, lambda g, z, x, y: linear_maps.times_transposed(g, x, y),
                                         lambda g, z, x, y: linear_maps.transposed_times(x, y, g), numpy=np.matmul)
einsum   = Primitive(einstein.einsum,    Variadic(einstein.einsum_vjp))
broadcast_to = Primitive(linear_maps.broadcast_to, lambda g, z, x, shape: g, numpy=np.broadcast_to)
sum      = Primitive(linear_maps.sum,    lambda g, z, x, axis=None, keepdims=False: broadcast_to(
                                             linear_maps.with_axes(g, x, axis, keepdims), shape=x.shape), numpy=np.sum)
mean     = Primitive(linear_maps.mean,   lambda g, z, x, axis=None, keepdims=False: broadcast_to(
                                             linear_maps.with_axes(g / linear_maps.count(x, axis), x, axis, keepdims), shape=x.shape), numpy=np.mean)
cumsum   = Primitive(lambda x, axis=None: np.cumsum(x, axis), lambda g, z, x, axis=None: linear_maps.sums_to_the_end(g, x, axis),
                                             name="cumsum", numpy=np.cumsum)

# Other reductions.
max      = Primitive(reductions.max,     lambda g, z, x, axis=None, keepdims=False: reductions.share_among_ties(g, z, x, axis, keepdims), numpy=np.max)
min      = Primitive(reductions.min,     lambda g, z, x, axis=None, keepdims=False: reductions.share_among_ties(g, z, x, axis, keepdims), numpy=np.min)
logsumexp = Primitive(reductions.logsumexp, lambda g, z, x, axis=None, keepdims=False:
                     linear_maps.with_axes(g, x, axis, keepdims) * np.exp(x - linear_maps.with_axes(z, x, axis, keepdims)))
norm     = Primitive(reductions.norm,    lambda g, z, x, axis=None, keepdims=False:
                     linear_maps.with_axes(g, x, axis, keepdims) * (x / linear_maps.with_axes(one_for_zero(z), x, axis, keepdims)))

# Moving elements.
reshape      = Primitive(lambda x, shape: x.reshape(shape),          lambda g, z, x, shape: g.reshape(x.shape), name="reshape", numpy=np.reshape)
transpose    = Primitive(lambda x, axes=None: x.transpose(axes),     lambda g, z, x, axes=None: g.transpose(linear_maps.inverse(axes)), name="transpose", numpy=np.transpose)
scatter      = Primitive(linear_maps.scatter,                        lambda g, z, x, index, shape: g[index])
getitem      = Primitive(lambda x, index: x[index],                  lambda g, z, x, index: scatter(g, index=index, shape=x.shape), name="getitem")
concatenate  = Primitive(lambda *xs, axis=0: np.concatenate(xs, axis), Variadic(lambda i, g, z, *xs, axis=0: g[linear_maps.part(i, xs, axis)]), name="concatenate")
astype       = Primitive(lambda x, dtype: x.astype(dtype),           lambda g, z, x, dtype: g, name="astype", numpy=np.astype)

# Linear algebra: matrices, or stacks of them.  a⁻ᵀ is the inverse of the transposed matrix.
#                     z = f(a, b)             ā from g = z̄                  b̄ from g = z̄
solve    = Primitive(linear_algebra.solve,    lambda g, z, a, b: -np.linalg.solve(a.mT, g) @ z.mT,    # -(a⁻ᵀ g) zᵀ
                                              lambda g, z, a, b: np.linalg.solve(a.mT, g))            # a⁻ᵀ g
inv      = Primitive(linear_algebra.inv,      lambda g, z, a: -z.mT @ g @ z.mT, numpy=np.linalg.inv)
det      = Primitive(linear_algebra.det,      lambda g, z, a: g[..., None, None] * cofactor(a), numpy=np.linalg.det)
cofactor: Primitive = Primitive(linear_algebra.cofactor, lambda g, z, a: linear_algebra.cofactor_vjp(g, z, a))   # det(a) a⁻ᵀ, also where a⁻¹ is not
logabsdet = Primitive(linear_algebra.logabsdet, lambda g, z, a: linear_algebra.logabsdet_vjp(g, a))             # g a⁻ᵀ
cholesky = Primitive(linear_algebra.cholesky, lambda g, z, a: linear_algebra.cholesky_vjp(g, z))

# fmt: on

# NumPy's other names for the same.
table[np.fabs] = absolute
table[np.radians] = deg2rad
table[np.degrees] = rad2deg
table[np.fix] = trunc
table[np.around] = round
table[np.amax] = max
table[np.amin] = min
table[np.linalg.matmul] = matmul

"""Functions of one or two numbers as Python text, for the loops of a compiled step.

Numba calls the C library's exp, log and tanh for one number after the other.  These are arithmetic
only, which the compiler turns into instructions on 4 to 16 numbers at once.  With

    exp x = 2ᵏ exp r          k the whole number nearest to x / log 2, so that |r| ≤ (log 2) / 2
    log x = k log 2 + log m   m from √½ to √2

the rest is a series, as long as rounding can see it.  The errors stay below 2 units in the last
place (4 for tanh and logaddexp); infinities, NaN and results below the least normal number are as
NumPy's.  The sign of a zero is not kept.

Each exists for float64 and, with a 32 at the end of its name, for float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["function_texts", "literal", "sized_name"]

DECORATOR = '@njit(error_model="numpy", fastmath={"contract"}, forceinline=True)'

# What stands in {braces} is replaced by a number of the type, `whole` and `real` by its names; an
# exp, expm1, log or log1p in braces by the function of that type.
SIZED = {
    "exp": '''
def {exp}(x):
    """exp x = 2**k exp r, with k the whole number nearest to x / log 2."""
    x = {lowest} if x < {lowest} else {highest} if x > {highest} else x
    # A sum with 1.5 * 2**{bit_count} is rounded to a whole one, which ends up in its lowest bits.
    k = x * {per_log2} + {shift} - {shift}
    r = x - k * {log2_head} - k * {log2_tail}
    {series = exp_series in r}
    # 2**k as two factors, since it may be too large or too small for one: k in the exponent's bits.
    half = k * {0.5} + {shift}
    rest = k - (half - {shift}) + {shift}
    bits = {real}(half).view({whole}) + {bias}
    first = {whole}(bits << {bits}).view({real})
    bits = {real}(rest).view({whole}) + {bias}
    second = {whole}(bits << {bits}).view({real})
    return series * first * second
''',
    "expm1": '''
def {expm1}(x):
    """exp x - 1 = 2**k (exp r - 1) + (2**k - 1), exact where x is small: there k is 0."""
    x = {least_expm1} if x < {least_expm1} else {highest} if x > {highest} else x
    shifted = x * {per_log2} + {shift}
    k = shifted - {shift}
    r = x - k * {log2_head} - k * {log2_tail}
    {series = expm1_series in r}
    series = r + r * r * series
    # Half of 2**k: k - 1 in the exponent's bits.
    bits = {real}(shifted).view({whole}) + {bias_less_1}
    half = {whole}(bits << {bits}).view({real})
    z = half * series + (half - {0.5})
    return series if k == {0.0} else z + z
''',
    "tanh": '''
def {tanh}(x):
    """tanh x = -m / (m + 2) with m = exp(-2x) - 1, for x above 0."""
    m = {expm1}({-2.0} * abs(x))
    z = m / (m + {2.0})
    return -z if x >= {0.0} else z
''',
    "log": '''
def {log}(x):
    """log x = k log 2 + log m, with 1 + f = m from sqrt(1/2) to sqrt(2)."""
    small = x < {least_normal}
    scaled = {real}(x * {two_to_bits} if small else x)
    bits = scaled.view({whole}) + {up_to_1}
    k = {real}((bits >> {bits}) - {bias}) - ({bits_real} if small else {0.0})
    m = (bits & {mantissa}) + {root_half}
    f = {whole}(m).view({real}) - {1.0}
    # log (1 + f) = 2 artanh s = f - f*f/2 + s (f*f/2 + R), with R = 2 (s**2 / 3 + s**4 / 5 + ...)
    s = f / (f + {2.0})
    s2 = s * s
    square = {0.5} * f * f
    {series = log_series in s2}
    series *= s2
    z = k * {log2_head} - (square - (s * (square + series) + k * {log2_tail}) - f)
    z = z if x < {infinity} else x
    return z if x > {0.0} else -{infinity} if x == {0.0} else {nan}
''',
    "log1p": '''
def {log1p}(x):
    """log u with u = 1 + x, and what rounding took from u, to first order."""
    u = {1.0} + x
    lost = (x - (u - {1.0})) / u
    return {log}(u) + (lost if {0.0} < u < {infinity} else {0.0})
''',
    "logaddexp": '''
def {logaddexp}(x, y):
    """log (exp x + exp y) = log (1 + exp -|x - y|) + the larger of the two."""
    z = (x if x > y else y) + {log1p}({exp}(-abs(x - y)))
    return x + {log2} if x == y else z
''',
    "sign": '''
def {sign}(x):
    """-1, 0 or 1; NaN of NaN."""
    return {1.0} if x > {0.0} else {-1.0} if x < {0.0} else x
''',
}  # fmt: skip
OF_ANY_TYPE = {
    "square": '''
def square(x):
    """x squared."""
    return x * x
''',
    "cube": '''
def cube(x):
    """x to the third power."""
    return x * x * x
''',
    "maximum": '''
def maximum(x, y):
    """The larger one; NaN if one of them is."""
    return x if x >= y or x != x else y
''',
    "minimum": '''
def minimum(x, y):
    """The smaller one; NaN if one of them is."""
    return x if x <= y or x != x else y
''',
    "where": '''
def where(condition, x, y):
    """x where the condition holds, else y."""
    return x if condition else y
''',
}
NEEDS = {
    "tanh": ("expm1",),
    "log1p": ("log",),
    "logaddexp": ("exp", "log", "log1p"),
}


def sized_name(name: str, dtype: npt.DTypeLike) -> str:
    """Return what a function is called for a type.

    Examples
    --------
    >>> sized_name("tanh", np.float64), sized_name("tanh", np.float32), sized_name("where", bool)
    ('tanh', 'tanh32', 'where')
    """
    return f"{name}32" if name in SIZED and np.dtype(dtype) == np.float32 else name


def literal(x: Any, dtype: npt.DTypeLike) -> str:
    """Return a number as text that has this type, in Python and in compiled code.

    Examples
    --------
    >>> literal(0.5, np.float64), literal(0.5, np.float32), literal(-np.inf, np.float64)
    ('0.5', 'np.float32(0.5)', '-np.inf')
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return repr(bool(x))
    if dtype.kind in "iu":
        return repr(int(x))
    x = float(x)
    text = repr(x) if math.isfinite(x) else "np.nan" if x != x else "np.inf" if x > 0 else "-np.inf"
    return text if dtype == np.float64 else f"np.{dtype.name}({text})"


def function_texts(names: Iterable[tuple[str, npt.DTypeLike]]) -> str:
    """Return the definitions of functions, and of those they call, for Numba's `njit`.

    Parameters
    ----------
    names : iterable of (str, dtype)
        Each a key of `SIZED` or `OF_ANY_TYPE`, and the type of its argument.

    Returns
    -------
    str
        Python text; it needs `np` and `njit`.

    Examples
    --------
    >>> print(function_texts([("where", np.float64)]))
    @njit(error_model="numpy", fastmath={"contract"}, forceinline=True)
    def where(condition, x, y):
        \"\"\"x where the condition holds, else y.\"\"\"
        return x if condition else y
    <BLANKLINE>
    """
    wanted: set[tuple[str, str]] = set()
    for name, dtype in names:
        size = np.dtype(dtype).name if name in SIZED else ""
        wanted.update((part, size) for part in (name, *NEEDS.get(name, ())))
    texts = [
        DECORATOR + _filled(text, size)
        for size in ("float64", "float32", "")
        for name, text in (SIZED if size else OF_ANY_TYPE).items()
        if (name, size) in wanted
    ]
    return "\n\n".join(texts)


def _filled(text: str, size: str) -> str:
    if not size:
        return text
    for place, value in _values(np.dtype(size)).items():
        text = text.replace("{" + place + "}", value)
    return text


def _values(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return the text for each place in braces."""
    if dtype == np.float32:
        whole: Any = np.dtype(np.int32)
        bits, bias, degree, terms = 23, 127, 7, 5
        head, tail, lowest, highest, least_expm1 = 0.693359375, -2.12194440e-4, -105.0, 89.0, -30.0
    else:
        whole = np.dtype(np.int64)
        bits, bias, degree, terms = 52, 1023, 13, 11
        head, tail = 6.93147180369123816490e-1, 1.90821492927058770002e-10
        lowest, highest, least_expm1 = -746.0, 710.0, -60.0
    one, root_half = (int(dtype.type(x).view(whole)) for x in (1, math.sqrt(0.5)))
    real_numbers = {
        "lowest": lowest, "highest": highest, "least_expm1": least_expm1,
        "per_log2": 1 / math.log(2), "log2": math.log(2), "log2_head": head, "log2_tail": tail,
        "shift": 1.5 * 2**bits, "least_normal": float(np.finfo(dtype).tiny),
        "two_to_bits": float(2**bits), "bits_real": float(bits),
        "infinity": math.inf, "nan": math.nan,
        **{repr(x): x for x in (-2.0, -1.0, 0.0, 0.5, 1.0, 2.0)},
    }  # fmt: skip
    whole_numbers = {
        "bits": bits, "bias": bias, "bias_less_1": bias - 1, "mantissa": 2**bits - 1,
        "up_to_1": one - root_half, "root_half": root_half,
    }  # fmt: skip
    exponential = [1 / math.factorial(n) for n in range(degree + 1)]
    artanh = [2 / (2 * n + 1) for n in range(1, terms)]
    return {
        **{name: sized_name(name, dtype) for name in SIZED},
        **{place: literal(x, dtype) for place, x in real_numbers.items()},
        **{place: f"np.{whole}({n})" for place, n in whole_numbers.items()},
        "bit_count": str(bits),
        "whole": f"np.{whole}",
        "real": f"np.{dtype}",
        "series = exp_series in r": _polynomial("r", exponential, dtype),
        "series = expm1_series in r": _polynomial("r", exponential[2:], dtype),
        "series = log_series in s2": _polynomial("s2", artanh, dtype),
    }


def _polynomial(x: str, coefficients: list[float], dtype: np.dtype[Any]) -> str:
    """Return the lines of Horner's form of c0 + c1 x + c2 x**2 + ..."""
    highest, *others = [literal(c, dtype) for c in reversed(coefficients)]
    lines = [f"series = {highest}", *(f"series = series * {x} + {c}" for c in others)]
    return "\n    ".join(lines)

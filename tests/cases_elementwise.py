"""What the elementwise rows are checked on."""
# ruff: noqa: RUF005  cases are added up

from typing import Any

import numpy as np
from samples import Cases, beyond, binary, inside, sample, signed, unary

from minigrad import primitives


def apart(x: Any) -> Any:
    """Moved to where no rounding jumps: fractions between 0.1 and 0.4."""
    return np.floor(x) + 0.1 + 0.3 * (x - np.floor(x))


def divisors(*shape: int, seed: int = 0) -> Any:
    """7.3 or so to be divided by ±2 or so: in no quotient a multiple of the other."""
    return (7.3 + inside(*shape) / 10) if seed == 0 else 2 * np.sign(signed(*shape))


ELEMENTWISE: Cases = {
    np.add: binary(np.add),
    np.subtract: binary(np.subtract),
    np.multiply: binary(np.multiply),
    np.divide: binary(np.divide),
    np.power: binary(np.power, make=sample)
    + [(lambda x, n=n: x**n, (signed(2, 3),)) for n in (0, 1, 2, 3, -1, -2.0)]
    + [(np.power, ([2.0, 0.7], [0.0, 1.0]))]
    + [(lambda y: 2.0**y, (signed(3),)), (lambda x: x ** np.array([0.0, 1.0, 2.0]), (signed(3),))],
    np.maximum: binary(np.maximum),
    np.minimum: binary(np.minimum),
    np.hypot: binary(np.hypot),
    np.arctan2: binary(np.arctan2),
    np.logaddexp: binary(np.logaddexp),
    np.logaddexp2: binary(np.logaddexp2),
    np.fmod: binary(np.fmod, make=divisors) + [(np.fmod, (-divisors(3), divisors(3, seed=5)))],
    np.remainder: binary(np.remainder, make=divisors)
    + [(lambda x, y: x % y, (-divisors(3), divisors(3, seed=5)))],
    np.floor_divide: binary(np.floor_divide, make=divisors),
    np.negative: unary(np.negative),
    np.positive: unary(np.positive),
    np.absolute: unary(np.absolute) + unary(abs),
    np.fabs: unary(np.fabs),
    np.square: unary(np.square),
    np.sqrt: unary(np.sqrt, make=sample),
    np.cbrt: unary(np.cbrt),
    np.reciprocal: unary(np.reciprocal),
    np.exp: unary(np.exp),
    np.exp2: unary(np.exp2),
    np.expm1: unary(np.expm1),
    np.log: unary(np.log, make=sample),
    np.log2: unary(np.log2, make=sample),
    np.log10: unary(np.log10, make=sample),
    np.log1p: unary(np.log1p, make=inside),
    np.sin: unary(np.sin),
    np.cos: unary(np.cos),
    np.tan: unary(np.tan, make=inside),
    np.arcsin: unary(np.arcsin, make=inside),
    np.arccos: unary(np.arccos, make=inside),
    np.arctan: unary(np.arctan),
    np.sinh: unary(np.sinh),
    np.cosh: unary(np.cosh),
    np.tanh: unary(np.tanh),
    np.arcsinh: unary(np.arcsinh),
    np.arccosh: unary(np.arccosh, make=beyond),
    np.arctanh: unary(np.arctanh, make=inside),
    np.deg2rad: unary(lambda x: np.deg2rad(x * 100) ** 2),
    np.rad2deg: unary(lambda x: np.rad2deg(x / 100) ** 2),
    np.radians: unary(lambda x: np.radians(x * 100) ** 2),
    np.degrees: unary(lambda x: np.degrees(x / 100) ** 2),
    primitives.zero: unary(primitives.zero),
    np.sign: unary(np.sign),
    np.floor: unary(lambda x: np.floor(x), make=lambda *s: apart(signed(*s))),
    np.ceil: unary(lambda x: np.ceil(x), make=lambda *s: apart(signed(*s))),
    np.trunc: unary(lambda x: np.trunc(x), make=lambda *s: apart(signed(*s))),
    np.fix: unary(lambda x: np.fix(x), make=lambda *s: apart(signed(*s))),
    np.rint: unary(lambda x: np.rint(x), make=lambda *s: apart(signed(*s))),
    np.round: unary(lambda x: np.round(x), make=lambda *s: apart(signed(*s)))
    + [(lambda x: np.round(x, 1), (np.array([0.23, -1.57]),))]
    + [(lambda x: x.round(1), (np.array([0.23, -1.57]),))],
    np.around: unary(lambda x: np.around(x), make=lambda *s: apart(signed(*s))),
    primitives.erf: unary(primitives.erf),
    primitives.sigmoid: unary(primitives.sigmoid),
    primitives.softplus: unary(primitives.softplus),
    primitives.silu: unary(primitives.silu),
    primitives.relu: unary(primitives.relu),
    primitives.leaky_relu: unary(primitives.leaky_relu)
    + unary(lambda x: primitives.leaky_relu(x, negative_slope=0.3)),
    primitives.elu: unary(primitives.elu) + unary(lambda x: primitives.elu(x, alpha=0.7)),
    primitives.where: binary(
        lambda x, y: primitives.where(x, y, condition=np.array([True, False, True])),
        pairs=[((3,), (3,)), ((2, 3), (3,)), ((), (2, 1)), ((0, 3), ())],
    ),
    primitives.keep: [
        (lambda g, m=m: primitives.keep(g, mask=m) ** 2, (signed(2, 3),))
        for m in ([[True], [False]], [True, False, True], True, np.eye(2, 3, dtype=bool))
    ]
    + [(lambda g: primitives.keep(g, mask=g > 0), (signed(3, 4).T[::2],))],
    primitives.where_positive: [
        (lambda g, x: primitives.where_positive(g, x) ** 2, (signed(*s), signed(*s, seed=1)))
        for s in ((), (4,), (2, 3))
    ],
    np.where: [
        (lambda x, y: np.where([[True], [False]], x, y), (signed(2, 3), signed(3, seed=1))),
        (lambda x: np.where(x > 0, x**2, -x), (signed(4),)),
        (lambda x, y: np.where(True, x, y), (signed(), signed(2, seed=1))),
        (lambda x, y: np.where(np.ones((0, 3), bool), x, y), (signed(0, 3), signed(3, seed=1))),
    ],
    np.clip: [
        (lambda x: np.clip(x, -0.5, 0.5) ** 2, (signed(3, 4),)),
        (lambda x: np.clip(x, None, 0.3) ** 2, (signed(3, 4),)),
        (lambda x: np.clip(x, a_min=0.3, a_max=None) ** 2, (signed(0, 4),)),
        (lambda x: np.clip(x, None, None) ** 2, (signed(),)),
        (lambda x: np.clip(x, min=-1.0, max=np.linspace(0.2, 2, 4)) ** 2, (signed(3, 4),)),
        (lambda x: x.clip(-1.2) ** 2, (signed(3, 4),)),
        (lambda x, a, b: np.clip(x, a, b) ** 2, (signed(3, 4), -sample(4), sample(3, 1))),
        (lambda a: np.clip(np.linspace(-1, 1, 5), a, 2.0) ** 2, (np.array(0.1),)),
    ],
}  # fmt: skip

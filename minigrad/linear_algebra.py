"""Inverses, determinants and factors of matrices, or of stacks of them, and their derivatives.

The derivatives are those of Giles, "Collected matrix derivative results for forward and reverse
mode algorithmic differentiation" (2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

__all__ = [
    "cholesky", "cholesky_vjp", "cofactor", "cofactor_vjp", "det", "inv", "logabsdet",
    "logabsdet_vjp", "solve",
]  # fmt: skip


def solve(a: Any, b: Any) -> Any:
    """The matrix z with a z = b."""
    with _advice("use np.linalg.lstsq(a.data, b.data), or add ε·identity to a"):
        return np.linalg.solve(a, b)


def inv(a: Any) -> Any:
    """The matrix z with a z = z a = 1."""
    with _advice("use np.linalg.pinv(a.data), or add ε·identity to a"):
        return np.linalg.inv(a)


def det(a: Any) -> Any:
    """The determinant."""
    return np.linalg.det(a)


def logabsdet(a: Any) -> Any:
    """The logarithm of the determinant's absolute value."""
    return np.linalg.slogdet(a).logabsdet


def cofactor(a: Any) -> Any:
    """The matrix of ∂det(a)/∂a, also where a is singular and det(a) a⁻ᵀ is not defined.

    With a = u s vᵀ, s diagonal, it is det(u) det(v) u c vᵀ, where c_ii is the product of all
    singular values but s_i.
    """
    u, s, vt = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(axis=-1)
    signs = np.linalg.det(u) * np.linalg.det(vt)
    return (signs[..., None, None] * u * others[..., None, :]) @ vt


def cofactor_vjp(g: Any, z: Any, a: Any) -> Any:
    """ā = z ⟨g, a⁻ᵀ⟩ - z gᵀ a⁻ᵀ: the second derivative of the determinant."""
    with _advice(
        f"det of shape {a.shape}: its first derivative is known there, its second is not; add "
        "ε·identity to a"
    ):
        inverse_t = np.linalg.inv(a).mT
    return z * (g * inverse_t).sum(axis=(-2, -1), keepdims=True) - z @ g.mT @ inverse_t


def logabsdet_vjp(g: Any, a: Any) -> Any:
    """ā = g a⁻ᵀ."""
    with _advice(f"slogdet of shape {a.shape}: there log |det| = -inf has no derivative"):
        return g[..., None, None] * np.linalg.inv(a).mT


def cholesky(a: Any) -> Any:
    """The lower triangular z with z zᵀ = a, for a symmetric, positive definite a.

    As in NumPy, only the lower triangle of a is read.
    """
    with _advice("all eigenvalues must be positive; add ε·identity to a, which raises each by ε"):
        return np.linalg.cholesky(a)


def cholesky_vjp(g: Any, z: Any) -> Any:
    """ā = ½ (s + sᵀ), where s = z⁻ᵀ Φ(zᵀ g) z⁻¹ and Φ takes the lower triangle, half its diagonal.

    Half of the gradient goes to each of two mirrored elements, since a is symmetric.
    """
    n = z.shape[-1]
    phi = np.tril(np.ones((n, n), z.dtype)) - np.eye(n, dtype=z.dtype) / 2
    half = np.linalg.solve(z.mT, z.mT @ g * phi)
    s = np.linalg.solve(z.mT, half.mT)
    return (s + s.mT) / 2


@contextmanager
def _advice(what_to_do: str) -> Iterator[None]:
    """Say what to do where NumPy says that a matrix is singular, or not positive definite."""
    try:
        yield
    except LinAlgError as error:
        if "square" in str(error) or "dimension" in str(error):
            raise
        raise LinAlgError(f"{str(error).lower()}; {what_to_do}") from error

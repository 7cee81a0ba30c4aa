"""Einstein's summation: products of any number of arrays, summed over the letters they share.

In ``ij,jk->ik`` every letter names an axis; letters that the output lacks are summed over.  The
VJP is again one such sum: to get the gradient of an input, put g in its place and its letters to
the right of the arrow, ``ik,jk->ij`` for the first.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np

__all__ = ["einsum", "einsum_vjp", "explicit"]


def einsum(*operands: Any, subscripts: str) -> Any:
    """`numpy.einsum`, in the order of products that takes the fewest steps."""
    return np.einsum(subscripts, *operands, optimize=len(operands) > 1)


def einsum_vjp(i: int, g: Any, z: Any, *operands: Any, subscripts: str) -> Any:
    """The gradient of operand i: g and the other operands, summed to its letters.

    Two kinds of letter need an operand more.  One that stands in operand i alone was summed over:
    its axis is repeated by ones.  A letter that operand i has twice takes a diagonal: its second
    occurrence becomes a new letter, and an identity matrix leads from one to the other.
    """
    inputs, output = subscripts.split("->")
    letters = inputs.split(",")
    others = [j for j in range(len(operands)) if j != i]
    terms, factors = [output], [g]
    terms += [letters[j] for j in others]
    factors += [operands[j] for j in others]
    lengths = {
        (letter, n)
        for term, x in zip(terms, factors, strict=True)
        for letter, n in zip(term, np.shape(x), strict=True)
    }
    unused = iter(sorted(set(string.ascii_letters) - set(inputs)))
    wanted = ""
    for letter, n in zip(letters[i], np.shape(operands[i]), strict=True):
        if letter in wanted:
            twin = next(unused)
            terms.append(letter + twin)
            factors.append(np.eye(n, dtype=g.dtype))
            wanted += twin
        else:
            if (letter, n) not in lengths:
                terms.append(letter)
                factors.append(np.ones(n, g.dtype))
            wanted += letter
    return np.einsum(f"{','.join(terms)}->{wanted}", *factors, optimize=True)


def explicit(subscripts: str, ndims: list[int]) -> str:
    """Write out what `numpy.einsum` leaves unsaid: the axes of ``...``, and the output.

    Examples
    --------
    >>> explicit("...ij,jk", [4, 2])
    'ABij,jk->ABik'
    """
    subscripts = subscripts.replace(" ", "")
    inputs, arrow, output = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise ValueError(
            f"einsum {subscripts!r} names {len(terms)} operand(s), and was given {len(ndims)}"
        )
    free = [letter for letter in string.ascii_uppercase + string.ascii_lowercase
            if letter not in subscripts]  # fmt: skip
    hidden = 0
    for k, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        named = len(term.replace("...", ""))
        if named != ndim if "..." not in term else named > ndim:
            raise ValueError(
                f"einsum {subscripts!r}: {term!r} names {named} axes of an operand with {ndim}"
            )
        hidden = max(hidden, ndim - named)
        terms[k] = term.replace("...", "." * (ndim - named))
    ellipsis = "".join(free[:hidden])
    # Axes under ... broadcast, so they are counted from the last.
    terms = [_named(term, ellipsis) for term in terms]
    if arrow:
        if hidden and "..." not in output:
            raise ValueError(f"einsum {subscripts!r}: the output must have the axes of ... too")
        output = output.replace("...", ellipsis)
    else:
        named_letters = "".join(terms)
        output = ellipsis + "".join(
            letter
            for letter in sorted(set(named_letters) - set(ellipsis))
            if named_letters.count(letter) == 1
        )
    return f"{','.join(terms)}->{output}"


def _named(term: str, ellipsis: str) -> str:
    dots = term.count(".")
    return term.replace("." * dots, ellipsis[len(ellipsis) - dots :]) if dots else term

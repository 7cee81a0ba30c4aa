"""TinyLM: a transformer that says which character comes next.

Radford et al., *Language Models are Unsupervised Multitask Learners*, 2019: the blocks of Vaswani
et al. (2017), with the normalization in front of each sublayer instead of behind it (*pre-norm*).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from minigrad import nn
from minigrad.functional import cross_entropy

__all__ = ["Block", "TinyLM"]


class Block(nn.Module):
    """Attention, then an MLP at each position; each adds to what passes by.

        x = x + attention(norm(x))
        x = x + narrow(gelu(widen(norm(x))))

    Parameters
    ----------
    width : int
        Length d of the vector at a position; the MLP is 4d wide.
    heads : int
        Of the attention, which is causal: a position sees itself and those before it.
    rng : numpy.random.Generator
        Draws the weights.
    dtype : dtype
        Of the parameters.
    """

    def __init__(
        self, width: int, heads: int, *, rng: np.random.Generator, dtype: npt.DTypeLike
    ) -> None:
        self.norm1 = nn.LayerNorm(width, dtype=dtype)
        self.attention = nn.MultiHeadAttention(width, heads, causal=True, rng=rng, dtype=dtype)
        self.norm2 = nn.LayerNorm(width, dtype=dtype)
        self.widen = nn.Linear(width, 4 * width, rng=rng, dtype=dtype)
        self.gelu = nn.GELU()
        self.narrow = nn.Linear(4 * width, width, rng=rng, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of x, (sequences, positions, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(self.gelu(self.widen(self.norm2(x))))


class TinyLM(nn.Module):
    """Token and position embeddings, blocks, a last normalization, and a linear head.

    Parameters
    ----------
    vocabulary, positions : int
        How many characters there are, and how many positions a text may have at most.
    width, heads, blocks : int
        The length of the vectors, and the numbers of heads and blocks.
    rng : numpy.random.Generator
        Draws the weights.
    dtype : dtype
        float32 or float64.

    Examples
    --------
    >>> model = TinyLM(rng=np.random.default_rng(0))
    >>> sum(p.size for p in model.parameters())
    412188
    >>> model(np.zeros((10, 64), int)).shape
    (10, 64, 28)
    """

    def __init__(
        self,
        vocabulary: int = 28,
        positions: int = 64,
        *,
        width: int = 128,
        heads: int = 2,
        blocks: int = 2,
        rng: np.random.Generator,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.token = nn.Embedding(vocabulary, width, rng=rng, dtype=dtype)
        self.position = nn.Embedding(positions, width, rng=rng, dtype=dtype)
        self.blocks = nn.Sequential(
            *(Block(width, heads, rng=rng, dtype=dtype) for _ in range(blocks))
        )
        self.norm = nn.LayerNorm(width, dtype=dtype)
        self.head = nn.Linear(width, vocabulary, rng=rng, dtype=dtype)

    def forward(self, tokens: Any) -> Any:
        """Return the logits of each next token.

        Parameters
        ----------
        tokens : array of int
            Shape (sequences, positions), with as many positions as embeddings, or fewer.

        Returns
        -------
        Tensor
            Shape (sequences, positions, vocabulary).

        Raises
        ------
        ValueError
            If there are more positions than embeddings, or other axes.
        """
        shape, most = np.shape(tokens), self.position.weight.shape[0]
        if len(shape) != 2 or shape[1] > most:
            raise ValueError(
                f"TinyLM: tokens of shape {shape}; it takes (sequences, positions) with at most "
                f"{most} positions, so cut longer texts into windows"
            )
        x = self.token(tokens) + self.position(np.arange(shape[1]))
        return self.head(self.norm(self.blocks(x)))

    def loss(self, tokens: Any, targets: Any) -> Any:
        """Return the mean cross-entropy over all positions, in nats; a scalar.

        Parameters
        ----------
        tokens, targets : array of int
            Shape (sequences, positions): the character at each position, and the one after it.
        """
        return cross_entropy(self(tokens), targets)

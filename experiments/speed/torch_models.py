"""Models of `minigrad.nn` in PyTorch, from the same weights.  Importing this needs PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from experiments.trainings.small_cnn import SmallCNN
from experiments.trainings.tiny_lm import Block, TinyLM
from minigrad import nn

__all__ = ["in_torch", "mean_cross_entropy"]


def in_torch(module: nn.Module) -> Any:
    """Return PyTorch's counterpart of a module, with copies of its parameters in their dtype.

    Parameters
    ----------
    module : minigrad.nn.Module
        A `TinyLM`, a `SmallCNN`, or another Sequential of layers that these two have; with
        biases.

    Returns
    -------
    torch.nn.Module
        Attention has queries, keys and values in one product, as is usual in PyTorch.

    Raises
    ------
    TypeError
        If there is no counterpart here.
    """
    match module:
        case TinyLM():
            return TorchTinyLM(module)
        case SmallCNN():
            return in_torch(module.layers)
        case Block():
            return TorchBlock(module)
        case nn.Sequential():
            return torch.nn.Sequential(*map(in_torch, module))
        case nn.MultiHeadAttention() if module.output.bias is not None:
            return TorchAttention(module)
        case nn.Linear() if module.bias is not None:
            return linear(module)
        case nn.Conv2d() if module.bias is not None:
            channels = module.weight.shape[1::-1]
            theirs = torch.nn.Conv2d(
                *channels, module.weight.shape[2:], module.stride, module.padding, module.dilation
            )
            return with_parameters(theirs, module.weight.data, module.bias.data)
        case nn.LayerNorm():
            theirs = torch.nn.LayerNorm(module.weight.size, module.eps)
            return with_parameters(theirs, module.weight.data, module.bias.data)
        case nn.Embedding():
            return with_parameters(torch.nn.Embedding(*module.weight.shape), module.weight.data)
        case nn.GELU():
            return torch.nn.GELU(module.approximate)
        case nn.MaxPool2d():
            return torch.nn.MaxPool2d(module.kernel_size, module.stride, module.padding)
        case nn.ReLU():
            return torch.nn.ReLU()
        case nn.Tanh():
            return torch.nn.Tanh()
        case nn.Flatten():
            return torch.nn.Flatten()
    raise TypeError(f"{module.describe()} has no counterpart in PyTorch here")


def linear(*layers: nn.Linear) -> Any:
    """Return one linear layer that gives the results of all of these, side by side."""
    weight = np.concatenate([layer.weight.data for layer in layers], axis=1)
    bias = np.concatenate([layer.bias.data for layer in layers])
    # PyTorch keeps W transposed.
    return with_parameters(torch.nn.Linear(*weight.shape), weight.T, bias)


def with_parameters(module: Any, *arrays: Any) -> Any:
    """Return the PyTorch module with copies of the arrays as its parameters."""
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        copy = torch.from_numpy(np.array(array, order="C"))
        assert parameter.shape == copy.shape
        parameter.data = copy
    return module


def mean_cross_entropy(logits: Any, labels: Any) -> Any:
    """Return PyTorch's cross-entropy, with the classes along the last axis."""
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


class TorchAttention(torch.nn.Module):  # type: ignore[misc]
    """Multi-head attention, after `minigrad.nn.MultiHeadAttention`."""

    def __init__(self, ours: nn.MultiHeadAttention) -> None:
        super().__init__()
        self.heads, self.causal = ours.num_heads, ours.causal
        self.packed = linear(ours.query, ours.key, ours.value)
        self.output = in_torch(ours.output)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of x, (sequences, positions, width)."""
        n, t, d = x.shape
        packed = self.packed(x).reshape(n, t, 3, self.heads, d // self.heads)
        q, k, v = packed.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.output(mixed.transpose(1, 2).reshape(n, t, d))


class TorchBlock(torch.nn.Module):  # type: ignore[misc]
    """Attention and MLP, after `experiments.trainings.tiny_lm.Block`."""

    def __init__(self, ours: Block) -> None:
        super().__init__()
        self.norm1, self.attention = in_torch(ours.norm1), in_torch(ours.attention)
        self.norm2 = in_torch(ours.norm2)
        self.widen, self.gelu = in_torch(ours.widen), in_torch(ours.gelu)
        self.narrow = in_torch(ours.narrow)

    def forward(self, x: Any) -> Any:
        """Return an array of the shape of x, (sequences, positions, width)."""
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(self.gelu(self.widen(self.norm2(x))))


class TorchTinyLM(torch.nn.Module):  # type: ignore[misc]
    """The whole model, after `experiments.trainings.tiny_lm.TinyLM`."""

    def __init__(self, ours: TinyLM) -> None:
        super().__init__()
        self.token, self.position = in_torch(ours.token), in_torch(ours.position)
        self.blocks = in_torch(ours.blocks)
        self.norm, self.head = in_torch(ours.norm), in_torch(ours.head)

    def forward(self, tokens: Any) -> Any:
        """Return the logits of each next token, (sequences, positions, vocabulary)."""
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))

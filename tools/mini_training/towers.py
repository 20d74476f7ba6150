"""The text tower, the heads, and the losses of ``mini``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

START_WIDTH = 300  # of a word's vector
HIDDEN = 512


class TextTower(nn.Module):
    """A weighted mean of word vectors, and a layer behind it (a deep averaging network, Iyyer et al. 2015).

    The order of words is lost. With 28,000 captions of photographs a tower that sees it learns them by heart.
    """

    def __init__(self, start: np.ndarray, width: int, dropout: float = 0.1, lost_words: float = 0.1) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.from_numpy(start.copy()))
        self.weights = nn.Parameter(torch.zeros(len(start), 1))
        self.norm = nn.LayerNorm(start.shape[1])
        self.up = nn.Linear(start.shape[1], HIDDEN)
        self.down = nn.Linear(HIDDEN, width)
        self.straight = nn.Linear(start.shape[1], width)
        self.dropout, self.lost_words = dropout, lost_words

    def forward(self, numbers: Tensor) -> Tensor:
        """N x width, of numbers n x places with 0 behind the end of a text."""
        weights = functional.embedding(numbers, self.weights)[..., 0].exp() * (numbers > 0)
        if self.training:
            kept = torch.rand(numbers.shape) > self.lost_words
            kept[:, 0] = True
            weights = weights * kept
            bags = functional.embedding_bag(numbers, self.vectors, mode="sum", per_sample_weights=weights)
        else:  # the same sum, as a graph can hold it
            bags = (weights[..., None] * functional.embedding(numbers, self.vectors)).sum(1)
        mean = functional.dropout(self.norm(bags / weights.sum(1, keepdim=True)), self.dropout, self.training)
        hidden = functional.dropout(functional.gelu(self.up(mean)), self.dropout, self.training)
        return self.straight(mean) + self.down(hidden)


class Head(nn.Module):
    """Standardised features of a photograph into the common space, by one linear layer."""

    def __init__(self, middle: Tensor, spread: Tensor, width: int, dropout: float, noise: float) -> None:
        super().__init__()
        self.register_buffer("middle", middle)
        self.register_buffer("spread", spread)
        self.linear = nn.Linear(len(middle), width)
        self.dropout, self.noise = dropout, noise

    def forward(self, features: Tensor) -> Tensor:
        """N x width."""
        scaled = (features.float() - self.middle) / self.spread
        if self.training:
            scaled = functional.dropout(scaled + self.noise * torch.randn_like(scaled), self.dropout)
        return self.linear(scaled)


def unit(rows: Tensor) -> Tensor:
    """Rows of length 1."""
    return functional.normalize(rows, dim=1)


def contrast(first: Tensor, second: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of rows of length 1 that belong together."""
    scores = scale * first @ second.T
    own = torch.arange(len(scores))
    return (functional.cross_entropy(scores, own) + functional.cross_entropy(scores.T, own)) / 2


def recalls(pictures: Tensor, texts: Tensor, own: Tensor) -> dict[str, float]:
    """Percent; texts are ordered by their pictures ``own``, and ties count against the text."""
    scores = texts @ pictures.T
    rank = (scores >= scores.gather(1, own[:, None])).sum(1)
    found = {f"text to image R@{k}": 100 * (rank <= k).float().mean().item() for k in (1, 5, 10)}
    best = own[scores.argmax(0)] == torch.arange(len(pictures))
    return found | {"image to text R@1": 100 * best.float().mean().item()}

"""The two stages of training: captions with captions, then photographs with captions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from mini_training.towers import Head, TextTower, contrast, recalls, unit
from torch import Tensor, nn

Log = Callable[[str], None]
WARM_UP = 30  # steps
COARSEST, FINEST = 1 / 0.07, 30.0  # the scale of cosines, at first and at most


@dataclass(frozen=True)
class Recipe:
    """Everything that was chosen on held-out training photographs."""

    width: int = 256
    text_steps: int = 600
    text_batch: int = 512
    text_rate: float = 2e-3
    steps: int = 300
    batch: int = 512
    head_rate: float = 6e-3
    tower_rate: float = 5e-3
    decay: float = 0.05
    feature_dropout: float = 0.4
    feature_noise: float = 0.2
    text_dropout: float = 0.2
    lost_words: float = 0.2
    caption_share: float = 0.2  # weight of the loss between two captions of a photograph
    average: float = 0.98  # of the weights that are kept


def schedule(optimiser: torch.optim.Optimizer, step: int, steps: int) -> None:
    """Warm up, then fall like a cosine."""
    factor = min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / steps))
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor


def optimiser_of(groups: list[tuple[list[nn.Parameter], float, float]]) -> torch.optim.Optimizer:
    """AdamW with a rate and a decay for each group."""
    parts = [{"params": params, "base": rate, "weight_decay": decay} for params, rate, decay in groups]
    return torch.optim.AdamW(parts, lr=1e-3, betas=(0.9, 0.98), fused=True)


def two_captions(table: Tensor, rows: Tensor) -> Tensor:
    """Two different captions of each picture, one block behind the other."""
    chosen = torch.rand(len(rows), table.shape[1]).argsort(1)
    both = torch.cat([table[rows, chosen[:, 0]], table[rows, chosen[:, 1]]]).long()
    return both[:, : int((both > 0).sum(1).max())]


def learn_captions(tower: TextTower, table: Tensor, recipe: Recipe, log: Log) -> None:
    """Bring two captions of one picture together, and others apart."""
    scale = nn.Parameter(torch.tensor(math.log(COARSEST)))
    learned = [*tower.parameters(), scale]
    optimiser = optimiser_of([(learned, recipe.text_rate, 0.02)])
    tower.train()
    for step in range(recipe.text_steps):
        schedule(optimiser, step, recipe.text_steps)
        rows = torch.randint(len(table), (recipe.text_batch,)).unique()
        vectors = unit(tower(two_captions(table, rows)))
        loss = contrast(vectors[: len(rows)], vectors[len(rows) :], scale.exp().clamp(max=50))
        step_down(optimiser, loss, learned)
        if (step + 1) % 100 == 0:
            log(f"captions: step {step + 1}, loss {loss.item():.3f}")


def step_down(optimiser: torch.optim.Optimizer, loss: Tensor, learned: list[nn.Parameter]) -> None:
    """One step against the gradient, which is not longer than 2."""
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(learned, 2.0)
    optimiser.step()


@dataclass(frozen=True)
class Photographs:
    """Features photographs x views x width, and captions photographs x captions x places."""

    features: Tensor
    captions: Tensor

    def part(self, rows: Tensor) -> Photographs:
        """Some of them."""
        return Photographs(self.features[rows], self.captions[rows])


def learn_photographs(
    tower: TextTower, photos: Photographs, held_out: Photographs | None, recipe: Recipe, log: Log
) -> tuple[TextTower, Head]:
    """Bring photographs and their captions together; the averaged weights are given back."""
    plain = photos.features[:, 0].float()
    head = Head(plain.mean(0), plain.std(0) + 0.05, recipe.width, recipe.feature_dropout, recipe.feature_noise)
    tower.dropout, tower.lost_words = recipe.text_dropout, recipe.lost_words
    scale = nn.Parameter(torch.tensor(math.log(COARSEST)))
    optimiser = optimiser_of(
        [
            (list(head.parameters()), recipe.head_rate, recipe.decay),
            (list(tower.parameters()), recipe.tower_rate, recipe.decay),
            ([scale], 1e-3, 0.0),
        ]
    )
    learned = [*tower.parameters(), *head.parameters()]
    kept_tower, kept_head = copy.deepcopy(tower), copy.deepcopy(head)
    kept = [*kept_tower.parameters(), *kept_head.parameters()]
    for step in range(recipe.steps):
        schedule(optimiser, step, recipe.steps)
        rows = torch.randperm(len(photos.captions))[: recipe.batch]
        texts = unit(tower(two_captions(photos.captions, rows)))
        views = torch.randint(photos.features.shape[1], (len(rows),))
        pictures = unit(head(photos.features[rows, views]))
        first, second = texts[: len(rows)], texts[len(rows) :]
        size = scale.exp().clamp(max=FINEST)
        loss = contrast(pictures, first, size) + contrast(pictures, second, size)
        loss = loss + recipe.caption_share * contrast(first, second, size)
        step_down(optimiser, loss, learned)
        average(kept, learned, min(recipe.average, (step + 1) / (step + 10)))
        if (step + 1) % max(1, recipe.steps // 5) == 0:
            found = measured(kept_tower, kept_head, held_out) if held_out else ""
            log(f"photographs: step {step + 1}, loss {loss.item():.3f} {found}")
    return kept_tower.eval(), kept_head.eval()


@torch.no_grad()
def average(kept: list[nn.Parameter], now: list[nn.Parameter], share: float) -> None:
    """Move the kept weights towards those of now."""
    for old, new in zip(kept, now, strict=True):
        old.lerp_(new, 1 - share)


def measured(tower: TextTower, head: Head, photos: Photographs) -> str:
    """Recall of one model."""
    return measured_together([(tower, head)], photos)


@torch.no_grad()
def measured_together(models: list[tuple[TextTower, Head]], photos: Photographs) -> str:
    """Recall of models side by side, on photographs as they are and all their captions."""
    texts, pictures = [], []
    for tower, head in models:
        tower.eval()
        head.eval()
        texts.append(unit(tower(photos.captions.flatten(0, 1).long())))
        pictures.append(unit(head(photos.features[:, 0])))
    count, captions = photos.captions.shape[:2]
    own = torch.arange(count).repeat_interleave(captions)
    found = recalls(torch.cat(pictures, 1), torch.cat(texts, 1), own)
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())

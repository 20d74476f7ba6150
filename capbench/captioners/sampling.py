"""Drawing words so that a batch changes nothing: each caption has random numbers of its own.

The word whose log-probability plus independent Gumbel noise is highest is a draw from the probabilities (Gumbel
1954; Maddison et al. 2014, "A* sampling"), so that a model which takes the highest draws when noise is added before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from capbench.errors import UsageError
from capbench.types import Generation, Request

BITS = 63


def seed_of(seed: int, identity: str) -> int:
    """The seed of one caption, from the run's (plus the sample) and the item's id."""
    state = hashlib.blake2b(f"{seed}\n{identity}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(state.digest(), "big") % (1 << BITS)


class Draws:
    """Adds noise to the scores of the next token; called by ``generate`` once a token, as its processors are.

    Scores are divided by the temperature, cut to the ``top_k`` best (0: all) and to the fewest that have ``top_p``
    of the probability together (1: all), as transformers cuts them.
    """

    def __init__(self, seeds: Sequence[int], device: Any, temperature: float, top_p: float, top_k: int) -> None:
        import torch
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        self._sources = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._cuts: list[Any] = [TemperatureLogitsWarper(float(temperature))]
        if top_k:
            self._cuts.append(TopKLogitsWarper(top_k))
        if top_p < 1:
            self._cuts.append(TopPLogitsWarper(top_p))

    def __call__(self, ids: Any, scores: Any) -> Any:
        """The scores, noisy."""
        import torch

        scores = scores.float()
        for cut in self._cuts:
            scores = cut(ids, scores)
        width, place = scores.shape[1], scores.device
        uniform = torch.stack([torch.rand(width, generator=source, device=place) for source in self._sources])
        tiny = torch.finfo(torch.float32).tiny
        waits = (-torch.log(uniform.clamp_min(tiny))).clamp_min(tiny)  # exponential: neither 0 nor infinite
        return scores - torch.log(waits)


def draws(requests: Sequence[Request], params: Generation, device: Any, top_p: float, top_k: int) -> list[Any]:
    """The processors that draw at this temperature; none at 0.

    Raises:
        UsageError: a temperature together with beams.
    """
    if params.temperature <= 0:
        return []
    if params.beams > 1:
        raise UsageError("a temperature and several beams were asked for", "leave out --beams or --temperature")
    seeds = [seed_of(params.seed, request.id) for request in requests]
    return [Draws(seeds, device, params.temperature, top_p, top_k)]


__all__ = ["Draws", "draws", "seed_of"]

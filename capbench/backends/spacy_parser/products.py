"""Matrix products of spaCy's models through numpy, in such a way that a row's product hangs on the row alone.

spaCy multiplies with BLIS 0.7, which takes its plain C routine on every processor that it does not know, and so on all
newer ones. numpy's library is about three times faster there, but it may add a row up in another order by its place
and by how many rows there are, and then a parse would depend on the batch. So rows go through it in blocks of one size,
on one thread, and only in shapes in which this machine gives equal rows of a block equal products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from thinc.backends.numpy_ops import NumpyOps
from threadpoolctl import ThreadpoolController

BLOCK = 64  # rows: one text fills none, and few rows are slow


class SteadyOps(NumpyOps):  # type: ignore[misc]  # thinc's class is untyped
    """thinc's operations on the processor, with numpy's products in the shapes in which they are steady."""

    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadpoolController().select(user_api="blas")
        self._steady: dict[tuple[int, ...], bool] = {}

    def gemm(self, x: Any, y: Any, *, out: Any = None, trans1: bool = False, trans2: bool = False) -> Any:
        """The product of x and y, each transposed if asked: numpy's where only y is, as in the layers of a model."""
        weights = y.T
        if trans1 or not trans2 or x.dtype != np.float32 or not self._is_steady(weights.shape):
            return super().gemm(x, y, out=out, trans1=trans1, trans2=trans2)
        x, weights = self.as_contig(x), self.as_contig(y).T  # laid out as those that were tried
        if out is None:
            out = np.empty((len(x), weights.shape[1]), np.float32)
        with self._threads.limit(limits=1):
            in_blocks(x, weights, out)
        return out

    def _is_steady(self, shape: tuple[int, ...]) -> bool:
        """The same as ``is_steady``, found out once."""
        if shape not in self._steady:
            with self._threads.limit(limits=1):
                self._steady[shape] = is_steady(*shape)
        return self._steady[shape]


def use(nlp: Any) -> None:
    """Let the models of a pipeline multiply so, those that would do it with BLIS."""
    ops = SteadyOps()
    for _, pipe in nlp.pipeline:
        for node in pipe.model.walk() if hasattr(pipe, "model") else ():
            if type(node.ops) is NumpyOps:
                node.ops = ops


def in_blocks(x: Any, weights: Any, out: Any) -> None:
    """Write the product; the last block is filled up with zeros."""
    whole = len(x) - len(x) % BLOCK
    for start in range(0, whole, BLOCK):
        np.matmul(x[start : start + BLOCK], weights, out=out[start : start + BLOCK])
    if whole < len(x):
        last = np.zeros((BLOCK, x.shape[1]), np.float32)
        last[: len(x) - whole] = x[whole:]
        out[whole:] = (last @ weights)[: len(x) - whole]


def is_steady(inner: int, width: int) -> bool:
    """Whether equal rows of a block have equal products, to the last bit."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((width, inner), np.float32).T
    products = (np.tile(row, (BLOCK, 1)) @ weights for row in rng.standard_normal((4, inner), np.float32))
    return all((product == product[0]).all() for product in products)

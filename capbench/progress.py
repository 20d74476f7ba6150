"""A progress bar on stderr for anything longer than two seconds; silent when stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Bar(Protocol):
    """What a bar offers."""

    def update(self, n: int) -> object:
        """Move on by n items."""
        ...


class Silent:
    """A bar that nobody sees."""

    def update(self, n: int) -> None:
        """Do nothing."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Bar]:
    """Show progress while the block runs."""
    if not sys.stderr.isatty():
        yield Silent()
        return
    from tqdm import tqdm

    bar: Any = tqdm(total=total, desc=label, delay=2, file=sys.stderr, leave=False, dynamic_ncols=True)
    try:
        yield bar
    finally:
        bar.close()

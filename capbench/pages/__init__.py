"""Self-contained pages: a leaderboard, runs image by image, or a sweep. They need no server and no network."""

from capbench.pages.board import write_boards
from capbench.pages.sweep import write_sweep
from capbench.pages.view import write_view

__all__ = ["write_boards", "write_sweep", "write_view"]

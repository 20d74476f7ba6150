"""Self-contained pages: a leaderboard, or runs image by image. They need no server and ask nothing of the network."""

from capbench.pages.board import write_boards
from capbench.pages.view import write_view

__all__ = ["write_boards", "write_view"]

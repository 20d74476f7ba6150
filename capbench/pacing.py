"""When a request to a server may begin: the rate, the pause after a failure, and what the server asks for itself."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds


@dataclass(slots=True)
class Bucket:
    """A bucket that holds one token and is refilled ``rate`` times a second (0: never empty)."""

    rate: float
    filled: float = -float("inf")

    def wait(self, now: float) -> float:
        """Take the next token; returns the seconds until it is there."""
        if self.rate <= 0:
            return 0.0
        self.filled = max(self.filled + 1 / self.rate, now)
        return self.filled - now


def pause(attempt: int, after: float | None) -> float:
    """Seconds to wait after so many attempts: drawn from 0 to a bound that doubles; after what the server asks for."""
    bound = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
    return (after or 0.0) + secrets.SystemRandom().uniform(0.0, bound if after is None else FIRST_PAUSE)


def retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3); None for neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None

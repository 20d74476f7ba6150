"""The alignment of two texts: a beam search over the words of the reference.

A path takes a match at each word or skips it. Paths are sorted, stably, by matched weight, chunks and distance,
and 40 go on. Two peculiarities of the reference program decide ties and are kept: a match adds its distance to
the path it leaves, not to the path it makes; and a match whose words have no other is taken before the search.

Source: behaviour of ``meteor-1.5.jar``.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from capbench.meteor.match import CHUNK, GAIN, Match

BEAM = 40
NOWHERE = -1
# rank, end of the last match in the candidate, used words of the two texts as bits, matches as a linked list
Path = tuple[int, int, int, int, Any]
RANK = itemgetter(0)


def align(options: Sequence[Sequence[Match]]) -> tuple[list[Match], int]:
    """The matches that are chosen, last first, and the number of chunks. options: matches at each word."""
    fixed, used_reference, used_candidate = certain(options)
    paths: list[Path] = [(0, NOWHERE, used_candidate, used_reference, None)]
    for i, choices in enumerate(options):
        if len(paths) > 1:
            paths.sort(key=RANK)
            del paths[BEAM:]
        if i in fixed:
            paths = [taken(path, fixed[i]) for path in paths]
        elif choices:
            paths = extended(paths, choices, 1 << i)
        elif not used_reference >> i & 1:
            paths = [
                path if path[1] == NOWHERE or path[3] >> i & 1 else (path[0] + CHUNK, NOWHERE, *path[2:])
                for path in paths
            ]
    paths.sort(key=RANK)
    rank, _, _, _, trail = min(
        ((path if path[1] == NOWHERE else (path[0] + CHUNK, *path[1:])) for path in paths[:BEAM]), key=RANK
    )
    chosen = []
    while trail:
        found, trail = trail
        chosen.append(found)
    return chosen, rank % GAIN // CHUNK


def certain(options: Sequence[Sequence[Match]]) -> tuple[dict[int, Match], int, int]:
    """Matches that alone touch their words, and the used words of reference and candidate."""
    once_reference = twice_reference = once_candidate = twice_candidate = 0
    for choices in options:
        for found in choices:
            twice_reference |= once_reference & found[5]
            once_reference |= found[5]
            twice_candidate |= once_candidate & found[6]
            once_candidate |= found[6]
    fixed = {
        i: choices[0]
        for i, choices in enumerate(options)
        if len(choices) == 1 and not choices[0][5] & twice_reference and not choices[0][6] & twice_candidate
    }
    used_reference = used_candidate = 0
    for found in fixed.values():
        used_reference |= found[5]
        used_candidate |= found[6]
    return fixed, used_reference, used_candidate


def taken(path: Path, found: Match) -> Path:
    """A path with a match that was certain from the start."""
    rank, last, used_candidate, used_reference, trail = path
    rank += found[7] + found[8]
    if last not in (NOWHERE, found[3]):
        rank += CHUNK
    return rank, found[3] + found[4], used_candidate, used_reference, (found, trail)


def extended(paths: Sequence[Path], choices: Sequence[Match], bit: int) -> list[Path]:
    """Each path with each match that fits, then without any."""
    following: list[Path] = []
    for path in paths:
        rank, last, used_candidate, used_reference, trail = path
        if used_reference & bit:
            following.append(path)
            continue
        for found in choices:
            _, _, _, j, m, reference, candidate, gain, distance = found
            if used_reference & reference or used_candidate & candidate:
                continue
            cost = gain if last in (NOWHERE, j) else gain + CHUNK
            following.append(
                (rank + cost, j + m, used_candidate | candidate, used_reference | reference, (found, trail))
            )
            rank += distance
        if last != NOWHERE:
            rank += CHUNK
        following.append((rank, NOWHERE, used_candidate, used_reference, trail))
    return following

"""An arena: verdicts on pairs of systems, from people, judges or metrics, to a ranking with intervals.

verdicts = arena.read(["verdicts.jsonl"])
contests, swaps = arena.contests_of(verdicts.rows)
ranking = arena.rank(contests)
"""

from capbench.arena.contests import Contest, Contradictory, Swap, contests_of
from capbench.arena.elo import elo
from capbench.arena.ranking import Apart, Place, Ranking, rank
from capbench.arena.scored import by_metric
from capbench.arena.verdicts import Verdict, Verdicts, form_of_file, read, write

__all__ = [
    "Apart", "Contest", "Contradictory", "Place", "Ranking", "Swap", "Verdict", "Verdicts", "by_metric",
    "contests_of", "elo", "form_of_file", "rank", "read", "write",
]  # fmt: skip

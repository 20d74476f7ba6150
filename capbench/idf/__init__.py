"""Document frequencies that are not those of the scored set: made, kept in files, and found by name."""

from capbench.idf.files import read, write
from capbench.idf.sources import load, made, missing
from capbench.metrics.frequencies import DocumentFrequencies, from_counts

__all__ = ["DocumentFrequencies", "from_counts", "load", "made", "missing", "read", "write"]

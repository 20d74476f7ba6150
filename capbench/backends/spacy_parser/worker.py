"""A process that parses texts for another: a line of JSON in, one out (``capbench.backends.spacy_parser.workers``)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from capbench.backends.spacy_parser import ParserSession, pipeline, words
from capbench.backends.spacy_parser.lemmas import lemmas_of
from capbench.backends.spacy_parser.trees import Trees
from capbench.protocols import Elements


def main(folder: str, batch: str) -> None:
    """Read lists of texts until the input ends; an empty line says that the pipeline is in memory."""
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints is no reply
    nlp = pipeline.Pipeline(Path(folder), "", "").load()
    session = ParserSession(Trees(nlp), lemmas_of(nlp, words.PLURALS), int(batch))
    print(file=replies, flush=True)
    for line in sys.stdin:
        parsed = session.parse(json.loads(line))
        found = [[e.objects, e.attributes, e.relations] for e in parsed if isinstance(e, Elements)]
        print(json.dumps(found), file=replies, flush=True)

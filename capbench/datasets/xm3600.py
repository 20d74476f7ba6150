"""Crossmodal-3600: 3,600 pictures with references in 36 languages, one language at a time."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from capbench.datasets.build import build
from capbench.errors import UsageError
from capbench.records import read
from capbench.types import Sample

LANGUAGES = (
    "ar", "bn", "cs", "da", "de", "el", "en", "es", "fa", "fi", "fil", "fr", "he", "hi", "hr", "hu", "id", "it",
    "ja", "ko", "mi", "nl", "no", "pl", "pt", "quz", "ro", "ru", "sv", "sw", "te", "th", "tr", "uk", "vi", "zh",
)  # fmt: skip
LOCALE = "image/locale"


@dataclass(frozen=True, slots=True)
class Xm3600:
    """Crossmodal-3600 (Thapliyal et al. 2022) in one language, which the metrics must be told too (``--lang``).

    annotations: ``captions.jsonl`` as published: a line an image with ``image/key``, ``image/locale`` and, under
    each language, ``caption`` (a list), ``caption/tokenized`` and ``caption/tokenized/lowercase``; the raw
    ``caption`` is taken. lang: the language of the references. images: the folder of the pictures, named
    ``KEY.jpg``. ids: a file that names the images to take, in its order.

    Tags: ``lang``, and ``locale``: where the picture was taken, by the language spoken there.

    Source of the form: readers of the published file (SEACrowd/seacrowd-datahub ``xm3600.py``, and a listing
    of its columns). Not verified: that every image has captions in every language; one without is an error.
    """

    name: ClassVar[str] = "xm3600"

    annotations: str
    lang: str = "en"
    images: str = ""
    ids: str = ""

    def __post_init__(self) -> None:
        """Refuse a language that the data do not have."""
        if self.lang not in LANGUAGES:
            near = difflib.get_close_matches(self.lang, LANGUAGES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"xm3600 has no language {self.lang!r}", f"{hint}it has: {', '.join(LANGUAGES)}")

    def load(self) -> Sequence[Sample]:
        """All samples, in the file's order or that of ``ids``.

        Raises:
            MissingPart: no such file or folder.
            UsageError: the file has no captions of this language.
            BadData: every fault of the file.
        """
        records = read(
            self.annotations, field=f"{self.lang}.caption", id_field="image/key", want="references", tags=(LOCALE,)
        )
        named = [
            replace(record, tags={"lang": self.lang} | ({"locale": record.tags[LOCALE]} if record.tags else {}))
            for record in records
        ]
        return build(named, source=self.annotations, images=self.images, ids=self.ids)

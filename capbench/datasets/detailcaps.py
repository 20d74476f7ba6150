"""DetailCaps-4870: long reference captions by three models, and the pictures inside the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from capbench.datasets.build import build
from capbench.errors import BadData
from capbench.paths import ELSEWHERE, cache_root, keep
from capbench.records import id_text, read
from capbench.records_parquet import is_parquet
from capbench.types import ImageRef, Sample

REFERENCES = ("GT_Caption_GPT4O", "GT_Caption_GPT4V", "GT_Caption_Gemini15Pro")
BATCH = 32


@dataclass(frozen=True, slots=True)
class DetailCaps:
    """DetailCaps-4870 (Dong et al. 2024): three long references of each picture, written by models.

    annotations: ``DetailCaps-4870.parquet`` as published on Hugging Face, or its rows as JSON lines. An item's
    id is the column ``image``: a path, a web address or SAM's number, by ``source``.
    pictures: write the file's pictures (column ``binary``, 0.9 GB) into the cache folder, for captioners and
    metrics that look at them; without it, samples have no pictures.
    ids: a file that names the images to take, in its order.

    Tags: ``source``: COCO, LAION, CC, SBU, SAM, Coyo or Flickr, as the file writes them.

    Sources of the form: the data set's card; foundation-multimodal-models/CAPTURE, whose evaluation takes the
    three columns as references of ``image``. Not verified: that no ``image`` stands twice; such is an error.
    """

    name: ClassVar[str] = "detailcaps"

    annotations: str
    pictures: bool = False
    ids: str = ""

    def load(self) -> Sequence[Sample]:
        """All samples, in the file's order or that of ``ids``.

        Raises:
            MissingPart: no such file.
            UsageError: the file lacks a column.
            BadData: every fault of the file; pictures asked for where the file has none.
        """
        records = read(self.annotations, field=REFERENCES, id_field="image", want="references", tags=("source",))
        samples = build(records, source=self.annotations, ids=self.ids)
        if not self.pictures:
            return samples
        found = self.unpacked({sample.id for sample in samples})
        return tuple(replace(sample, image=found.get(sample.id, ImageRef(sample.id))) for sample in samples)

    def unpacked(self, wanted: set[str]) -> dict[str, ImageRef]:
        """The pictures of these ids as files of the cache folder, named by their digests.

        Raises:
            BadData: the file holds no pictures, or the cache folder cannot be written.
        """
        import pyarrow.parquet as pq

        from capbench.images import digest

        file = pq.ParquetFile(self.annotations) if is_parquet(Path(self.annotations)) else None
        if file is None or "binary" not in file.schema_arrow.names:
            cure = "give DetailCaps-4870.parquet, or leave pictures out"
            raise BadData(f"{self.annotations} holds no pictures: it has no column binary", cure=cure)
        folder = cache_root() / "detailcaps"
        found: dict[str, ImageRef] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for batch in file.iter_batches(BATCH, columns=["image", "binary"]):
                for row in batch.to_pylist():
                    if (name := id_text(row["image"])) in wanted and row["binary"] is not None:
                        found[name] = ImageRef(str(folder / digest(row["binary"])), digest(row["binary"]))
                        keep(Path(found[name].path), row["binary"])
        except OSError as error:
            what = f"cannot write the pictures to {folder}: {error.strerror or error}"
            raise BadData(what, cure=ELSEWHERE) from error
        return found

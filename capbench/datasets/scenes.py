"""The drawn world as a data set: pictures from a seed, five references each, and look-alike bags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from capbench.errors import BadData, UsageError
from capbench.paths import ELSEWHERE, cache_root, keep
from capbench.scenes.world import FAMILY, VERSION
from capbench.signature import digest as digest_of
from capbench.types import Bag, BagSet, ImageRef, Sample

BAG_SIZES = (3, 5, 7)


@dataclass(frozen=True, slots=True)
class Scenes:
    """``n`` drawn pictures; picture i depends on the seed and i alone.

    Seven consecutive pictures are a family: the first is the base and each of the others differs from it
    in exactly one element. The bags ``scenes-3``, ``scenes-5`` and ``scenes-7`` are the first 3, 5 and 7
    of each family that is whole within ``n``.

    Tags: family, variant (0..6), changed ("" for the base, else shape, colour, size, count or place) and
    groups (2 or 3).
    """

    name: ClassVar[str] = "scenes"
    n: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise UsageError(f"scenes: n is at least 1, not {self.n}")

    def load(self) -> list[Sample]:
        """All samples, ids scene-00000 and on; their pictures are in the cache folder afterwards.

        Raises:
            BadData: the cache folder cannot be written.
        """
        folder = cache_root() / "scenes" / f"v{VERSION}-{self.seed}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [self._sample(folder, number) for number in range(self.n)]
        except OSError as error:
            raise BadData(
                f"cannot write the pictures to {folder}: {error.strerror or error}",
                cure=ELSEWHERE,
            ) from error

    def bag_sets(self) -> Sequence[BagSet]:
        """scenes-3, scenes-5 and scenes-7; none where there is no whole family."""
        families = range(self.n // FAMILY)
        sets = []
        for size in BAG_SIZES if families else ():
            bags = tuple(
                Bag(f"family-{k:05d}", tuple(_id(k * FAMILY + member) for member in range(size))) for k in families
            )
            recipe = f"scenes_families(size={size},seed={self.seed},v={VERSION})"
            sets.append(BagSet(f"scenes-{size}", recipe, digest_of([bag.members, bag.targets] for bag in bags), bags))
        return sets

    def _sample(self, folder: Path, number: int) -> Sample:
        """One picture, written if need be, with its references and tags."""
        from capbench.images import digest
        from capbench.scenes.draw import png
        from capbench.scenes.language import references
        from capbench.scenes.world import member

        drawn = member(self.seed, number)
        path, data = folder / f"{_id(number)}.png", png(drawn.scene)
        keep(path, data)
        return Sample(
            _id(number),
            ImageRef(str(path), digest(data)),
            references(drawn.scene, f"references/{VERSION}/{self.seed}/{number}"),
            {
                "family": f"{number // FAMILY:05d}",
                "variant": str(number % FAMILY),
                "changed": drawn.changed,
                "groups": str(len(drawn.scene.things)),
            },
        )


def _id(number: int) -> str:
    """scene-00042."""
    return f"scene-{number:05d}"

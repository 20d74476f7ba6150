"""Pictures: their digests, and opening one as 8-bit RGB or saying why that cannot be.

A picture is shown to every model as the field's loaders show it (open_clip, transformers): Pillow's
``convert("RGB")``, so alpha is dropped rather than laid over a colour, CMYK is converted without a
colour profile, the first frame stands for an animation, and EXIF rotation is *not* applied.

A picture is a file, or lies inside one (``capbench.containers``).
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from capbench import containers
from capbench.errors import CapbenchError
from capbench.paths import cache_root, keep
from capbench.types import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".jp2", ".avif"})
# The warnings filter is the process's; only one thread at a time may change it.
OPENING = threading.Lock()


class ImageFault(CapbenchError):
    """A picture that cannot be shown to a model; ``message`` is the reason, in words."""

    exit_code = 4


def digest(data: bytes) -> str:
    """32 hex digits that stand for bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def reference(path: str | Path) -> ImageRef:
    """A picture by its path, with the digest of its bytes; "" where there is no readable file."""
    place = Path(path)
    try:
        return ImageRef(str(path), digest(place.read_bytes()) if place.is_file() else "")
    except OSError:
        return ImageRef(str(path))


def names_in(folder: Path) -> list[str]:
    """The pictures of a folder and its sub-folders by name; other files and hidden ones are passed over."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def load(ref: ImageRef) -> Image:
    """The picture as 8-bit RGB, first frame, unrotated.

    Raises:
        ImageFault: missing, changed since its digest was taken, not a picture, truncated, without
            pixels, too large to be safe, or of a kind without an agreed range (floating point).
    """
    return decoded(content(ref))


def decoded(data: bytes) -> Image:
    """The picture that bytes are, as ``load`` gives it.

    Raises:
        ImageFault: as ``load``.
    """
    image = opened(data)
    if min(image.size) == 0:
        raise ImageFault("the picture has no pixels")
    try:
        image.load()
        return rgb(image)
    except ImageFault:
        raise
    except Exception as error:  # each of Pillow's decoders fails in its own way
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise ImageFault(f"the picture is truncated: {error}") from error
        raise ImageFault(f"the picture cannot be decoded: {type(error).__name__}: {error}") from error


def content(ref: ImageRef) -> bytes:
    """The bytes of a picture.

    Raises:
        ImageFault: missing, unreadable, empty, or not the bytes that the digest is of.
    """
    place = containers.inside(ref.path)
    path = Path(ref.path if place is None else place.file)
    try:
        if not path.is_file():
            raise ImageFault("the picture is missing" if not path.exists() else "the picture is not a file")
        data = path.read_bytes() if place is None else containers.fetch(place)
    except OSError as error:
        raise ImageFault(f"the picture cannot be read: {error.strerror or error}") from error
    if not data:
        raise ImageFault("the file of the picture is empty")
    if ref.digest and digest(data) != ref.digest:
        raise ImageFault("the picture has changed since the data set was read")
    return data


def as_file(ref: ImageRef) -> Path:
    """A picture as a file of its own, for programs that take paths: one inside another is unpacked into the cache.

    Raises:
        ImageFault: as for ``content``; the cache cannot be written.
    """
    place = containers.inside(ref.path)
    if place is None:
        return Path(ref.path)
    data = content(ref)
    path = cache_root() / "pictures" / f"{digest(data)}.{(opened(data).format or 'picture').lower()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        keep(path, data)
    except OSError as error:
        raise ImageFault(f"the picture cannot be unpacked to {path.parent}: {error.strerror or error}") from error
    return path


def opened(data: bytes) -> Image:
    """A picture whose header has been read.

    Raises:
        ImageFault: not a picture, or one with so many pixels that Pillow warns of a decompression bomb.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageFault(f"the picture is too large to be safe: {error}") from error
    except UnidentifiedImageError as error:
        raise ImageFault("the file is not a picture that Pillow knows") from error
    except Exception as error:  # a damaged header
        raise ImageFault(f"the picture cannot be opened: {type(error).__name__}: {error}") from error


def rgb(image: Image) -> Image:
    """A loaded picture as 8-bit RGB.

    16-bit grey (modes ``I;16`` and, in files of older writers, ``I``) keeps its high byte, as Pillow does for
    16-bit colour; ``convert`` alone would clip nearly all of it to white.
    """
    import numpy as np
    from PIL.Image import fromarray

    if image.mode == "F":
        raise ImageFault("the picture has floating-point pixels, which have no agreed range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        high = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        return fromarray(high).convert("RGB")
    # Transparency is dropped in any case; taking it away first keeps Pillow from warning about it.
    image.info.pop("transparency", None)
    return image.convert("RGB")


__all__ = [
    "SUFFIXES", "ImageFault", "as_file", "content", "decoded", "digest", "load", "names_in", "reference",
]  # fmt: skip

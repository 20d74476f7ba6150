"""Pictures of scenes: drawing, writing and reading them, all in whole numbers.

A picture is 144 x 144 pixels of nine exact colours. A thing fills one cell of 16 x 16 pixels with the
mask of its shape and size, so that reading a picture is looking its cells up. The PNG is written by
hand, uncompressed, because compressors differ between versions of zlib.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.scenes.world import BOARD, COLOURS, SHAPES, SIZES, Scene, Thing, make

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Indices = NDArray[np.uint8]
    Mask = NDArray[np.bool_]

CELL = 16
CELLS = BOARD * BOARD
SIDE = CELL * CELLS
RADIUS = {"small": 4, "large": 7}
PALETTE = np.array(
    [
        (255, 255, 255),  # the ground
        (214, 40, 40),
        (34, 139, 60),
        (36, 84, 204),
        (250, 214, 30),
        (245, 130, 30),
        (128, 50, 160),
        (250, 150, 190),
        (20, 20, 20),
    ],
    np.uint8,
)


class NotAScene(ValueError):
    """A picture that is not of the drawn world; the message says why."""


def mask(shape: str, size: str) -> Mask:
    """Which pixels of a 16 x 16 cell a thing fills; one pixel at the right and the bottom stays free."""
    r = RADIUS[size]
    y, x = np.mgrid[-7:9, -7:9]
    ax, ay = abs(x), abs(y)
    disc = x * x + y * y <= r * (r + 1)
    filled: Mask = {
        "circle": disc,
        "square": (ax <= r - 1) & (ay <= r - 1),
        "triangle": (ay <= r) & (2 * ax <= y + r),
        "diamond": ax + ay <= r,
        "cross": ((ax <= r // 3) & (ay <= r)) | ((ay <= r // 3) & (ax <= r)),
        "ring": disc & (x * x + y * y > (r - 2) * (r - 2)),
    }[shape]
    return filled


MASKS = {(shape, size): mask(shape, size) for shape in SHAPES for size in SIZES}
KNOWN = {np.packbits(filled).tobytes(): key for key, filled in MASKS.items()}
CODES = (PALETTE.astype(np.int64) << np.array([16, 8, 0])).sum(axis=1)
ORDER = np.argsort(CODES)


def render(scene: Scene) -> Indices:
    """uint8 144 x 144 of indices into PALETTE."""
    board = np.zeros((CELLS, CELLS, CELL, CELL), np.uint8)
    for thing in scene.things:
        row, column = divmod(thing.zone, BOARD)
        tile = MASKS[thing.shape, thing.size].astype(np.uint8) * (1 + COLOURS.index(thing.colour))
        for cell in thing.cells:
            board[row * BOARD + cell // BOARD, column * BOARD + cell % BOARD] = tile
    return np.ascontiguousarray(board.swapaxes(1, 2).reshape(SIDE, SIDE))


def draw(scene: Scene) -> Image:
    """The picture of a scene, RGB."""
    from PIL import Image

    return Image.fromarray(PALETTE[render(scene)])


def png(scene: Scene) -> bytes:
    """The picture of a scene as a PNG file; the bytes are the same everywhere."""
    indices = render(scene)
    packed = indices[:, ::2] << 4 | indices[:, 1::2]
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 4, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", PALETTE.tobytes()), (b"IDAT", stored(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def stored(data: bytes) -> bytes:
    """A zlib stream of one stored block; at most 65,535 bytes."""
    block = struct.pack("<BHH", 1, len(data), len(data) ^ 0xFFFF)
    return b"\x78\x01" + block + data + struct.pack(">I", zlib.adler32(data))


def see(picture: Image | NDArray[Any]) -> Scene:
    """The scene that a picture shows, from its pixels alone.

    picture: a Pillow image of any mode, or uint8 144 x 144 x 3.

    Raises:
        NotAScene: another size, a colour or a form that the world does not have, or nothing at all.
    """
    indices = _indices(picture)
    tiles = indices.reshape(CELLS, CELL, CELLS, CELL).swapaxes(1, 2).reshape(CELLS * CELLS, CELL * CELL)
    tops = tiles.max(axis=1)
    found: dict[int, tuple[str, str, str, list[int]]] = {}
    for place in np.flatnonzero(tops):
        tile, top = tiles[place], tops[place]
        key = KNOWN.get(np.packbits(tile == top).tobytes())
        row, column = divmod(int(place), CELLS)
        if key is None or ((tile != top) & (tile != 0)).any():
            raise NotAScene(f"the cell in row {row}, column {column} holds no shape of the world")
        zone = row // BOARD * BOARD + column // BOARD
        kind = (*key, COLOURS[top - 1])
        *known, cells = found.setdefault(zone, (*kind, []))
        if tuple(known) != kind:
            raise NotAScene(f"zone {zone} holds things of two kinds")
        cells.append(row % BOARD * BOARD + column % BOARD)
    if not found:
        raise NotAScene("the picture is empty")
    return make([Thing(z, shape, colour, size, tuple(c)) for z, (shape, size, colour, c) in found.items()])


def _indices(picture: Image | NDArray[Any]) -> Indices:
    """Pixels as indices into PALETTE, each checked."""
    pixels = np.asarray(picture if isinstance(picture, np.ndarray) else picture.convert("RGB"))
    if pixels.shape != (SIDE, SIDE, 3):
        raise NotAScene(f"a scene has {SIDE} x {SIDE} pixels, this picture {' x '.join(map(str, pixels.shape[:2]))}")
    r, g, b = (pixels[..., i].astype(np.int64) for i in range(3))
    codes = r << 16 | g << 8 | b
    sorted_codes = CODES[ORDER]
    places = np.searchsorted(sorted_codes, codes).clip(max=len(CODES) - 1)
    if (sorted_codes[places] != codes).any():
        raise NotAScene("the picture has a colour that the world does not have")
    indices: Indices = ORDER.astype(np.uint8)[places]
    return indices

"""Pictures of every kind end as 8-bit RGB or as a reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from capbench.images import ImageFault, digest, load, reference
from capbench.types import ImageRef


@pytest.fixture
def saved(tmp_path):
    def saved(image, name="x.png", **options):
        path = tmp_path / name
        image.save(path, **options)
        return reference(path)

    return saved


def pixels(ref):
    image = load(ref)
    assert image.mode == "RGB"
    return np.asarray(image)


def test_digest_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert reference(tmp_path / "a").digest == digest(b"abc") == "cf4ab791c62b8d2b2109c90275287816"
    assert reference(tmp_path / "none") == ImageRef(str(tmp_path / "none"), "")
    assert reference(tmp_path).digest == ""


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
def test_modes_become_rgb(saved, mode, size):
    name = "x.jpg" if mode in ("CMYK", "YCbCr") else "x.png"
    assert pixels(saved(Image.new("RGB", size, "white").convert(mode), name)).shape == (size[1], size[0], 3)


def test_alpha_is_dropped_as_the_loaders_of_the_field_do(saved):
    assert pixels(saved(Image.new("RGBA", (2, 2), (10, 20, 30, 0)))).tolist() == [[[10, 20, 30]] * 2] * 2


def test_palettes_with_transparency_do_not_warn(saved):
    image = Image.new("P", (2, 1))
    image.putpalette([1, 2, 3, 4, 5, 6])
    image.putpixel((1, 0), 1)
    assert pixels(saved(image, transparency=bytes([0, 128]))).tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<i4"])
def test_sixteen_bits_are_scaled(saved, dtype):
    values = np.array([[0, 255, 256, 32768, 65535]], dtype)
    assert pixels(saved(Image.fromarray(values), "x.tif"))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_sixteen_bit_png_is_scaled(saved):
    assert pixels(saved(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16))))[0, :, 1].tolist() == [
        0,
        128,
        255,
    ]


def test_floating_point_has_no_agreed_range(saved):
    with pytest.raises(ImageFault, match="floating-point"):
        load(saved(Image.fromarray(np.zeros((2, 2), np.float32)), "x.tif"))


def test_the_first_frame_stands_for_an_animation(saved):
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    assert pixels(saved(frames[0], "x.gif", save_all=True, append_images=frames[1:]))[0, 0].tolist() == [
        255,
        0,
        0,
    ]


def test_exif_rotation_is_not_applied(saved):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load(saved(Image.new("RGB", (4, 2)), "x.jpg", exif=exif)).size == (4, 2)


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "missing"),
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"<html>404</html>", "not a picture"),
        (jpeg()[:-500], "truncated"),
        (jpeg()[:20], "not a picture|cannot be"),
    ],
)
def test_reasons(tmp_path, data, reason):
    path = tmp_path / "x.jpg"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ImageFault, match=reason):
        load(reference(path))


def test_truncated_png_is_a_fault(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(buffer, "PNG")
    for size in (len(buffer.getvalue()) // 2, 60, 40):
        (tmp_path / "x.png").write_bytes(buffer.getvalue()[:size])
        with pytest.raises(ImageFault):
            load(reference(tmp_path / "x.png"))


@pytest.mark.parametrize("limit", [60, 30])  # one makes Pillow warn, the other refuse
def test_bombs_are_faults(saved, monkeypatch, limit):
    ref = saved(Image.new("RGB", (10, 10)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageFault, match="too large"):
        load(ref)


def test_a_picture_without_pixels_is_a_fault(tmp_path):
    (tmp_path / "x.ppm").write_bytes(b"P6 0 4 255\n")
    with pytest.raises(ImageFault):
        load(reference(tmp_path / "x.ppm"))


def test_a_picture_that_changed_is_a_fault(saved):
    ref = saved(Image.new("RGB", (2, 2)))
    saved(Image.new("RGB", (3, 3)))
    with pytest.raises(ImageFault, match="changed"):
        load(ref)
    with pytest.raises(ImageFault, match="not a file"):
        load(ImageRef(str(ref.path).removesuffix("/x.png")))

"""Pictures as numbers: sums worked by hand, and the libraries' own steps where they are installed."""

import numpy as np
import pytest
from PIL import Image

from capbench.backends.pixels import Pixels, of_open_clip, of_transformers
from capbench.errors import BadData

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
SIZES = [(64, 64), (224, 224), (301, 200), (200, 301), (333, 77), (37, 229), (5, 9)]


def noise(size, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))


def test_a_colour_is_its_share_of_255_less_the_mean_over_the_deviation():
    image = Image.new("RGB", (2, 2), (255, 51, 0))
    found = Pixels(2, 2, (0.5, 0.2, 0.1), (0.25, 0.5, 0.2)).array(image)
    assert found.shape == (3, 2, 2)
    assert found.dtype == np.float32
    assert found[:, 0, 0] == pytest.approx([2, 0, -0.5], abs=1e-6)  # (1 - 0.5) / 0.25, (0.2 - 0.2) / 0.5, -0.1 / 0.2


def columns(width):
    """A picture of height 2 whose column x has the red value x."""
    row = np.zeros((2, width, 3), np.uint8)
    row[:, :, 0] = np.arange(width)
    return Image.fromarray(row)


@pytest.mark.parametrize(("middle", "first"), [("round", 2), ("floor", 1)])
def test_the_middle_of_an_odd_rest(middle, first):
    # 5 columns, 2 are kept: the rest is 3, half of it 1.5, which rounds to 2 (even) or down to 1
    found = Pixels(2, 2, **PLAIN, middle=middle).array(columns(5))
    assert np.rint(found[0, 0] * 255).tolist() == [first, first + 1]


def test_longest_fills_the_rest_and_squash_does_not():
    white = Image.new("RGB", (8, 4), "white")
    longest = Pixels(8, 8, **PLAIN, resize="longest").array(white)
    assert longest[0].sum() == 8 * 4
    assert longest[0, :2].sum() == longest[0, 6:].sum() == 0
    assert Pixels(8, 8, **PLAIN, resize="squash").array(white).min() == 1


@pytest.mark.parametrize("wrong", [{"resize": "crop"}, {"interpolation": "area"}, {"middle": "left"}])
def test_what_has_no_rule_is_refused(wrong):
    with pytest.raises(BadData, match="preprocessing"):
        Pixels(2, 2, **PLAIN, **wrong)


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("target", [64, (48, 80)])
def test_the_steps_are_open_clip_s_to_the_bit(tiny, mode, interpolation, target):
    tiny("open_clip_folder")
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = {"size": target, "interpolation": interpolation, "resize_mode": mode, "fill_color": 7}
    config |= {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
    theirs = image_transform_v2(PreprocessCfg(**config), is_train=False)
    ours = of_open_clip(config)
    for size in SIZES:
        expected = theirs(noise(size)).numpy()
        found = ours.array(noise(size))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, err_msg=str(size))


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["clip", "clip-odd", "siglip", "siglip-bilinear"])
def test_the_steps_are_transformers_own(tiny, kind):
    tiny("open_clip_folder")
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

    theirs = {
        "clip": CLIPImageProcessorPil(),
        "clip-odd": CLIPImageProcessorPil(size={"shortest_edge": 75}, crop_size={"height": 64, "width": 64}),
        "siglip": SiglipImageProcessorPil(),
        "siglip-bilinear": SiglipImageProcessorPil(size={"height": 60, "width": 90}, resample=2),
    }[kind]
    ours = of_transformers(theirs)
    for size in SIZES:
        expected = theirs(images=noise(size), return_tensors="np")["pixel_values"][0]
        # one rounding of float32 apart: they multiply by 1/255, and do so in float64
        np.testing.assert_allclose(ours.array(noise(size)), expected, rtol=0, atol=1e-6, err_msg=str(size))


@pytest.mark.torch
def test_a_processor_with_other_steps_is_refused(tiny):
    tiny("open_clip_folder")
    from transformers import CLIPImageProcessorPil, Siglip2ImageProcessorPil

    for other in (
        CLIPImageProcessorPil(do_normalize=False), CLIPImageProcessorPil(rescale_factor=1 / 127),
        CLIPImageProcessorPil(do_center_crop=False), Siglip2ImageProcessorPil(),
    ):  # fmt: skip
        with pytest.raises(BadData, match="preprocessing"):
            of_transformers(other)

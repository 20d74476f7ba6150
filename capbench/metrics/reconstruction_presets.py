"""Published protocols of reconstruction; docs/metrics/reconstruction.md says what is published and what is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A protocol: what its number is called, and the generator (with its size), similarity and seeds that make it."""

    name: str
    column: str
    label: str
    values: Mapping[str, Any]


DALLE_3 = "openai_images(model='dall-e-3', size='1024x1024')"
SDXL = "diffusers(model='stabilityai/stable-diffusion-xl-base-1.0', size=1024, precision='fp16')"
SD_15 = "diffusers(model='stable-diffusion-v1-5/stable-diffusion-v1-5', size=512, precision='fp16')"
PIXART = "diffusers(model='PixArt-alpha/PixArt-Sigma-XL-2-1024-MS', size=512, precision='fp16')"
CLIP_B16 = "hf(model='openai/clip-vit-base-patch16')"
CLIP_L14 = "hf(model='openai/clip-vit-large-patch14')"
VIT = "hf(model='google/vit-base-patch16-224-in21k')"
DINO_V2 = "hf(model='facebook/dinov2-base')"

PRESETS = {
    preset.name: preset
    for preset in (
        # VisualFactChecker, section 4: the image features' cosine; RePer repeats it with DALL-E 3, and with DINO
        Preset("clip-image-score", "clip_image_score", "CLIP-Image-Score",
               {"generator": DALLE_3, "similarity": CLIP_L14, "seeds": 1, "seed": 0}),
        Preset("clip-image-score-sdxl", "clip_image_score_sdxl", "CLIP-Image-Score (SDXL)",
               {"generator": SDXL, "similarity": CLIP_L14, "seeds": 1, "seed": 0}),
        Preset("dino-image-score", "dino_image_score", "DINOv2-Image-Score",
               {"generator": DALLE_3, "similarity": DINO_V2, "seeds": 1, "seed": 0}),
        # Image Textualization, benchmark/t2iGen/eval_t2igen.py: one seed a run, 23 unless another is given
        Preset("d2i-bench", "d2i_bench", "D2I-Bench CLIP",
               {"generator": PIXART, "similarity": CLIP_B16, "seeds": 1, "seed": 23}),
        # the Image2Text framework, and its follow-up with Stable Diffusion (arXiv 2411.05706)
        Preset("image2text", "image2text", "Image2Text",
               {"generator": DALLE_3, "similarity": VIT, "seeds": 1, "seed": 0}),
        Preset("image2text2image", "image2text2image", "Image2Text2Image",
               {"generator": SD_15, "similarity": VIT, "seeds": 1, "seed": 0}),
    )
}  # fmt: skip

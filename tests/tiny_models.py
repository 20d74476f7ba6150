"""Small seeded dual encoders in folders, as a user has them: what the tests of encoders load."""

from __future__ import annotations

import json
from pathlib import Path

WORDS = ["a", "an", "the", "cat", "dog", "dogs", "run", "runs", "red", "on", "two", "sleep", "photo", "depicts"]
VIT = {
    "embed_dim": 24, "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}  # fmt: skip
SHOWN = {
    "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic", "resize_mode": "shortest",
}  # fmt: skip


def open_clip_folder(folder: Path, seed: int = 0) -> Path:
    """An open_clip model in a folder with open_clip_config.json and open_clip_model.safetensors."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": VIT, "preprocess_cfg": SHOWN}))
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    livened(model)
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    return folder


def livened(model) -> None:
    """Larger embeddings of words, so that different texts have different vectors in an untrained model."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "token_embedding" in name:
                parameter.mul_(50)


def long_clip_folder(folder: Path) -> Path:
    """A transformers CLIP of 248 positions whose tokenizer says 77."""
    return clip_folder(folder, positions=248, stated=77)


def clip_folder(folder: Path, positions: int = 20, stated: int = 20) -> Path:
    """A transformers CLIP with a BPE tokenizer of letters that says how many tokens its model reads."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    tokenizer = letters(stated)
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": positions, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision(), projection_dim=24)
    model = CLIPModel(config)
    livened(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def siglip_folder(folder: Path) -> Path:
    """A transformers SigLIP: squashed pictures, texts filled up without a mask."""
    import torch
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    model = SiglipModel(SiglipConfig(text_config=siglip_text(), vision_config=vision()))
    livened(model)
    model.save_pretrained(folder)
    words().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def siglip2_folder(folder: Path) -> Path:
    """A transformers SigLIP 2 of the NaFlex kind, which takes pictures as patches in their own shape."""
    import torch
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model

    torch.manual_seed(0)
    seen = {**vision(), "num_patches": 16}
    seen.pop("image_size")
    model = Siglip2Model(Siglip2Config(text_config=siglip_text(), vision_config=seen))
    livened(model)
    model.save_pretrained(folder)
    words().save_pretrained(folder)
    Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16).save_pretrained(folder)
    return folder


def painter_folder(folder: Path, checker: bool = False) -> Path:
    """A Stable Diffusion of a few thousand parameters that paints 32 x 32 pixels; checker: with one that objects."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(0)
    tokenizer = letters(77)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        )
    )  # fmt: skip
    livened(text)
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=16, in_channels=4, out_channels=4, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=4,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(8, 16), in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    guarded = safety_checker() if checker else (None, None)
    pipe = StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=guarded[0], feature_extractor=guarded[1], requires_safety_checker=False,
    )  # fmt: skip
    pipe.save_pretrained(folder)
    return folder


def guarded_painter_folder(folder: Path) -> Path:
    """The same with a safety checker that objects to everything."""
    return painter_folder(folder, checker=True)


def safety_checker():
    """Stable Diffusion's checker, small, with thresholds below any cosine."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessorPil

    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision(), projection_dim=24))
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2)
    return checker, CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


def dino_folder(folder: Path) -> Path:
    """A transformers DINOv2: pictures only."""
    import torch
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    seen = vision()
    seen.pop("intermediate_size")
    Dinov2Model(Dinov2Config(**seen)).save_pretrained(folder)
    BitImageProcessorPil(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def export_folder(folder: Path) -> Path:
    """The open_clip model of ``open_clip_folder``, exported."""
    from capbench import exporting

    exporting.export(f"open_clip(model={str(open_clip_folder(folder / 'original'))!r})", str(folder / "export"))
    return folder / "export"


def vision() -> dict[str, int]:
    """A small image tower."""
    return {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 8,
    }  # fmt: skip


def siglip_text() -> dict[str, int]:
    """A small text tower of SigLIP's kind."""
    return {
        "vocab_size": len(words()), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 12, "projection_size": 32,
    }  # fmt: skip


def letters(context: int):
    """CLIP's own tokenizer class with single bytes for a vocabulary."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    alphabet = sorted(ByteLevel.alphabet())
    pieces = [*alphabet, *(a + "</w>" for a in alphabet), "do", "dog</w>", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    return CLIPTokenizer(vocab=vocabulary, merges=[("d", "o"), ("do", "g</w>")], model_max_length=context)


def words():
    """A tokenizer of whole words that ends each text, asks for no mask, and fills up on the right."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "</s>", "<unk>", *WORDS]
    made = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", padding_side="right",
        model_input_names=["input_ids"],
    )  # fmt: skip


def llava_folder(folder: Path) -> Path:
    """A transformers LLaVA with its processor and chat template: pictures and prompts into words without sense."""
    import torch
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    torch.manual_seed(0)
    tokenizer = spoken()
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision()), text_config=text, image_token_index=
        tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1, image_seq_length=16,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    livened(model)
    model.save_pretrained(folder)
    square = {"height": 32, "width": 32}
    LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=square), tokenizer, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1, image_token="<image>",
        chat_template=(
            "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image> {% else %}"
            "{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}"
        ),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def spoken():
    """A tokenizer of whole words that can be read back, and knows a picture's place."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "<s>", "</s>", "<unk>", *WORDS]
    made = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        additional_special_tokens=["<image>"], padding_side="left",
    )  # fmt: skip

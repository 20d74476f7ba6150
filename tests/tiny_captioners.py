"""Small seeded captioners in folders, as ``save_pretrained`` writes them: what the tests of ``hf`` load.

Each function takes a folder and gives it back. Weights are large, so that an untrained model says other words of
other pictures.
"""

from __future__ import annotations

from pathlib import Path

SIDE = 32
SENTENCE = (
    "a an the cat dog man woman tree car red blue green small large on in under with and two three runs sits near is "
    "picture of what does image describe photo caption en short description : . ? user assistant one - for sentence "
    "provide this"
)
WORDS = SENTENCE.split()
CHAT = (
    "{% for turn in messages %}{{ turn['role'] }} : {% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE {% else %}{{ part['text'] }}{% endif %}{% endfor %} "
    "{% endfor %}{% if add_generation_prompt %}assistant : {% endif %}"
)
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SEEN = {**SMALL, "image_size": SIDE, "patch_size": 8}


def speller(*special: str, bos: str = "<s>", eos: str = "</s>", first: bool = True, **named: str):
    """A tokenizer of whole words.

    special: further tokens of their own. first: texts begin with ``bos``. named: tokens that processors ask it for.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = list(dict.fromkeys(["<pad>", bos, eos, "<unk>", *special, *named.values(), *WORDS]))
    numbers = {piece: i for i, piece in enumerate(pieces)}
    made = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if first:
        made.post_processor = processors.TemplateProcessing(f"{bos} $A", special_tokens=[(bos, numbers[bos])])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=bos, eos_token=eos, pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens={**{f"special_{i}": piece for i, piece in enumerate(special)}, **named},
    )  # fmt: skip


def bert_words():
    """BERT's own tokenizer."""
    from transformers import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *WORDS]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, bos_token="[DEC]")


def kept(model, folder: Path, *parts, seed: int = 0, scale: float = 0.25) -> Path:
    """Seed the weights, and write the model and what prepares for it."""
    import torch

    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, scale, generator=source)
    model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


def numbers(tokenizer) -> dict[str, int]:
    """The tokens that configurations name."""
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **ids}


def clip_pictures(kind: str = "CLIPImageProcessorPil"):
    """A preparation that resizes and cuts."""
    import transformers

    size = {"height": SIDE, "width": SIDE}
    more = {"crop_size": size, "size": {"shortest_edge": SIDE}} if "CLIP" in kind else {"size": size}
    return getattr(transformers, kind)(**more)


def blip(folder: Path) -> Path:
    """BLIP with BERT's words."""
    import transformers as t

    words = bert_words()
    text = {
        **SMALL, "vocab_size": len(words), "max_position_embeddings": 64, "bos_token_id": words.convert_tokens_to_ids("[DEC]"),
        "sep_token_id": words.sep_token_id, "eos_token_id": words.sep_token_id, "pad_token_id": 0, "encoder_hidden_size": 32,
    }  # fmt: skip
    model = t.BlipForConditionalGeneration(t.BlipConfig(text_config=text, vision_config=SEEN))
    return kept(model, folder, t.BlipProcessor(clip_pictures("BlipImageProcessorPil"), words))


def blip2(folder: Path) -> Path:
    """BLIP-2 with OPT."""
    import transformers as t

    words = speller("<image>")
    text = t.OPTConfig(
        hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=32,
        max_position_embeddings=128, **numbers(words),
    )  # fmt: skip
    former = {**SMALL, "vocab_size": 8, "encoder_hidden_size": 32, "cross_attention_frequency": 1}
    config = t.Blip2Config(
        vision_config=SEEN, qformer_config=former, text_config=text, num_query_tokens=4,
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    processor = t.Blip2Processor(clip_pictures("BlipImageProcessorPil"), words, num_query_tokens=4)
    return kept(t.Blip2ForConditionalGeneration(config), folder, processor)


def git(folder: Path) -> Path:
    """GIT with BERT's words."""
    import transformers as t

    words = bert_words()
    config = t.GitConfig(
        **SMALL, vision_config=SEEN, vocab_size=len(words), max_position_embeddings=64, bos_token_id=words.cls_token_id,
        eos_token_id=words.sep_token_id, pad_token_id=0,
    )  # fmt: skip
    return kept(t.GitForCausalLM(config), folder, t.GitProcessor(clip_pictures(), words))


def vit_gpt2(folder: Path) -> Path:
    """An encoder and a decoder, without a processor of their own."""
    import transformers as t

    words = speller(first=False)
    decoder = t.GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, add_cross_attention=True, **numbers(words))
    config = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(t.ViTConfig(**SEEN), decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = 1, 0, 2
    model = t.VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id = 1
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 2
    return kept(model, folder, clip_pictures("ViTImageProcessorPil"), words)


def llama(words):
    """A small LLaMA's configuration."""
    import transformers as t

    return t.LlamaConfig(**SMALL, num_key_value_heads=2, max_position_embeddings=512, **numbers(words))


def llava(folder: Path, chat: bool = True) -> Path:
    """LLaVA: CLIP's tower and LLaMA, with a chat template."""
    import transformers as t

    words = speller(image_token="<image>")
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(**SEEN), text_config=llama(words),
        image_token_id=words.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
    )  # fmt: skip
    processor = t.LlavaProcessor(
        clip_pictures(), words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=CHAT.replace("IMAGE", "<image>") if chat else None,
    )  # fmt: skip
    return kept(t.LlavaForConditionalGeneration(config), folder, processor)


def llava_without_chat(folder: Path) -> Path:
    """The same without a template."""
    return llava(folder, chat=False)


def qwen2_vl(folder: Path) -> Path:
    """Qwen2-VL: pictures in their own shape, as many tokens as they need."""
    import transformers as t

    special = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    words = speller(*special[:2], image_token=special[2], video_token=special[3])
    start, end, image, video = (words.convert_tokens_to_ids(name) for name in special)
    text = {
        **SMALL, "num_key_value_heads": 2, "max_position_embeddings": 512, **numbers(words),
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0},
    }  # fmt: skip
    config = t.Qwen2VLConfig(
        text_config=text,
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8},
        image_token_id=image, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    pictures = t.Qwen2VLImageProcessorPil(
        patch_size=8, merge_size=2, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    )
    processor = t.Qwen2VLProcessor(
        pictures, words, t.Qwen2VLVideoProcessor(patch_size=8),
        chat_template=CHAT.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    return kept(t.Qwen2VLForConditionalGeneration(config), folder, processor)


def paligemma(folder: Path) -> Path:
    """PaliGemma: SigLIP's tower and Gemma."""
    import transformers as t

    words = speller(image_token="<image>", bos="<bos>", first=False)
    text = {
        "model_type": "gemma", **SMALL, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 256, **numbers(words),
    }  # fmt: skip
    config = t.PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", **SEEN, "vision_use_head": False}, text_config=text,
        image_token_index=words.convert_tokens_to_ids("<image>"), projection_dim=32, hidden_size=32,
    )  # fmt: skip
    pictures = clip_pictures("SiglipImageProcessorPil")
    pictures.image_seq_length = 16
    return kept(t.PaliGemmaForConditionalGeneration(config), folder, t.PaliGemmaProcessor(pictures, words))


def smolvlm(folder: Path) -> Path:
    """SmolVLM, which cuts large pictures into tiles."""
    import transformers as t

    special = ("<global-img>", "<end_of_utterance>", *(
        f"<row_{i}_col_{j}>" for i in range(1, 5) for j in range(1, 5)
    ))  # fmt: skip
    words = speller(*special, image_token="<image>", fake_image_token="<fake_token_around_image>")
    config = t.SmolVLMConfig(
        vision_config=SEEN, text_config={"model_type": "llama", **llama(words).to_diff_dict()},
        image_token_id=words.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=0,
    )  # fmt: skip
    pictures = t.SmolVLMImageProcessorPil(
        size={"longest_edge": 2 * SIDE}, max_image_size={"longest_edge": SIDE}, do_image_splitting=True
    )
    processor = t.SmolVLMProcessor(
        pictures, words, t.SmolVLMVideoProcessor(), image_seq_len=4, chat_template=CHAT.replace("IMAGE", "<image>")
    )
    return kept(t.SmolVLMForConditionalGeneration(config), folder, processor)


def florence2(folder: Path) -> Path:
    """Florence-2: DaViT and BART, asked by task tokens."""
    import transformers as t

    words = speller(*(f"<loc_{i}>" for i in (0, 250, 500, 999)), image_token="<image>", first=False)
    text = {
        "model_type": "bart", "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 128,
        **numbers(words), "decoder_start_token_id": 2, "forced_eos_token_id": 2,
    }  # fmt: skip
    tower = {
        "depths": [1, 1, 1, 1], "embed_dim": [8, 16, 16, 32], "num_heads": [1, 2, 2, 2], "num_groups": [1, 2, 2, 2],
        "window_size": 4, "projection_dim": 32, "patch_stride": [4, 2, 2, 2],
    }  # fmt: skip
    config = t.Florence2Config(
        text_config=text, vision_config=tower, image_token_id=words.convert_tokens_to_ids("<image>")
    )
    pictures = clip_pictures("CLIPImageProcessorPil")
    pictures.image_seq_length = 2
    return kept(
        t.Florence2ForConditionalGeneration(config),
        folder,
        t.Florence2Processor(pictures, words, post_processor_config={"pure_text": {}}),
    )


COCA = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "attentional_pool": True,
        "attn_pooler_heads": 2, "output_tokens": True,
    },
    "text_cfg": {
        "context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2, "embed_cls": True, "output_tokens": True,
    },
    "multimodal_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2, "attn_pooler_heads": 2},
    "custom_text": True,
}  # fmt: skip


def coca(folder: Path) -> Path:
    """An open_clip CoCa in a folder with open_clip_config.json and open_clip_model.safetensors."""
    import json

    import open_clip
    import torch
    from safetensors.torch import save_file

    shown = {
        "mean": [0.48, 0.46, 0.41],
        "std": [0.27, 0.26, 0.28],
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": COCA, "preprocess_cfg": shown}))
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.25, generator=source)
    save_file(
        {name: t.contiguous().clone() for name, t in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder

"""The examples of CLIPScore and PAC-S against their READMEs, and the whole path with a seeded ViT-B/32.

Their encoders' weights are seldom where tests run. Where CLIP ViT-B/32 is, its numbers are compared with the published
ones; where it is not, the check has to say so, and the text metrics are compared all the same.
"""

import json

import numpy as np
import pytest

from capbench import conformance
from capbench.errors import UsageError

FOLDERS = ("clipscore", "pacscore")


@pytest.fixture(scope="module")
def lines(shared):
    return conformance.look(str(shared / "conformance"))


def test_every_published_number_that_can_be_computed_here_is_met(lines):
    assert [line["what"] for line in lines if line["state"] == "broken"] == []
    met = [line["what"] for line in lines if line["state"] == "ok"]
    for name in FOLDERS:
        for column in ("bleu1", "bleu4", "rouge_l", "cider", "meteor"):
            assert sum(what.startswith(name) and f": {column} " in what for what in met) == 2


def test_what_cannot_be_computed_is_said_with_its_cure(lines):
    for example in conformance.EXAMPLES:
        for metric in example.published:
            of_metric = [
                line for line in lines if line["what"].startswith(example.name) and f": {metric}" in line["what"]
            ]
            assert of_metric, metric
            assert all(line["cure"] for line in of_metric if line["state"] == "missing")


def test_the_published_numbers_are_those_of_the_readmes(shared):
    """As the data's own notes have them, so that a slip of the pen here is seen."""
    names = {
        "bleu1": "BLEU-1",
        "bleu2": "BLEU-2",
        "bleu3": "BLEU-3",
        "bleu4": "BLEU-4",
        "meteor": "METEOR",
        "spice": "SPICE",
    }
    for example in conformance.EXAMPLES:
        stated = json.loads((shared / "conformance" / example.name / "expected.json").read_text())
        for which, file in enumerate(conformance.FILES):
            theirs = {key.upper().replace("-", "").replace("_", ""): value for key, value in stated[file].items()}
            for columns in example.published.values():
                for column, values in columns.items():
                    key = names.get(column, column).upper().replace("-", "").replace("_", "")
                    key = {"PACSCORE": "PACS", "REFPACSCORE": "REFPACS"}.get(key, key)
                    matching = {k: v for k, v in theirs.items() if k in (key, key.replace("ROUGEL", "ROUGE"))}
                    assert list(matching.values()) == [pytest.approx(values[which])], (example.name, column, theirs)


def test_a_number_that_differs_is_a_failure(shared, capsys):
    """The drawn world's encoder cannot read photographs: every number is unscored, which is not as published."""
    from capbench.cli.main import main

    for backend in ("clip=scenes", "pac=scenes"):
        with pytest.raises(SystemExit) as done:
            main(["doctor", "--conformance", str(shared / "conformance"), "--backend", backend])
        assert done.value.code == 1
        shown = capsys.readouterr()
        assert "no score, published 0.8" in shown.out
        assert "4 of" in shown.err


def test_a_folder_without_an_example_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no example of CLIPScore or PAC-S"):
        conformance.look(str(tmp_path))


@pytest.fixture(scope="module")
def seeded(tiny, tmp_path_factory):
    """A checkpoint of CLIP ViT-B/32 with seeded weights, in the form in which PAC-S's authors save theirs."""
    tiny("open_clip_folder")
    import open_clip
    import torch

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32-quickgelu")
    with torch.no_grad():
        model.token_embedding.weight.mul_(50)  # so that untrained texts differ
        model.text_projection.mul_(-1)  # with this seed it makes the cosines positive, and the scores no zeros
    path = tmp_path_factory.mktemp("weights") / "clip_ViT-B-32.pth"
    torch.save({"state_dict": {name: tensor.half() for name, tensor in model.state_dict().items()}}, path)
    return path


@pytest.mark.torch
def test_the_whole_path_of_vit_b_32_with_seeded_weights(seeded, shared):
    """What ``doctor`` computes with these weights is the formula on what open_clip itself computes."""
    import open_clip
    import torch
    from PIL import Image

    place = shared / "conformance" / "clipscore"
    spec = f"open_clip(model='ViT-B-32-quickgelu', weights={str(seeded)!r})"
    example = conformance.EXAMPLES[0]
    found = [
        line["what"]
        for metric in ("clipscore", "refclipscore")
        for line in conformance.lines(
            place, conformance.Example("e", "", "clip", {metric: example.published[metric]}), {"clip": spec}
        )
    ]
    model, _, prepare = open_clip.create_model_and_transforms("ViT-B-32-quickgelu")
    model.load_state_dict(torch.load(seeded, weights_only=True)["state_dict"])
    tokenizer = open_clip.get_tokenizer("ViT-B-32-quickgelu")
    references = json.loads((place / "refs.json").read_text())
    ids = sorted(references)
    pictures = torch.stack([prepare(Image.open(place / "images" / f"{id_}.jpg")) for id_ in ids])

    def unit(features):
        vectors = features.numpy().astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def texts(captions):
        return unit(model.encode_text(tokenizer([f"A photo depicts {caption}" for caption in captions])))

    expected = []
    with torch.inference_mode():
        seen = unit(model.eval().encode_image(pictures))
        for file in conformance.FILES:
            captions = json.loads((place / file).read_text())
            said = texts([captions[id_] for id_ in ids])
            clip = 2.5 * np.maximum((seen * said).sum(axis=1), 0)
            best = np.array([(texts(references[id_]) @ said[i]).max() for i, id_ in enumerate(ids)])
            assert (best > 0).all()  # so that the floor of the paper is of no account
            expected.append((clip.mean(), (2 * clip * best / (clip + best)).mean()))
    shown = [float(what.split(" ")[-3].rstrip(",")) for what in found]
    assert shown == pytest.approx([expected[0][0], expected[1][0], expected[0][1], expected[1][1]], abs=6e-5)
    assert len({round(value, 4) for value in shown}) == 4

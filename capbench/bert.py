"""The bert-score library: where its model is, what stands for it in signatures, and its scores.

A model is a folder, or the id of one that the hub's own tools have put into their cache: nothing is fetched here,
so a run's model cannot change under it. The library is the authors' own (Zhang et al. 2020, Tiiiger/bert_score),
with two repairs that transformers 5 made necessary, see ``mended``. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from capbench.errors import CapbenchError, MissingPart
from capbench.hub_models import folder_of, found, model_digest, model_name, weights_problem
from capbench.languages import readable
from capbench.protocols import Problem

if TYPE_CHECKING:
    from capbench.types import Array

LIBRARY = "pip install 'capbench[bert]'"
# what the library picks for a language (its table ``lang2model``; a test compares the two)
MODELS = {"en": "roberta-large", "zh": "bert-base-chinese", "tr": "dbmdz/bert-base-turkish-cased"}
OTHER_MODEL = "bert-base-multilingual-cased"
LAYERS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")  # what configurations call their number
USUAL_LENGTH = 512  # where neither tokenizer nor model says how long a text may be


@dataclass(frozen=True, slots=True)
class Setting:
    """Which model, read how. layer 0: the one the library has tuned. device "": CUDA if there is one."""

    model: str
    layer: int
    idf: bool
    rescale: bool
    lang: str
    device: str
    batch: int

    def check(self) -> Problem | None:
        """The first thing that is missing, if any: the library, the model, its layer, or its baseline."""
        if importlib.util.find_spec("bert_score") is None:
            return Problem("the library bert-score is not installed", LIBRARY)
        try:
            folder = folder_of(self.model, "bertscore(model='FOLDER', layer=...)")
        except MissingPart as error:
            return Problem(error.message, error.cure)
        return weights_problem(folder) or self._check_layer(folder) or self._check_baseline()

    def _check_layer(self, folder: Path) -> Problem | None:
        """Whether there is such a layer."""
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            most = int(next((config[key] for key in LAYERS if key in config), 0))
        except (ValueError, TypeError) as error:
            return Problem(
                f"{folder / 'config.json'} is no model's: {error}", "give the folder that save_pretrained wrote"
            )
        cure = f"bertscore(layer=...) takes 1 to {most}" if most else "name one: bertscore(layer=...)"
        if not self.layers():
            return Problem(f"the library has no tuned layer for {self.name()!r}", cure)
        if most and not 0 < self.layers() <= most:
            return Problem(f"{self.name()!r} has no layer {self.layers()}", cure)
        return None

    def _check_baseline(self) -> Problem | None:
        """Whether the library can rescale this model's scores."""
        if not self.rescale or self.baseline().is_file():
            return None
        return Problem(
            f"the library has no baseline for {self.name()!r} in {self.lang!r}",
            "leave out rescale_with_baseline, or take a model of the library's rescale_baseline folder",
        )

    def folder(self) -> Path | None:
        """Where the model is: the folder itself, or the hub's cache."""
        return found(self.model)

    def name(self) -> str:
        """What the model is called in signatures: its id, or the folder's name."""
        return model_name(self.model)

    def layers(self) -> int:
        """How many layers are read; 0 where nobody says."""
        from bert_score.utils import model2layers

        name = self.name()
        return self.layer or int(model2layers.get(name, model2layers.get(name.rpartition("/")[2], 0)))

    def baseline(self) -> Path:
        """The library's table of scores of unrelated sentences."""
        import bert_score

        tables = Path(bert_score.__file__).parent / "rescale_baseline" / self.lang
        named = tables / f"{self.name()}.tsv"
        return named if named.is_file() else tables / f"{self.name().rpartition('/')[2]}.tsv"

    def stated(self) -> dict[str, str]:
        """The library's own hash code of the setting, and a digest of the model's files."""
        from bert_score.utils import get_hash

        code = get_hash(self.name(), self.layers(), self.idf, self.rescale, use_custom_baseline=False,
                        use_fast_tokenizer=False)  # fmt: skip
        folder = self.folder()
        return {"library": code, "weights": model_digest(folder) if folder else "missing"}

    def scores(self, captions: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
        """Precision, recall and F1 as three rows, one column a caption: of several references the best of each.

        Raises:
            CapbenchError: the model cannot be loaded.
        """
        scorer = loaded(self)
        lists = [[readable(text) for text in texts] for texts in references]
        if self.idf:
            scorer._idf_dict = None  # noqa: SLF001 -- it warns when it has weights of an earlier corpus
            scorer.compute_idf([text for texts in lists for text in texts])
        with warnings.catch_warnings():
            # torch says so of pandas' baseline, which the library only reads
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            found = scorer.score([readable(text) for text in captions], lists, batch_size=self.batch)
        return np.stack([part.numpy() for part in found]).astype(np.float64)


@lru_cache(maxsize=1)
def loaded(setting: Setting) -> Any:
    """The library's scorer with its model, kept for the next call with the same setting.

    Raises:
        CapbenchError: in the words of transformers.
    """
    from bert_score import BERTScorer
    from transformers.utils import logging

    quiet: Any = logging  # typed in some of its versions only
    quiet.disable_progress_bar()
    try:
        scorer = BERTScorer(
            model_type=str(setting.folder()), num_layers=setting.layers(), idf=setting.idf, lang=setting.lang,
            device=setting.device or None, nthreads=0, rescale_with_baseline=setting.rescale,
            baseline_path=str(setting.baseline()),
        )  # fmt: skip
    except (OSError, ValueError, AssertionError, RuntimeError, ImportError) as error:
        raise CapbenchError(f"the model {setting.name()!r} cannot be loaded: {error}") from error
    return mended(scorer)


def mended(scorer: Any) -> Any:
    """The scorer with what transformers 5 took from it.

    A tokenizer that does not know its model's length makes the library ask for 10^30 tokens, which is an
    overflow (Tiiiger/bert_score issue 205); and the method that encodes an empty text is gone.
    """
    tokenizer, model = scorer._tokenizer, scorer._model  # noqa: SLF001 -- there is no other way to them
    positions = getattr(model.config, "max_position_embeddings", None) or USUAL_LENGTH
    padding = getattr(getattr(model, "embeddings", None), "padding_idx", None)
    if padding is not None:  # RoBERTa counts positions from behind the padding's number
        positions -= padding + 1
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    if not hasattr(tokenizer, "build_inputs_with_special_tokens"):
        tokenizer.build_inputs_with_special_tokens = lambda _: tokenizer("").input_ids
    return scorer

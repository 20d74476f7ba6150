"""Models of open_clip_torch, wherever they are: by name and tag, a checkpoint, a folder, or a model config."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from capbench.errors import BadData, CapbenchError
from capbench.weights import DESCRIPTIONS, files, hub_file

INSTALL = "pip install 'capbench[clip]'"
FOLDER = "local-dir:"
CONFIG = "open_clip_config.json"
ENDINGS = (".safetensors", ".bin", ".pth", ".pt")
# the order in which open_clip looks for weights in a folder
USUAL = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip


class Source(NamedTuple):
    """Where a model is. config: a folder or file of the user's (None: ``model`` is one of open_clip's).

    name: what it is called in signatures. title: what its weights are. digested: the files that make its numbers.
    preprocess: what a tag of open_clip says about pictures; quick: whether the weights want QuickGELU.
    """

    name: str
    title: str
    weights: Path
    digested: tuple[Path, ...]
    model: str = ""
    config: Path | None = None
    preprocess: dict[str, Any] | None = None
    quick: bool = False


def source_of(model: str, weights: str) -> Source:
    """Where a model is, from what the user calls it.

    Raises:
        CapbenchError: something is not there, with its cure.
    """
    path = Path(model.removeprefix(FOLDER))
    if model.startswith(FOLDER) or path.is_dir():
        return of_folder(path, weights)
    if path.suffix == ".json":
        return of_config(path, weights)
    return of_name(model, weights)


def of_folder(folder: Path, weights: str) -> Source:
    """A folder with a config and weights, as ``open_clip.push_to_hf_hub`` and ``local-dir:`` have it."""
    if not (folder / CONFIG).is_file():
        raise CapbenchError(f"no model in {folder}: {CONFIG} is missing", "give a folder that open_clip wrote")
    given = Path(weights) if Path(weights).is_file() else None
    there = sorted(path for path in folder.iterdir() if path.suffix in ENDINGS)
    named = [folder / name for name in USUAL if folder / name in there]
    if given is None and not named and len(there) != 1:
        what = "no weights" if not there else f"{len(there)} files of weights and none with a usual name"
        raise CapbenchError(f"{what} in {folder}", f"call them {USUAL[0]}, or give one: weights='FILE'")
    chosen = given or (named or there)[0]
    described = (path for path in files(folder, DESCRIPTIONS) if path != chosen)
    return Source(folder.resolve().name, chosen.name, chosen, (chosen, *described), config=folder)


def of_config(config: Path, weights: str) -> Source:
    """A model config of the user's, with a checkpoint."""
    if not config.is_file():
        raise CapbenchError(f"there is no file {config}", "model= takes a name of open_clip's, a folder or a JSON file")
    if not Path(weights).is_file():
        raise CapbenchError(f"{config} needs weights, and there is no file {weights}", "give them: weights='FILE'")
    return Source(config.stem, Path(weights).name, Path(weights), (Path(weights), config), config=config)


def of_name(model: str, weights: str) -> Source:
    """One of open_clip's models, with a tag or a checkpoint."""
    import open_clip

    config = open_clip.get_model_config(model)
    if config is None:
        raise CapbenchError(
            f"open_clip {open_clip.__version__} has no model {model!r}",
            "python -c 'import open_clip; print(open_clip.list_models())'; a folder or a JSON file will do, too",
        )
    quick = bool(config.get("quick_gelu", False))
    if Path(weights).is_file():
        return Source(model, Path(weights).name, Path(weights), (Path(weights),), model, quick=quick)
    tag = open_clip.get_pretrained_cfg(model, weights)
    if not tag:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(model))
        raise CapbenchError(
            f"{model} has no weights {weights!r}, and there is no such file", f"it has: {tags or 'none'}"
        )
    if quick and not tag.get("quick_gelu"):
        plain = model.removesuffix("-quickgelu")
        raise CapbenchError(f"the weights {weights!r} were trained without QuickGELU", f"write model={plain!r}")
    place = next(filter(None, tagged(tag)), None)
    if place is None:
        fetch = f"python -c \"import open_clip; open_clip.create_model('{model}', pretrained='{weights}')\""
        raise CapbenchError(f"the weights {weights!r} of {model} are not on this machine", f"fetch them: {fetch}")
    wants = bool(tag.get("quick_gelu"))
    name = model if quick == wants else f"{model}-quickgelu"
    shown = {key: tag[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in tag}
    return Source(name, weights, place, (place,), model, preprocess=shown, quick=wants)


def tagged(tag: dict[str, Any]) -> Iterator[Path | None]:
    """Where open_clip's own download may have put a tag's weights, the likeliest first."""
    if tag.get("hf_hub"):
        repository, _, name = str(tag["hf_hub"]).rpartition("/")
        names = [name] if name else ["open_clip_pytorch_model.bin"]
        safe = ["open_clip_model.safetensors"] if not name else [str(Path(name).with_suffix(".safetensors"))]
        for candidate in [*safe, *names]:
            yield hub_file(repository, candidate)
    if tag.get("url"):
        place = Path("~/.cache/clip").expanduser() / Path(str(tag["url"])).name
        yield place if place.is_file() else None


def made(source: Source) -> tuple[Any, Any]:
    """A model in memory with its weights, and its tokenizer.

    Raises:
        CapbenchError: open_clip cannot build it, or the weights are not its own.
    """
    import open_clip

    with TemporaryDirectory() as scratch, quiet():
        try:
            where = FOLDER + str(config_folder(source.config, Path(scratch))) if source.config else source.model
            model = open_clip.create_model(
                where, load_weights=False, pretrained_text=False, force_quick_gelu=source.quick,
                force_preprocess_cfg=source.preprocess,
            )  # fmt: skip
            open_clip.load_checkpoint(model, str(source.weights), weights_only=not is_script(source.weights))
            cut_up = open_clip.get_tokenizer(where)
        except CapbenchError:
            raise
        except Exception as error:  # whatever a config, a checkpoint or a hub can do
            raise CapbenchError(
                f"open_clip cannot load {source.name} with {source.weights}: {type(error).__name__}: {error}",
                "weights and model must belong together; OpenAI's and PAC-S's want a model with -quickgelu",
            ) from error
    return model, cut_up


def shown_by(model: Any) -> Any:
    """The preparation of pictures that a model states."""
    import open_clip

    settings = open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg)
    return open_clip.transform.image_transform_v2(settings, is_train=False)


def config_folder(config: Path, scratch: Path) -> Path:
    """A folder that open_clip takes for ``local-dir:``, made around a file that holds a model's config."""
    if config.is_dir():
        return config
    try:
        stated = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(f"{config} is not JSON: {error}") from error
    whole = stated if isinstance(stated, dict) and "model_cfg" in stated else {"model_cfg": stated}
    (scratch / CONFIG).write_text(json.dumps(whole), encoding="utf-8")
    return scratch


def is_script(weights: Path) -> bool:
    """Whether a checkpoint is a TorchScript archive, as OpenAI's own are, which torch reads in a way of its own."""
    if not zipfile.is_zipfile(weights):
        return False
    with zipfile.ZipFile(weights) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())


@contextmanager
def quiet() -> Iterator[None]:
    """Without open_clip's warning that a model has no weights, which it is given right after."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

"""What datasets and webdataset write is what capbench reads: the libraries' own writers and readers are the oracle."""

from __future__ import annotations

import gc
import io

import numpy as np
import pytest
from PIL import Image

from capbench.datasets.hf import Hf
from capbench.datasets.webdataset import WebDataset
from capbench.errors import BadData, UsageError
from capbench.images import load

pytestmark = pytest.mark.torch


def pictures(n):
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (5, 4 + k, 3), dtype=np.uint8)) for k in range(n)]


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def rows():
    datasets = pytest.importorskip("datasets", reason="pip install 'capbench[data]'")
    datasets.disable_progress_bars()
    kinds = datasets.Features({"image": datasets.Image(), "caption": datasets.List(datasets.Value("string"))})
    made = {"image": pictures(7), "caption": [[f"caption {k}", f"other {k}"] for k in range(7)]}
    return datasets.Dataset.from_dict(made, features=kinds)


def same(samples, rows):
    assert [s.id for s in samples] == [str(k) for k in range(len(rows))]
    for sample, row in zip(samples, rows, strict=True):
        assert list(sample.references) == row["caption"]
        assert np.array_equal(np.asarray(load(sample.image)), np.asarray(row["image"].convert("RGB")))


def test_save_to_disk_of_several_shards_and_splits(tmp_path, rows):
    datasets = pytest.importorskip("datasets")
    rows.save_to_disk(tmp_path / "one", num_shards=3)
    same(Hf(str(tmp_path / "one")).load(), rows)
    datasets.DatasetDict(a=rows, b=rows.select([4, 2, 0])).save_to_disk(tmp_path / "two")
    same(Hf(str(tmp_path / "two"), split="b").load(), rows.select([4, 2, 0]))
    with pytest.raises(UsageError, match="splits a, b"):
        Hf(str(tmp_path / "two")).load()
    next((tmp_path / "one").glob("*-00001-*.arrow")).unlink()
    with pytest.raises(BadData, match="not whole"):
        Hf(str(tmp_path / "one")).load()


def test_parquet_as_datasets_writes_it(tmp_path, rows):
    rows.to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"), batch_size=2)
    same(Hf(str(tmp_path)).load(), rows)


def test_the_way_of_the_hub_with_a_folder_in_its_place(tmp_path, rows, monkeypatch):
    """load_dataset takes a folder as it takes a name; the network is all that this leaves out."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for split in ("train", "test"):
        rows.to_parquet(str(tmp_path / "set" / f"{split}-00000-of-00001.parquet"))
    monkeypatch.chdir(tmp_path)
    dataset = Hf("set", split="test")
    from capbench.datasets.rows import read_tables, samples

    paths = dataset.downloaded()
    assert [path.suffix for path in paths] == [".arrow"]
    found, columns = read_tables(paths, tmp_path, dataset.columns)
    same(samples(found, "set", columns), rows)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # else it is asked for six times
    with pytest.raises(BadData, match="cannot be loaded from the hub"):
        Hf("nobody/nothing-of-the-kind").load()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_shards_as_webdataset_writes_and_reads_them(tmp_path):
    wds = pytest.importorskip("webdataset", reason="pip install 'capbench[data]'")
    with wds.ShardWriter(str(tmp_path / "data-%03d.tar"), maxcount=3, verbose=0) as out:
        for k, image in enumerate(pictures(7)):
            out.write({"__key__": f"d/{k:04d}", "png": png(image), "txt": f"caption {k}", "json": {"n": k}})
    samples = WebDataset(str(tmp_path)).load()
    theirs = wds.WebDataset([str(p) for p in sorted(tmp_path.glob("*.tar"))], shardshuffle=False).decode("rgb8")
    read = list(theirs)
    gc.collect()  # its reader leaves files open, which is noticed here and not in another test
    assert [s.id for s in samples] == [row["__key__"] for row in read]
    assert [s.references for s in samples] == [(row["txt"],) for row in read]
    for sample, row in zip(samples, read, strict=True):
        assert np.array_equal(np.asarray(load(sample.image)), row["png"])

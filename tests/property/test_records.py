"""Whatever a caption holds, each file form gives it back exactly and under its own id."""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capbench.errors import CapbenchError
from capbench.records import read

HOSTILE = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029\x00\t\"',;|\\{}[]\ufeff\u200b\U0001f600\u26bd\ud83d\ude00é#"


def paired(text):
    """Two surrogates that make a pair are, in JSON's escapes, the character itself."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


texts = st.one_of(st.text(st.sampled_from(HOSTILE + "ab \n")), st.text(st.characters(exclude_categories=()))).map(
    paired
)
ids = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(lambda text: text.strip()),
)
captions = st.dictionaries(ids, texts, min_size=1, max_size=6)
once = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


def back(path, data, **options):
    path.write_bytes(data)
    return {record.id: list(record.texts) for record in read(path, **options)}


def single(rows):
    return {id_: [text] for id_, text in rows.items()}


def without_surrogates(text):
    return text.encode("utf-8", "replace").decode("utf-8")


@once
@given(captions, st.booleans())
def test_json_lines(tmp_path, rows, compressed):
    data = "".join(json.dumps({"id": id_, "caption": text}) + "\n" for id_, text in rows.items()).encode()
    assert back(tmp_path / "x", gzip.compress(data) if compressed else data) == single(rows)


@once
@given(captions)
def test_raw_json_lines_and_documents(tmp_path, rows):
    rows = {id_: without_surrogates(text) for id_, text in rows.items()}
    lines = [json.dumps({"image_id": id_, "caption": text}, ensure_ascii=False) for id_, text in rows.items()]
    assert back(tmp_path / "x", "\n".join(lines).encode()) == single(rows)
    assert back(tmp_path / "x", ("[" + ",\n".join(lines) + "]").encode()) == single(rows)


@once
@given(captions, st.sampled_from([None, 1]))
def test_json_mappings_and_results(tmp_path, rows, indent):
    # A lone image_id or caption key would be a results line of its own.
    mapping = {f"x{id_}": text for id_, text in rows.items()}
    assert back(tmp_path / "x", json.dumps(mapping, indent=indent).encode()) == single(mapping)
    lists = {id_: [text, text + "!"] for id_, text in mapping.items()}
    assert back(tmp_path / "x", json.dumps(lists, indent=indent).encode()) == lists
    results = [{"image_id": id_, "caption": text} for id_, text in rows.items()]
    assert back(tmp_path / "x", json.dumps(results, indent=indent).encode()) == single(rows)


@once
@given(captions)
def test_coco_annotations_and_karpathy(tmp_path, rows):
    coco = {
        "images": [{"id": id_} for id_ in rows],
        "annotations": [{"id": i, "image_id": id_, "caption": text} for i, (id_, text) in enumerate(rows.items())],
    }
    assert back(tmp_path / "x", json.dumps(coco).encode()) == single(rows)
    karpathy = {
        "images": [{"cocoid": id_, "sentences": [{"raw": text}], "split": "test"} for id_, text in rows.items()]
    }
    assert back(tmp_path / "x", json.dumps(karpathy).encode(), want="references") == single(rows)


@once
@given(
    captions,
    st.sampled_from([",", "\t", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_csv(tmp_path, rows, delimiter, end, quoting):
    # A row that ends in an unquoted carriage return cannot be told from one that ends a line when lines end in
    # both, and a byte order mark inside the file is a caption's own business; neither may move another row.
    rows = {id_: without_surrogates(text) for id_, text in rows.items()}
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerow(["id", "caption"])
    writer.writerows(rows.items())
    assert back(tmp_path / "x", stream.getvalue().encode()) == single(rows)


@once
@given(st.binary(max_size=60))
def test_no_bytes_end_in_a_traceback(tmp_path, data):
    for prefix in (b"", b'{"id": 1, "caption": ', b"id,caption\n", b"[", b"\x1f\x8b"):
        (tmp_path / "x").write_bytes(prefix + data)
        with suppress(CapbenchError):
            read(tmp_path / "x")

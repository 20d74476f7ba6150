"""A run's folder can be killed at any moment and read back exactly."""

import json
import math

import numpy as np
import pytest

from capbench import run_folders, store
from capbench.errors import BadData, CapbenchError, UsageError
from capbench.store import CaptionLog, Identity, Record, Run, Stated
from capbench.tables import Scored
from capbench.types import Caption, Rows, Summary

NAN = float("nan")


def record(**changes):
    identity = Identity("b", 1, "d", "c", 3)
    return Record(**{"status": "started", "label": "l", "identity": identity, "circumstance": {}, **changes})


def captions(n):
    return [Caption(f"i{k}", f"text {k}", seconds=k / 8) for k in range(n)]


def log(folder, *batches):
    opened = CaptionLog(folder)
    for batch in batches:
        opened.append(batch)
    opened.close()


def test_captions_come_back_in_order_over_several_openings(tmp_path):
    log(tmp_path, captions(2), [Caption("f", None, "failed", "no picture", 0.5, 1)])
    log(tmp_path, [])
    log(tmp_path, [Caption("x", "")])
    assert store.recover_captions(tmp_path) == (
        *captions(2),
        Caption("f", None, "failed", "no picture", 0.5, 1),
        Caption("x", ""),
    )
    assert store.recover_captions(tmp_path / "absent") == ()


def test_every_cut_of_the_last_line_leaves_the_lines_before(tmp_path):
    log(tmp_path, captions(3))
    path = tmp_path / store.CAPTIONS
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    for cut in range(start, len(whole)):
        path.write_bytes(whole[:cut])
        assert store.recover_captions(tmp_path) == tuple(captions(2))
        assert path.read_bytes() == whole[:start]
        log(tmp_path, captions(3)[2:])
        assert path.read_bytes() == whole


def test_a_damaged_line_before_the_last_is_said_with_its_number(tmp_path):
    log(tmp_path, captions(3))
    path = tmp_path / store.CAPTIONS
    lines = path.read_bytes().split(b"\n")
    for bad in (b"{", b"5", b"[]", b"", b'{"id": "x"}', lines[1].replace(b'"text 1"', b"7"), b"\xff"):
        path.write_bytes(b"\n".join([lines[0], bad, *lines[2:]]))
        with pytest.raises(BadData, match="is damaged") as caught:
            store.recover_captions(tmp_path)
        (fault,) = caught.value.faults
        assert fault.where.endswith("captions.jsonl:2")


HOSTILE = ["", "a\nb\r\x85\u2028", "\udc80 lone", "\x00", '"}\n{', "\U0001f600", "\ufeff"]


def test_any_text_is_one_line(tmp_path):
    made = [Caption(text, text, reason=text) for text in HOSTILE]
    log(tmp_path, made)
    data = (tmp_path / store.CAPTIONS).read_bytes()
    assert data.isascii()
    assert data.count(b"\n") == len(HOSTILE)
    assert store.recover_captions(tmp_path) == tuple(made)


def test_a_file_is_replaced_as_a_whole(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    store.write_file(path, b"old")
    (tmp_path / "x.json.tmp").write_bytes(b"left by a kill, and longer than what follows")
    store.write_file(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]

    def killed(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        store.write_file(path, b"newer")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(("there", "left"), [(True, b"printed, written"), (False, b"written")])
def test_what_stdout_goes_to_is_added_to_only_where_there_is_a_stdout(tmp_path, monkeypatch, there, left):
    path = tmp_path / "out"
    with path.open("wb", buffering=0) as out:
        out.write(b"printed, ")
        monkeypatch.setattr(store, "STDOUT", out.fileno())
        if not there:
            monkeypatch.setattr(store.sys, "__stdout__", None)
        store.write_file(path, b"written")
    assert path.read_bytes() == left


def test_the_record_comes_back(tmp_path):
    made = record(
        label="odd \udc80 label \u2028",
        identity=Identity("b", 2, "d", "c\udcff", 7, 3, {"seed": 1, "prompt": "é"}),
        metrics=[Stated("s", "l", "t", "h", True)],
        backends={"clip": "f"},
        notes=["n"],
    )
    store.write_record(tmp_path, made)
    assert store.read_record(tmp_path) == made


def test_an_identity_changes_with_each_field():
    plain = Identity("b", 1, "d", "c", 3, 1, {"seed": 0})
    changed = [
        Identity("B", 1, "d", "c", 3, 1, {"seed": 0}),
        Identity("b", 2, "d", "c", 3, 1, {"seed": 0}),
        Identity("b", 1, "D", "c", 3, 1, {"seed": 0}),
        Identity("b", 1, "d", "C", 3, 1, {"seed": 0}),
        Identity("b", 1, "d", "c", 4, 1, {"seed": 0}),
        Identity("b", 1, "d", "c", 3, 2, {"seed": 0}),
        Identity("b", 1, "d", "c", 3, 1, {"seed": 1}),
    ]
    assert len({plain.short, *(i.short for i in changed)}) == 8
    assert len(plain.short) == 6


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b'{"status"', "is damaged"),
        (b"\xff", "is damaged"),
        (b"[]", "expected an object"),
        (b"{}", r"required field missing @ \$.status"),
        (b'{"schema": 99, "anything": 1}', r"made by a newer capbench \(schema 99, here \d+\)"),
    ],
)
def test_a_record_that_cannot_be_used_says_why(tmp_path, content, words):
    (tmp_path / store.RUN).write_bytes(content)
    with pytest.raises(BadData, match=words):
        store.read_record(tmp_path)


def test_a_record_with_a_key_of_nobody_is_refused(tmp_path):
    store.write_record(tmp_path, record())
    data = json.loads((tmp_path / store.RUN).read_text())
    (tmp_path / store.RUN).write_text(json.dumps({**data, "stauts": "finished"}))
    with pytest.raises(BadData, match="stauts"):
        store.read_record(tmp_path)
    with pytest.raises(BadData, match="is no run"):
        store.read_record(tmp_path / "absent")


IDS = ("a", "\udc80b", "c\nd", "e")


def some_rows():
    plain = Scored(
        "one#00000000",
        Rows({"x": np.array([0.1, NAN, 1 / 3, -5e-324]), "y": np.array([NAN, 2, 3, 1e308])}),
        {0: "no y", 1: "no caption \udc80"},
        np.zeros(4, np.int64),
    )
    bagged = Scored(
        "two#11111111",
        Rows({"r1": np.array([1, 0, NAN])}, np.array([3, 0, 3]), np.array([5, 5, 9])),
        {2: "no caption"},
        np.array([0, 1, 1]),
    )
    return plain, bagged


def alike(found, wanted):
    assert found.key == wanted.key
    assert list(found.rows.columns) == list(wanted.rows.columns)
    for name, column in wanted.rows.columns.items():
        assert found.rows.columns[name].tobytes() == column.tobytes()
    items = np.arange(len(wanted.samples)) if wanted.rows.items is None else wanted.rows.items
    assert found.rows.items.tolist() == items.tolist()
    assert (found.rows.bags is None) == (wanted.rows.bags is None)
    if wanted.rows.bags is not None:
        assert found.rows.bags.tolist() == wanted.rows.bags.tolist()
    assert found.samples.tolist() == wanted.samples.tolist()


def test_rows_come_back_bit_for_bit(tmp_path):
    store.write_scores(tmp_path, some_rows(), IDS)
    found = store.read_scores(tmp_path, IDS)
    for mine, wanted in zip(found, some_rows(), strict=True):
        alike(mine, wanted)
    assert dict(found[0].reasons) == {0: "no y", 1: "no caption \\udc80"}
    assert dict(found[1].reasons) == {2: "no caption"}


def test_the_same_rows_are_the_same_bytes_and_survive_a_second_round(tmp_path):
    store.write_scores(tmp_path, some_rows(), IDS)
    first = (tmp_path / store.SCORES).read_bytes()
    store.write_scores(tmp_path, store.read_scores(tmp_path, IDS), IDS)
    for mine, wanted in zip(store.read_scores(tmp_path, IDS), some_rows(), strict=True):
        alike(mine, wanted)
    store.write_scores(tmp_path, some_rows(), IDS)
    assert (tmp_path / store.SCORES).read_bytes() == first


def test_without_ids_items_are_numbered_as_they_first_stand(tmp_path):
    store.write_scores(tmp_path, some_rows()[1:], IDS)
    assert store.read_items(tmp_path) == ["e", "a"]
    assert store.read_scores(tmp_path)[0].rows.items.tolist() == [0, 1, 0]


def test_no_rows_at_all(tmp_path):
    store.write_scores(tmp_path, (), IDS)
    assert store.read_scores(tmp_path, IDS) == ()


def test_a_damaged_table_is_refused(tmp_path):
    with pytest.raises(BadData, match="cannot read"):
        store.read_scores(tmp_path)
    store.write_scores(tmp_path, some_rows(), IDS)
    path = tmp_path / store.SCORES
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BadData, match="cannot read"):
        store.read_scores(tmp_path)


def summary(column, value=0.5):
    return Summary("m", column, "L", "high", value, None, 0.75, 3, 1, 0, 0, 0, "m|v:1", "abcd")


def test_summaries_come_back(tmp_path):
    made = (summary("x", 0.1 + 0.2), summary("y", None))
    store.write_summary(tmp_path, made)
    assert store.read_summary(tmp_path) == made
    (tmp_path / store.SUMMARY).write_text('[{"metric": 5}]')
    with pytest.raises(BadData, match=r"expected str, got 5 @ \$\[0\].metric"):
        store.read_summary(tmp_path)


def test_a_run_is_a_frame_and_its_values_go_by_column():
    run = Run(record(), (summary("x"), summary("y"), summary("y")), (), some_rows(), IDS)
    frame = run.frame()
    assert len(frame) == 2 * 4 + 3
    last = frame.iloc[-1]
    assert (last["metric"], last["column"], last["item"], last["bag"]) == ("two#11111111", "r1", "e", 9)
    assert (math.isnan(last["value"]), last["reason"]) == (True, "no caption")
    assert run.table()["value"].tolist() == [0.5] * 3
    assert run.value("x") == 0.5
    with pytest.raises(UsageError, match="2 numbers are called 'y'"):
        run.value("y")


def test_a_second_writer_is_kept_out(tmp_path):
    with store.locked(tmp_path), pytest.raises(CapbenchError, match="another capbench"), store.locked(tmp_path):
        pass
    with store.locked(tmp_path):
        pass


def test_runs_are_found_below_a_folder_in_name_order(tmp_path):
    for name in ("b/x", "a/y", "a/x"):
        (tmp_path / name).mkdir(parents=True)
        store.write_record(tmp_path / name, record())
    assert [str(p.relative_to(tmp_path)) for p in run_folders.find_runs(tmp_path)] == ["a/x", "a/y", "b/x"]

"""The committed COCO table: current, made from its entries, and equal to the reference code's numbers."""

import csv
import json

import pytest

from capbench import leaderboard

NAMES = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "meteor": "METEOR",
}


@pytest.fixture
def board(root):
    return root / "leaderboards" / "coco-karpathy-test"


def test_it_is_current(board):
    leaderboard.check_board(board)


def test_every_number_is_the_golden_one_in_every_recorded_digit(board, shared):
    golden = json.loads((shared / "coco" / "golden_karpathy_test.json").read_text(encoding="utf-8"))["systems"]
    with (board / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["captioner"] for row in rows} == set(golden)
    assert len(rows) == 6 * len(NAMES)
    for row in rows:
        assert round(float(row["value"]), 6) == golden[row["captioner"]][NAMES[row["column"]]]
        assert float(row["low"]) < float(row["value"]) < float(row["high"])
        assert row["signature"].startswith(f"{row['metric']}|")

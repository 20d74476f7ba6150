"""Runs side by side: what is matched, what is refused and why, and that no caption breaks a table."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from capbench import comparison_text, store
from capbench.compare import compare
from capbench.errors import BadData, MissingPart, NotComparable, UsageError
from capbench.leaderboard import escape
from capbench.run_folders import pick_run

NAN = float("nan")
BASE = np.random.default_rng(0).normal(5, 1, 200)
NOISE = np.random.default_rng(1).normal(0, 1, 200)
HOSTILE = [
    "a|b", "a\\|b", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "two\nlines", "`code`",
    "[link](javascript:x)", "right\u202eleft", "lone \udc80", "\u2028|\r|", "\\end{tabular}\\input{/etc/passwd}", "$x^2$ & 50%_#~",
    '"quoted" \'single\'', "]]>", "&lt;b&gt;",
]  # fmt: skip


def lines_of(made):
    return {(made.names[x.first], made.names[x.second], x.summary.column): x for x in made.lines}


def test_two_runs_in_every_column(folder_of):
    a = folder_of("a", {"score": BASE, "loss": BASE, "width": BASE}, better={"loss": "low", "width": "none"})
    b = folder_of(
        "b",
        {"score": BASE + 0.3 + NOISE, "loss": BASE + 0.3 + NOISE, "width": BASE + 1},
        better={"loss": "low", "width": "none"},
    )
    made = compare([a, b])
    found = lines_of(made)
    score, loss, width = (found["a", "b", c] for c in ("score", "loss", "width"))
    assert score.difference.value == pytest.approx((-0.3 - NOISE).mean())
    assert (score.verdict, loss.verdict, width.verdict) == ("worse", "better", "-")
    up = int((NOISE < -0.3).sum())
    assert score.wins == (up, 0, 200 - up)
    assert loss.wins == (200 - up, 0, up)
    assert np.isnan(width.adjusted)
    assert made.family == 2
    assert score.adjusted == pytest.approx(2 * score.difference.p)


def test_the_items_that_moved_most_with_their_captions(folder_of):
    shift = np.zeros(200)
    shift[[7, 3, 150]] = 3, -5, 1
    texts = [f"caption {k}" for k in range(200)]
    a = folder_of("a", {"score": BASE}, captions=texts)
    b = folder_of(
        "b", {"score": BASE - shift}, captions=[None if k == 3 else text.upper() for k, text in enumerate(texts)]
    )
    (line,) = compare([a, b]).lines
    assert [(m.id, round(m.first - m.second, 6)) for m in line.moved] == [("i003", -5), ("i007", 3), ("i150", 1)]
    assert [m.captions for m in line.moved][:2] == [("caption 3", None), ("caption 7", "CAPTION 7")]
    assert [m.id for m in compare([a, b], moved=1).lines[0].moved] == ["i003"]
    (b / store.CAPTIONS).unlink()
    assert compare([a, b]).lines[0].moved[1].captions == ("caption 7", None)


def test_rows_are_matched_by_id_and_not_by_place(folder_of):
    order = np.random.default_rng(3).permutation(200)
    a = folder_of("a", {"score": BASE})
    b = folder_of("b", {"score": BASE[order]}, ids=[f"i{k:03d}" for k in order])
    (line,) = compare([a, b]).lines
    assert (line.difference.value, line.difference.p) == (0, 1)
    assert line.wins == (0, 200, 0)


def test_rows_are_matched_by_sample_and_by_gallery(folder_of):
    ids = [f"i{k:03d}" for k in range(50)] * 2
    samples = np.repeat([0, 1], 50)
    values = BASE[:100]
    swapped = np.concatenate([np.arange(50, 100), np.arange(50)])
    a = folder_of("a", {"score": values}, ids=ids, samples=samples, bags=np.tile(np.arange(50), 2))
    b = folder_of("b", {"score": values[swapped]}, ids=ids, samples=samples[swapped], bags=np.tile(np.arange(50), 2))
    (line,) = compare([a, b]).lines
    assert (line.difference.value, line.difference.units) == (0, 50)
    c = folder_of("c", {"score": values[swapped]}, ids=ids, samples=samples, bags=np.tile(np.arange(50), 2))
    assert compare([a, c]).lines[0].wins[1] == 0


def test_an_item_unscored_in_one_is_left_out_of_both_and_counted(folder_of):
    first, second = BASE.copy(), BASE - 1
    first[:10], second[5:30] = NAN, NAN
    made = compare([folder_of("a", {"score": first}), folder_of("b", {"score": second})])
    (line,) = made.lines
    d = line.difference
    assert (d.n, d.only_first, d.only_second) == (170, 20, 5)
    assert d.value == pytest.approx(1.0)
    assert d.first == pytest.approx(BASE[30:].mean())
    heads, (row,) = comparison_text.table(made)
    assert row[heads.index("left out")] == "25"


def test_all_pairs_of_more_runs_with_names_that_differ(folder_of):
    places = [folder_of("same", {"score": BASE + k / 10 * NOISE}, place=f"same-{k}") for k in range(3)]
    made = compare(places, moved=0)
    assert made.names == ("same-0", "same-1", "same-2")
    assert set(lines_of(made)) == {
        ("same-0", "same-1", "score"),
        ("same-0", "same-2", "score"),
        ("same-1", "same-2", "score"),
    }
    again = compare([places[0], places[0]])
    assert again.names == ("same-0", "same-0 (2)")
    assert again.lines[0].difference.p == 1


def test_other_signatures_are_not_compared_and_the_message_says_in_what(folder_of):
    a = folder_of("a", {"score": BASE}, signature="{column}|encoder:x/1|prefix:a%3A b|data:aaaa|v:1")
    b = folder_of("b", {"score": BASE}, signature="{column}|encoder:y/2|data:aaaa|v:2")
    with pytest.raises(NotComparable) as caught:
        compare([a, b])
    text = str(caught.value)
    assert "a, b: score" in text
    assert "encoder: x/1 / y/2" in text
    assert "prefix: a: b / -" in text
    assert "v: 1 / 2 (another version of the metric: score again)" in text
    assert "data" not in text
    assert caught.value.exit_code == 4


def test_runs_of_other_images_are_not_compared(folder_of):
    a = folder_of("a", {"score": BASE}, signature="{column}|data:aaaa|v:1")
    b = folder_of("b", {"score": BASE[:50]}, signature="{column}|data:bbbb|v:1")
    with pytest.raises(NotComparable, match=r"data: aaaa / bbbb \(200 and 50 images\)"):
        compare([a, b])
    c = folder_of("c", {"score": BASE}, ids=[f"i{k + 1:03d}" for k in range(200)])
    with pytest.raises(NotComparable, match="other items: 1 are in d only, as i000"):
        compare([folder_of("d", {"score": BASE}), c])


def test_what_only_one_has_is_said_and_the_rest_compared(folder_of):
    a = folder_of("a", {"score": BASE, "more": BASE})
    b = folder_of("b", {"score": BASE + 1, "other": BASE}, better={"other": "low"})
    made = compare([a, b])
    assert [x.summary.column for x in made.lines] == ["score"]
    assert {(g.column, made.names[g.first]) for g in made.gaps} == {("more", "a"), ("other", "b")}
    assert "Not compared" in comparison_text.markdown(made)
    with pytest.raises(NotComparable, match="more"):
        compare([a, b], ["more"])
    nothing = folder_of("nothing", {"score": np.full(200, NAN)})
    with pytest.raises(NotComparable, match="no item has a score in both"):
        compare([a, nothing], ["score"])


def test_bad_words(folder_of):
    a, b = folder_of("a", {"score": BASE}), folder_of("b", {"score": BASE})
    with pytest.raises(UsageError, match="no column is called 'cidre'"):
        compare([a, b], ["cidre"])
    with pytest.raises(UsageError, match="one run alone"):
        compare([a])
    unfinished = folder_of("c", {"score": BASE}, status="started")
    with pytest.raises(MissingPart, match="is not finished"):
        compare([a, unfinished])


def test_rows_that_do_not_give_the_stated_number_are_refused(folder_of):
    a, b = folder_of("a", {"score": BASE}), folder_of("b", {"score": BASE})
    text = (b / store.SUMMARY).read_text()
    (b / store.SUMMARY).write_text(re.sub(r'"value": [\d.]+', '"value": 4.0', text))
    with pytest.raises(BadData, match=r"the rows of score give 5\.\d+, its summary says 4"):
        compare([a, b])
    (b / store.SUMMARY).write_text(text)
    compare([a, b])


def test_fewer_columns_are_a_smaller_family(folder_of):
    columns = {f"c{k}": BASE + 0.1 * NOISE for k in range(4)}
    others = {f"c{k}": BASE for k in range(4)}
    a, b = (folder_of(name, values, labels={"c1": "One"}) for name, values in (("a", columns), ("b", others)))
    full, few = compare([a, b]), compare([a, b], ["c0", "One"])
    assert (full.family, few.family) == (4, 2)
    assert lines_of(few)["a", "b", "c0"].adjusted <= lines_of(full)["a", "b", "c0"].adjusted


def test_real_runs_with_a_fold_and_a_corpus_metric(drawn_runs):
    right, wrong = (drawn_runs[s] for s in ("speaker", "speaker(flaw='miscount')"))
    found = lines_of(compare([right.folder, wrong.folder]))
    for column in ("cider", "bleu4", "rouge_l"):
        line = found[right.record.label, wrong.record.label, column]
        assert line.difference.first == pytest.approx(right.value(column), rel=1e-12)
        assert line.difference.second == pytest.approx(wrong.value(column), rel=1e-12)
    assert found[right.record.label, wrong.record.label, "cider"].verdict == "better"
    in_memory = lines_of(compare([right, wrong]))
    assert {k: v.difference for k, v in in_memory.items()} == {k: v.difference for k, v in found.items()}


TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "div", "table", "caption", "thead", "tbody", "tr",
    "th", "td", "p",
}  # fmt: skip


class Page(HTMLParser):
    """Every tag and attribute, and whether each tag that opens is closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open, self.text = set(), set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_and_captions_break_nothing(folder_of, read_json, text):
    ids = [f"{text}-{k}" for k in range(20)]
    options = {"ids": ids, "captions": [text] * 20, "labels": {"score": text}, "benchmark": text}
    a = folder_of(text, {"score": BASE[:20]}, place="a", **options)
    b = folder_of(f"{text} b", {"score": BASE[20:40]}, place="b", **options)
    made = compare([a, b])
    shown = comparison_text.markdown(made)
    shown.encode()
    tables = [line for line in shown.split("\n") if line.startswith("|")]
    assert len(tables) == 3 + 7
    widths = {len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in tables}
    assert len(widths) == 2  # one width for each of the two tables
    assert "<script" not in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert escape(text) in shown
    page = Page()
    source = comparison_text.page(made)
    source.encode()
    page.feed(source)
    assert page.open == []
    assert page.tags == TAGS
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "scope", "tabindex"}
    visible = "".join(ch if ch.isprintable() else " " for ch in text)
    assert visible in "".join(page.text)
    made_tex = comparison_text.latex(made)
    made_tex.encode()
    body = made_tex.partition("\\midrule\n")[2].partition("\n\\bottomrule")[0]
    assert body.count("\n") == 0
    assert len(re.findall(r"(?<!\\)&", body)) == 9
    assert not re.search(r"(?<!\\)[$#^_%~]", body)
    assert set(re.findall(r"\\([a-zA-Z]+)", body)) <= {
        "textbackslash", "textasciicircum", "textasciitilde", "textless", "textgreater", "textquotedbl",
        "textasciigrave", "textquotesingle",
    }  # fmt: skip
    data = read_json(comparison_text.json_text(made))
    assert data["runs"][0] == text
    assert data["lines"][0]["moved"][0]["captions"][0] == text


def test_a_long_caption_does_not_widen_the_console_and_is_whole_elsewhere(folder_of):
    long = "a red dog and " * 2500
    runs = [folder_of(k, {"score": BASE[i : i + 20]}, captions=[long] * 20, place=k) for i, k in enumerate("ab")]
    made = compare(runs)
    shown = comparison_text.markdown(made)
    assert max(map(len, shown.splitlines())) < 1000
    assert f"{long[:200].rstrip()}... |" in shown
    assert long.strip() in comparison_text.page(made)
    assert long in comparison_text.json_text(made)


def test_json_says_everything(folder_of, read_json):
    a, b = folder_of("a", {"score": BASE}), folder_of("b", {"score": BASE + 0.2 * NOISE})
    (line,) = read_json(comparison_text.json_text(compare([a, b]), 50))["lines"]
    assert line["difference"] == pytest.approx(-0.2 * NOISE.mean())
    assert line["low"] < line["difference"] < line["high"]
    assert line["items"] == {"better": int((NOISE < 0).sum()), "equal": 0, "worse": int((NOISE > 0).sum())}
    assert line["detectable_units"] == 50
    assert line["detectable"] == pytest.approx(2.8016 * 0.2 * NOISE.std() / np.sqrt(50), rel=0.05)
    assert line["signature"].startswith("score|")
    same = read_json(comparison_text.json_text(compare([a, a])))["lines"][0]
    assert (same["effect"], same["units_needed"]) == (0, None)


def test_too_few_resamples_for_so_many_tests_is_said(folder_of):
    runs = [folder_of(f"r{k}", {"score": BASE + k * NOISE}) for k in range(5)]
    assert "no adjusted p can be below 0.20" in comparison_text.markdown(compare(runs, resamples=100, moved=0))
    assert "no adjusted p" not in comparison_text.markdown(compare(runs, resamples=400, moved=0))


def test_a_run_by_folder_name_id_and_latest(folder_of, tmp_path):
    old = folder_of("a", {"score": BASE}, place="bench/alpha-1a2b3c", finished="2026-01-02T00:00:00+00:00")
    new = folder_of("b", {"score": BASE}, place="bench/beta-1aff00", finished="2026-01-03T00:00:00+00:00")
    folder_of("c", {"score": BASE}, place="bench/gamma-777777", finished="2026-01-04T00:00:00+00:00", status="started")
    root = tmp_path / "runs"
    assert pick_run(str(old), root) == old
    assert {pick_run(word, root) for word in ("alpha", "alpha-1a2b3c", "1a2b", "bench/alpha-1a2b3c")} == {old}
    assert pick_run("latest", root) == new
    with pytest.raises(UsageError, match="'1a' may be any of 2 runs"):
        pick_run("1a", root)
    with pytest.raises(UsageError, match=r"(?s)no run is called 'delta'.*alpha-1a2b3c"):
        pick_run("delta", root)
    with pytest.raises(UsageError, match="no finished run below"):
        pick_run("latest", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="an empty word"):
        pick_run("", root)

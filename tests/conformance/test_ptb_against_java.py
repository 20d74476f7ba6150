"""The Penn Treebank words against the reference program, live, on every text at hand."""

import gzip
import json
import random

import pytest

from capbench.backends.ptb import tokenize
from capbench.backends.tokenizers import PtbJava

pytestmark = [pytest.mark.java, pytest.mark.slow]

OTHER_CORPORA = [
    "coco/val2017_refs", "flickr8k/captions_train", "flickr8k/photos", "flickr8k/system_outputs", "flickr8k/bag_candidates",
    "human/pascal50s", "human/thumb_mscoco", "human/cxc_sits_val", "foil/sugarcrepe", "foil/valse_foil_it",
    "detailed/comprecap_long", "detailed/decapbench_facts", "detailed/iiw400", "detailed/pope_mllm_captions",
    "graphs/factual_random_test", "graphs/spice_parser_outputs", "tuxpaint/photos",
]  # fmt: skip

HARD = """
a dog Dog DOG man's dogs' isn't can't cannot gonna 'tis 'twas y'all o'clock rock'n'roll d'or O'Neil I'm
we've he'll 's n't ’s ’ ‘ “ ” « » „ ‚ ‹ › ' '' ` `` " "" ´ n’t &apos; &quot; &amp; &lt; &gt; &nbsp; &mdash;
&eacute; &#39; ( ) [ ] { } < > << >> <b> </b> <br/> - -- --- ---- – — _ __ . .. ... .... ..... … , ; : ? !
?! !! / // \\ | ^ ~ = == + ++ * ** \\* # ## @ @@ % & && $ U.S. U.S.A. U.S a.m. p.m. e.g. i.e. etc. Mr. Dr. St.
No. no. Ave. Jr. Inc. Co. Ltd. vs. Jan. Ph.D. Mt. A. B. I. v. ca. fig. Prof. Sept. Wash. wash. Miss. co.
ext. Dept. Blvd. Rd. pp. op. art. a.k.a. approx. oz. ft. in. Sr. pt. 1 2 12 123 1234 12345 5.5 1,000 10:30
10:30pm 3pm 1/2 3/4 12/25/2014 1990s '90s '90 50's 2nd 5'10" 100% $5 £5 €5 ¥5 ½ ⅓ ⅛ ² ₂ x² °C 5° 20°C #1 +5
-5 1-2 (555) 555-1234 555.123.4567 1-800-555-1234 2014-09-02 www.foo.com foo.com foo.org/bar
http://x.y/z?a=b https://a.b. me@x.com @user #tag #tag_1 a@b .NET node.js c++ C# f# foo.jpg file.txt a.py
x.c :) :-) ;) :D :P =) <3 ^_^ (^_^) o_O -_- >_< >:( =D 8) ^.^ two-story ice-cream T-shirt re-elect pro-life
e-mail A-1 x-ray U.S.-based 4.5-liter -LRB- -lrb- S&P-500 AT&T A&B A+B R&amp;B black/white and/or w/ b/w a/b/c/d
café naïve ÜBER 日本語 привет 한국어 ع é ñ 😀 ❤️ ★ ™ © ® • · ¿ ¡ § ¶ † × ÷ → ∞ ♥ 👍🏽 İ ß ﬁ 。 、 ！ ？ （ ） Dunkin'
somethin' ol' 'em 'n' 'cause 'till c'mon Cap'n c'est ma'am li'l nat'l cont'd nor'easter s'mores ev'ry e'er
l'eau Yahoo! E! OK! lemme gimme wanna gotta Wanna CANNOT The An It He Africa Korea ltd limited J. K
"""
FRAGMENTS = [
    *HARD.split(),
    "\xad",
    "a\xadb",
    "\xa0",
    "\u200b",
    "\u3000",
    "\u2009",
    "\x00",
    "\x7f",
    "\t",
    '<a href="x">',
]

ALPHABETS = [
    "aAbnst09.,'-/:;!?()&@#$%\"`* _<>’", "<>/=ab \"'!?-.: ", "0123456789 -./,:+()\u00a0$%½⁄\\", "htp:/w.com&?=[]{}|,;-_'\"A9 ",
    "@a.b<>&lt;{}[],;:'", "'’‘`ntslevmdrSLDnNt aeiouy.,-", "().^_-=xo~<>:;DPp'\\@|*[]{ ", "U.S.A.aT heMrtc 5,-&+",
    "\u00ad\u2010\u2011_-aZé5.,'", "“”‘’«»„‚‹›'`\"aI 5s", "&aeiou;cutegravml#39qdMDHTdashnbspgltapos &",
    "....… .\u00a0aB,?!-—– ", "*#@_%&~^|\\+=$a1 ",
    "".join(map(chr, range(0xA0, 0x250))) + "ab ", "".join(map(chr, range(0x2010, 0x2028))) + "ab1 ",
    "".join(map(chr, range(0x2030, 0x2C00))) + "ab ",
]  # fmt: skip


@pytest.fixture(scope="session")
def java():
    problem = PtbJava().check()
    if problem is not None:
        pytest.skip(f"{problem.what}: {problem.cure}")
    with PtbJava().open("cpu") as session:
        yield session


def rows(shared, name):
    with gzip.open(shared / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def strings(value):
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in strings(part)]


def differing(java, texts):
    wanted = java.tokenize(texts)
    assert len(wanted) == len(texts)
    pairs = zip(texts, wanted, map(tokenize, texts), strict=True)
    return [f"{text!r}\n  java {theirs}\n  here {ours}" for text, theirs, ours in pairs if theirs != ours]


def check(java, texts, share):
    wrong = differing(java, texts)
    print(f"{len(texts)} texts, {len(wrong)} differ", *wrong[:50], sep="\n")
    assert len(wrong) <= share * len(texts), "\n".join(wrong[:50])


@pytest.mark.parametrize("split", ["test", "val"])
def test_karpathy_references(java, shared, split):
    texts = [text for row in rows(shared, f"coco/karpathy_{split}_refs") for text in row["refs"]]
    assert len(texts) == 25010
    check(java, texts, 0)


def test_outputs_of_six_systems(java, shared):
    texts = [text for row in rows(shared, "coco/system_outputs_karpathy_test") for text in row["outputs"].values()]
    assert len(texts) == 30000
    check(java, texts, 0)


@pytest.mark.parametrize("name", OTHER_CORPORA)
def test_other_corpora(java, shared, name):
    check(java, list(dict.fromkeys(strings(rows(shared, name)))), 0)


def test_conformance_examples(java, shared):
    folder = shared / "conformance"
    texts = [text for path in sorted(folder.rglob("*.json")) for text in strings(json.loads(path.read_text("utf-8")))]
    texts += [line for path in sorted(folder.rglob("*.[ct][sx][vt]")) for line in path.read_text("utf-8").splitlines()]
    assert len(texts) > 2000
    check(java, texts, 0)


def test_spliced_fragments(java):
    draw = random.Random(20141129)
    texts = []
    for _ in range(20000):
        between = [" ", " ", "", "", ".", ",", "'s", "-", "'", '"']
        texts.append("".join(draw.choice(FRAGMENTS) + draw.choice(between) for _ in range(draw.randint(1, 8))))
    check(java, texts, 0.0005)


def test_random_characters_of_hard_alphabets(java):
    draw = random.Random(19950314)
    texts = []
    for _ in range(20000):
        alphabet = draw.choice(ALPHABETS)
        texts.append("".join(draw.choice(alphabet) for _ in range(draw.randint(1, 14))))
    check(java, texts, 0.0005)


def test_every_character_of_the_basic_plane(java):
    skipped = {0x85, 0x2028, 0x2029, *range(0x0A, 0x0E), *range(0xD800, 0xE000)}
    texts = [f"a{chr(code)}b 1{chr(code)}2 {chr(code)} x" for code in range(0x10000) if code not in skipped]
    check(java, texts, 0.002)

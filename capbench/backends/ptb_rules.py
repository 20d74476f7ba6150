r"""What the reference tokenizer recognises: classes of characters, words with a rule of their own, rules.

The facts were found by giving the reference program (Stanford CoreNLP 3.4.1, Penn Treebank tokenizer)
every character of the Basic Multilingual Plane and many probes, and by reading what its authors published
about its behaviour, their rules included (docs/decisions/tokenizer.md). They are kept in a notation of our
own that ``capbench.backends.ptb`` compiles:

- ``(a|b)``, ``?``, ``*``, ``+``, ``{n}``, ``{m,n}`` and ``[...]`` mean what they mean in ``re``;
- ``<name>`` is the macro of that name, ``\l`` a letter, ``\d`` a digit, ``\A`` any character;
- a letter outside of brackets stands for both of its cases, inside of brackets only for itself.

A rule is (pattern, what must follow, what the token becomes). The longest match wins, what follows
included; of equal ones the earlier rule does. The order of the rules therefore matters.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

# Letters of Unicode 6.1 that Unicode 3.2 does not have: code points and ranges, hexadecimal.
NEWER_LETTERS = """
221 234-24F 2AE-2AF 2B9-2BA 2C6-2CF 2EC 370-374 376-377 37B-37D 3CF 3F7-3FF 4CF 4F6-4F7 4FA-4FF
510-527 620 63B-63F 6EE-6EF 6FF 72D-72F 74D-77F 7CA-7EA 7F4-7F5 7FA 800-815 81A 824 828 840-858 8A0
8A2-8AC 904 971-977 979-97F 9BD 9CE A8C AE1 B35 B71 BB6 BD0 C3D C58-C59 CBD CF1-CF2 D29 D3A D3D D4E
D7A-D7F EDE-EDF F6B-F6C F8C 1022 1028 103F 105A-105D 1061 1065-1066 106E-1070 1075-1081 108E 10C7
10CD 10F9-10FA 10FC-10FF 115A-115E 11A3-11A7 11FA-11FF 1207 1247 1287 12AF 12CF 12EF 130F 131F 1347
1380-138F 1677-167F 18AA 18B0-18F5 1900-191C 1950-196D 1970-1974 1980-19AB 19C1-19C7 1A00-1A16
1A20-1A54 1AA7 1B05-1B33 1B45-1B4B 1B83-1BA0 1BAE-1BAF 1BBA-1BE5 1C00-1C23 1C4D-1C4F 1C5A-1C7D
1CE9-1CEC 1CEE-1CF1 1CF5-1CF6 1D00-1DBF 1E9C-1E9F 1EFA-1EFF 2090-209C 2132 213C 214E 2183-2184
2C00-2C2E 2C30-2C5E 2C60-2CE4 2CEB-2CEE 2CF2-2CF3 2D00-2D25 2D27 2D2D 2D30-2D67 2D6F 2D80-2D96
2DA0-2DA6 2DA8-2DAE 2DB0-2DB6 2DB8-2DBE 2DC0-2DC6 2DC8-2DCE 2DD0-2DD6 2DD8-2DDE 2E2F 312D 31B8-31BA
9FA6-9FCC A4D0-A4FD A500-A60C A610-A61F A62A-A62B A640-A66E A67F-A697 A6A0-A6E5 A717-A71F A722-A788
A78B-A78E A790-A793 A7A0-A7AA A7F8-A801 A803-A805 A807-A80A A80C-A822 A840-A873 A882-A8B3 A8F2-A8F7
A8FB A90A-A925 A930-A946 A960-A97C A984-A9B2 A9CF AA00-AA28 AA40-AA42 AA44-AA4B AA60-AA76 AA7A
AA80-AAAF AAB1 AAB5-AAB6 AAB9-AABD AAC0 AAC2 AADB-AADD AAE0-AAEA AAF2-AAF4 AB01-AB06 AB09-AB0E
AB11-AB16 AB20-AB26 AB28-AB2E ABC0-ABE2 D7B0-D7C6 D7CB-D7FB FA2E-FA2F FA6B-FA6D FA70-FAD9
"""

# Marks, signs and unassigned characters that the reference takes as parts of words.
WORD_MARKS = """
AD 2C2-2C5 2D2-2DF 2E5-2EB 2ED 2EF-36F 375 378-379 384-385 3F6 483-487 55A-55F 591-5BD 5BF 5C1-5C2
5C4-5C5 5C7 615-61A 64B-65E 670 6D6-6E4 6E7-6ED 6FD-6FE 70F 711 730-74C 7A6-7B0 7EB-7F3 900-903 93C
93E-94E 951-955 962-963 981-983 9BC 9BE-9C4 9C7-9C8 9CB-9CD 9D7 9E2-9E3 A01-A03 A3C A3E-A4F A81-A83
ABC ABE-ACF B82 BBE-BC2 BC6-BC8 BCA-BCD C01-C03 C3E-C56 D3E-D44 D46-D48 E31 E34-E3A E47-E4E EB1
EB4-EBC EC8-ECD
"""

# The zero of each run of ten digits.
ZEROS = """
30 660 6F0 7C0 966 9E6 A66 AE6 B66 BE6 C66 CE6 D66 E50 ED0 F20 1040 1090 17E0 1810 1946 19D0 1A80 1A90
1B50 1BB0 1C40 1C50 A620 A8D0 A900 A9D0 AA50 ABF0 FF10
"""


def spread(table: str) -> frozenset[str]:
    """The characters of a table of hexadecimal code points and ranges."""
    found: set[str] = set()
    for part in table.split():
        low, _, high = part.partition("-")
        found.update(map(chr, range(int(low, 16), int(high or low, 16) + 1)))
    return frozenset(found)


@cache
def newer_letters() -> frozenset[str]:
    """See ``NEWER_LETTERS``."""
    return spread(NEWER_LETTERS)


@cache
def word_marks() -> frozenset[str]:
    """See ``WORD_MARKS``."""
    return spread(WORD_MARKS)


@cache
def digits() -> frozenset[str]:
    """All decimal digits that the reference knows."""
    return frozenset(chr(int(zero, 16) + i) for zero in ZEROS.split() for i in range(10))


def is_letter(char: str) -> bool:
    """Whether the reference's letter class holds a UTF-16 unit; the same on every Python."""
    return unicodedata.ucd_3_2_0.category(char)[0] == "L" or char in newer_letters()


@dataclass(frozen=True, slots=True)
class CharSet:
    """Characters, ranges and the classes ``l`` (letters), ``d`` (digits), ``mark``; perhaps all others."""

    chars: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    classes: str = ""
    negated: bool = False

    def holds(self, char: str) -> bool:
        """Whether a UTF-16 unit is one of them."""
        found = (
            char in self.chars
            or any(low <= char <= high for low, high in self.ranges)
            or ("l" in self.classes and is_letter(char))
            or ("d" in self.classes and char in digits())
            or ("m" in self.classes and char in word_marks())
        )
        return found != self.negated


ANY = CharSet(negated=True)


class Nfa:
    """States with silent steps and steps on one character; patterns are added as fragments."""

    def __init__(self) -> None:
        self.silent: list[list[int]] = []
        self.steps: list[tuple[CharSet, int] | None] = []
        self.final: dict[int, int] = {}

    def state(self) -> int:
        """A new state."""
        self.silent.append([])
        self.steps.append(None)
        return len(self.silent) - 1


ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


def repeats(pattern: str, at: int) -> tuple[int, int | None, int]:
    """How often the part before ``at`` may stand, None for any number, and where the pattern goes on."""
    mark = pattern[at : at + 1]
    if mark and mark in "*+?":
        return int(mark == "+"), 1 if mark == "?" else None, at + 1
    if mark != "{":
        return 1, 1, at
    close = pattern.index("}", at)
    low, _, high = pattern[at + 1 : close].partition(",")
    return int(low), int(high or low), close + 1


MACROS = {
    # Characters
    "space": r"[ \t\u00A0\u2000-\u200A\u3000]",
    "line": r"[\r\n\u2028\u2029\u000B\u000C\u0085]",
    "blank": r"(<space>|<line>)",
    "spaces": r"<space>+",
    "letter": r"(\l|<mark>|&[aeiouAEIOU](acute|grave|uml);)",
    "apos": r"(['\u0092\u2019]|&apos;)",
    "apos2": r"(<apos>|[`\u0091\u2018\u201B])",
    "hyphen": r"[\-_\u058A\u2010\u2011]",
    "inside": r"[,;:\u3001]",
    "alnum": r"[\l\d]",
    # Words
    "word": r"<letter>(<letter>|\d)*([.!?]<letter>(<letter>|\d)*)*",
    "clitic": r"<apos>([msdMSD]|re|ve|ll)",
    "not": r"n<apos2>t",
    "before_not": r"[A-Za-z\u00AD]*[A-MO-Za-mo-z]\u00AD*",
    "thing": r"([dDoOlL]<apos2><alnum>)?<alnum>+(<hyphen>([dDoOlL]<apos2><alnum>)?<alnum>+)*",
    "initials": r"[A-Z]+(([+&]|&amp;)[A-Z]+)+",
    "slashed": r"[A-Za-z0-9]+(-[A-Za-z]+){0,2}(\\?/[A-Za-z0-9]+(-[A-Za-z]+){0,2}){1,2}",
    "hyphened": r"[A-Za-z0-9][A-Za-z0-9.,\u00AD]*(-([A-Za-z0-9\u00AD]+|<acro>\.))+",
    "apo_word": (
        r"<apos>n<apos>?|[lLdDjJ]<apos>|Dunkin<apos>|somethin<apos>|ol<apos>|<apos>em"
        r"|[A-HJ-XZn]<apos2>\l\l\l*|<apos>[2-9]0s|<apos>till?"
        r"|\l\l*[aeiouyAEIOUY]<apos2>[aeiouA-Z]\l*|<apos>cause|cont'd\.?|nor'easter|c'mon|e'er|s'mores"
        r"|ev'ry|li'l|nat'l|O<apos2>o"
    ),
    "kept": r"-(L|R)(R|C|S)B-|C\.D\.s|pro-|anti-|S(&|&amp;)P-500|S(&|&amp;)Ls|Cap<apos>n|c<apos>est",
    # Addresses: a host's labels are separated by full stops; a path may hold them and not end in one.
    "in_path": r"[^ \t\n\f\r\"\<\>|(){}]",
    "in_path_curly": r"[^ \t\n\f\r\"\<\>|()]",
    "path_end": r"[^ \t\n\f\r\"\<\>|(){},.!?\-]",
    "label": r"[^ \t\n\f\r\"\<\>|(){},.!?]+",
    "bare_label": r"[^\t\n\f\r !\"$'(),-_`{|}]+",
    "known_top": r"(com|edu|net|org)",
    "path": r"/<in_path_curly>+<path_end>",
    "full_url": r"https?://<in_path>+<path_end>",
    "likely_url": r"(www\.(<label>\.)+[A-Za-z]{2,4}|(<bare_label>\.)+<known_top>)(<path>)?",
    "in_mail": r"[^ \t\n\f\r\"\<\>|(){}\u00A0]",
    "mail_label": r"[^ \t\n\f\r\"\<\>|(){}.\u00A0]+",
    "email": r"(\<|&lt;)?[A-Za-z0-9]<in_mail>*@<mail_label>(\.<mail_label>)*(\>|&gt;)?",
    "handle": r"@[a-zA-Z_][a-zA-Z_0-9]*|#<letter>+",
    "file": r"(<letter>|\d)+(\.(<letter>|\d)+)*\.<suffix>",
    "suffix": (
        r"(bat|bmp|c|class|cgi|cpp|dll|doc|docx|exe|gif|gz|h|htm|html|jar|java|jpeg|jpg|mov|mp3|pdf|php|pl|png"
        r"|ppt|ps|py|sql|tar|txt|wav|x|xml|zip)"
    ),
    # Numbers
    "date": r"\d{1,2}[\-/]\d{1,2}[\-/]\d{2,4}",
    "number": r"[\-+]?(\d+|\d*([.:,\u00AD\u066B\u066C]\d+)+)",
    "small": r"[\u207A\u207B\u208A\u208B]?([\u2070\u00B9\u00B2\u00B3\u2074-\u2079]+|[\u2080-\u2089]+)",
    "fraction": r"(\d{1,4}[\- \u00A0])?\d{1,4}(\\?/|\u2044)\d{1,4}",
    "phone": (
        r"(\([0-9]{2,3}\)[ \u00A0]?|(\+\+?)?([0-9]{2,4}[\- \u00A0])?[0-9]{2,4}[\- \u00A0])"
        r"[0-9]{3,4}[\- \u00A0]?[0-9]{3,5}|((\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}"
    ),
    "currency": r"[\u00A2\u00A3\u00A4\u00A5\u0080\u20A0\u20AC\u060B\u0E3F\u20A4\uFFE0\uFFE1\uFFE5\uFFE6]",
    # Abbreviations
    "month": r"(Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)",
    "day": r"(Mon|Tue|Tues|Wed|Thu|Thurs|Fri)",
    "state": (
        r"(Ala|Ariz|[A]z|[A]rk|Calif|Colo|Conn|Ct|Dak|[D]el|Fla|Ga|[I]ll|Ind|Kans?|Ky|[L]a|[M]ass|Md|Mich|Minn"
        r"|[M]iss|Mo|Mont|Neb|Nev|Okla|[O]re|[P]a|Penn|Tenn|[T]ex|Va|Vt|[W]ash|Wisc?|Wyo)"
    ),
    "company": r"(Inc|Cos?|Corp|Pp?t[ye]s?|Ltd|Plc|Rt|Bancorp|Bhd|Assn|Univ|Intl|Sys)",
    "other": r"(tel|est|ext|sq|Jr|Sr|Bros|Blvd|Rd|(Ed|Ph)\.D|Esq|etc|al|seq|Bldg)",
    "before_small": r"(<month>|<day>|<state>|<company>|<other>)\.",
    "acro": r"([A-Za-z](\.[A-Za-z])+|(Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(U\.K|U\.S\.S\.R))",
    "acro1": r"([A-Za-z](\.[A-Za-z])*|(Canada|Sino|Korean|EU|Japan|non)-U\.S|U\.S\.-(U\.K|U\.S\.S\.R))",
    "title": (
        r"(Mr|Mrs|Ms|[M]iss|Drs?|Profs?|Sens?|Reps?|Attys?|Lt|Col|Gen|Messrs|Govs?|Adm|Rev|Maj|Sgt|Cpl|Pvt"
        r"|Capt|Ste?|Ave|Pres|Lieut|Rt|Hon|Brig|Co?mdr|Pfc|Spc|Supts?|Det|Mt|Ft|Adj|Adv|Asst|Assoc|Ens|Insp"
        r"|Mlle|Mme|Msgr|Sfc)"
    ),
    "before_big": (r"(<title>|vs|[v]|Alex|Wm|Jos|Cie|a\.k\.a|cf|TREAS|Ph|<acro1>|Invt|Elec|Natl|M[ft]g|Dept)"),
    "before_digit": r"(ca|figs?|prop|nos?|art|bldg|pp|op)\.",
    "starter": (
        r"([A]bout|[A]ccording|[A]dditionally|[A]fter|[A]n|[A]|[A]s|[A]t|[B]ut|[E]arlier|[H]e|[H]er|[H]ere|[H]owever"
        r"|[I]f|[I]n|[I]t|[L]ast|[M]any|[M]ore|[M]r\.|[M]s\.|[N]ow|[O]nce|[O]ne|[O]ther|[O]ur|[S]he|[S]ince|[S]o"
        r"|[S]ome|[S]uch|[T]hat|[T]he|[T]heir|[T]hen|[T]here|[T]hese|[T]hey|[T]his|[W]e|[W]hen|[W]hile|[W]hat|[Y]et"
        r"|[Y]ou|<tag>)"
    ),
    # Marks
    "tag_name": r"[A-Za-z][A-Za-z0-9_:.\-]*",
    "tag": (
        r"\<([!?][A-Za-z\-][^\>\r\n]*|<tag_name>( +(<tag_name>|<tag_name> *= *"
        r"('[^'\r\n]*'|\"[^\"\r\n]*\")))* */?|/<tag_name>) *\>"
    ),
    "dash": r"&(MD|mdash|ndash);|[\u0096\u0097\u2013\u2014\u2015]",
    "entity": r"&(HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);",
    "quotes": (r"(<apos>|''|[`\u2018-\u201F\u0091-\u0094\u2039\u203A\u00AB\u00BB]{1,2})"),
    "double": r"(\"|&quot;)",
    "smiley": r"[\<\>]?[:;=][\-o*']?[()DPdpO\\{@|\[\]]",
    "asian": (
        r"[\^x=~\<\>]\.\[^x=~\<\>\]|[\-\^x=~\<\>']_[\-\^x=~\<\>']"
        r"|\([\-\^x=~\<\>'][_.]?[\-\^x=~\<\>']\)|\([\^x=~\<\>']-[\^x=~\<\>'`]\)"
    ),
    "dots": r"(\.{3,5}|(\.[ \u00A0]){2,4}\.|[\u0085\u2026])",
    "symbol": (
        r"[+%&~\^|\\\u00A1\u00A6-\u00A9\u00AC\u00AE-\u00B4\u00B6-\u00BA\u00BF\u00D7\u00F7\u0387\u05BE\u05C0\u05C3"
        r"\u05C6\u05F3\u05F4\u0600-\u0603\u0606-\u060A\u060C\u0614\u061B\u061E\u066A\u066D\u0703-\u070D\u07F6-\u07F8"
        r"\u0964\u0965\u0E4F\u1FBD\u2016\u2017\u2020-\u2023\u2030-\u2038\u203B\u203E-\u2042\u2044\u207A-\u207F"
        r"\u208A-\u208E\u2100-\u214F\u2190-\u2BFF\u3001\u3002\u3012\u30FB\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40"
        r"\uFF5B-\uFF65]"
    ),
    "stop": r"[.\u00A1\u00BF\u037E\u0589\u061F\u06D4\u0700-\u0702\u07FA\u3002]",
}

# What a token becomes: "" as it stands, "soft" without soft hyphens, "left" and "right" with the quotes
# of that side, "amp" with plain ampersands, "parens" with round brackets spelt out, "bracket", "hyphens",
# "fraction" and "currency" in their own spelling, "skip" nothing, "-2" and "-3" without its last
# characters, which are read again, "-1" the same for a letter with a full stop, "=text" that text.
RULES: list[tuple[str, str, str]] = [
    (r"c\+\+|(c|f)#", "", ""),
    (r"cannot|<apos>twas", "", "-3"),
    (r"<apos>tis|gonna|gotta|lemme|gimme|wanna", "", "-2"),
    (r"<tag>", "", ""),
    (r"<dash>", "", "=--"),
    (r"&amp;", "", "=&"),
    (r"<entity>", "", ""),
    (r"<word>", r"<clitic>", "soft"),
    (r"<before_not>", r"<not>", "soft"),
    (r"<word>", "", "soft"),
    (r"<apo_word>", "", ""),
    (r"y<apos>", r"\l", ""),
    (r"<full_url>|<likely_url>|<email>|<handle>", "", ""),
    (r"<clitic>", r"[^A-Za-z]", "right"),
    (r"<not>", "", "right"),
    (r"<date>", "", ""),
    (r"<number>", "", "soft"),
    (r"<small>|<fraction>", "", ""),
    (r"[\u00BC-\u00BE\u2153\u2154]", "", "fraction"),
    (r"[\u2155-\u215E]", "", ""),
    (r"<kept>", "", "amp"),
    (r"<slashed>|[A-Z]*\$|#", "", ""),
    (r"<currency>", "", "currency"),
    (r"<acro1>\.", r"<blank>+<starter>(<blank>|[?!])", "-1"),
    (r"<before_digit>", r"<blank>?\d", ""),
    (r"(pt[eyEY]|co)\.", r"<space>(ltd|lim)", ""),
    (r"<before_small>", r"\A\A", ""),
    (r"<before_big>\.", "", ""),
    (r"<before_big>", r"<space>", ""),
    (r"<acro1>", r"<blank>", ""),
    (r"<apos>[0-9][0-9]", r"<blank>", ""),
    (r"<file>", r"(<blank>|[.?!,])", ""),
    (r"<word>\.", r"<inside>", "soft"),
    (r"<phone>", "", "parens"),
    (r"<double>", r"[A-Za-z0-9$]", "left"),
    (r"<double>", "", "right"),
    (r"\<|&lt;", "", "=<"),
    (r"\>|&gt;", "", "=>"),
    (r"<smiley>", r"[^A-Za-z0-9]", "parens"),
    (r"<asian>", "", "parens"),
    (r"[(){}\[\]]", "", "bracket"),
    (r"-+", "", "hyphens"),
    (r"<dots>", "", "=..."),
    (r"@+|#+|_+|\*+|(\\\*){1,3}|<inside>|[?!]+|<stop>|=|/", "", ""),
    (r"<hyphened>\.", r"<inside>", "soft"),
    (r"<hyphened>", "", "soft"),
    (r"<thing>\.", r"<inside>", ""),
    (r"<thing>", "", ""),
    (r"<initials>\.", r"<inside>", "amp"),
    (r"<initials>", "", "amp"),
    (r"'", r"[A-Za-z][^ \t\n\r\u00A0]", "left"),
    (r"<clitic>", "", "right"),
    (r"<quotes>", "", "right"),
    (r"\<\<|\>\>|<symbol>", "", ""),
    (r"(<spaces>|<line>|&nbsp;|\A)", "", "skip"),
]  # fmt: skip


def expanded(pattern: str) -> str:
    """A pattern with its macros written out."""
    while True:
        pattern, found = re.subn("<(\\w+)>", lambda name: MACROS[name[1]], pattern)
        if not found:
            return pattern


# What may keep its full stop. Case is folded, so it finds a few too many: they are only read more slowly.
ABBREVIATION = re.compile(expanded(r"<before_small>|<before_big>\.|<before_digit>|(pt[ey]|co)\."), re.IGNORECASE)
LINE_BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
OTHER_SPACE = re.compile("[\t\u00a0\u2000-\u200a\u3000]")
LONE = re.compile("[\ud800-\udfff]")
ASTRAL_PART = re.compile("[\ud800-\udfff]")
ASTRAL = re.compile("[\U00010000-\U0010ffff]")
NEXT = "A"  # what stands for the next caption: in the reference's file its first word can decide
END = f"\n{NEXT}\n"
PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
SPLIT_WORDS = frozenset(["cannot", "gonna", "gotta", "lemme", "gimme", "wanna"])
SHORTER = {"-1": 1, "-2": 2, "-3": 3}
BRACKETS = dict(zip("(){}[]", ["-lrb-", "-rrb-", "-lcb-", "-rcb-", "-lsb-", "-rsb-"], strict=True))
FRACTIONS = {"\u00bc": "1/4", "\u00bd": "1/2", "\u00be": "3/4", "\u2153": "1/3", "\u2154": "2/3"}
CURRENCY = {"\u00a2": "cents", "\u00a3": "#", "\u00a4": "$", "\u0080": "$", "\u20a0": "$", "\u20ac": "$"}
QUOTES = {
    **dict.fromkeys("\u0091\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\u0092\u2019\u203a", "'"),
    **dict.fromkeys("\u0093\u201c\u00ab", "``"),
    **dict.fromkeys("\u0094\u201d\u00bb", "''"),
}
QUOTE_MARKS = str.maketrans(QUOTES)
ENTITY = re.compile("&(amp|apos|quot);", re.IGNORECASE)


def finish(raw: str, shape: str) -> list[str]:
    """The words that a token becomes: none for punctuation, several where it holds blanks."""
    word = shaped(raw, shape)
    if ASTRAL_PART.search(word):
        word = word.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    word = word.lower()
    return [] if word in PUNCTUATION else word.split()


def shaped(raw: str, shape: str) -> str:  # noqa: PLR0911
    """A token in the reference's spelling; shapes are listed in ``ptb_rules``."""
    if shape[:1] == "=":
        return shape[1:]
    if shape == "soft":
        return raw.replace("\u00ad", "") or "-"
    if shape in ("left", "right"):
        single, double = ("`", "``") if shape == "left" else ("'", "''")
        plain = ENTITY.sub(lambda found: "'" if found[1].lower() == "apos" else '"', raw)
        return plain.replace("'", single).replace('"', double).translate(QUOTE_MARKS)
    if shape == "amp":
        return ENTITY.sub("&", raw)
    if shape in ("bracket", "parens"):
        return "".join(BRACKETS.get(c, c) if shape == "bracket" or c in "()" else c for c in raw)
    if shape == "hyphens":
        return "--" if len(raw) in (3, 4) else raw
    return FRACTIONS.get(raw, CURRENCY.get(raw, raw))


def one_line(text: str) -> str:
    """A caption as one line that UTF-8 can hold: breaks of any kind are spaces, lone surrogates U+FFFD."""
    return LONE.sub("\ufffd", LINE_BREAKS.sub(" ", text))


def units(text: str) -> str:
    """Each character beyond the Basic Multilingual Plane as its two UTF-16 units."""
    return ASTRAL.sub(lambda found: chr(0xD7C0 + (ord(found[0]) >> 10)) + chr(0xDC00 + (ord(found[0]) & 0x3FF)), text)

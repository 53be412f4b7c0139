"""webmail.html.tokens is a shorter way to what bleach's own tokenizer would have found: never to anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from bleach.html5lib_shim import BleachHTMLParser, BleachHTMLTokenizer
from hypothesis import given
from hypothesis import strategies as st

from webmail import html
from webmail.html import tokens
from webmail.html.rules import TAGS
from webmail.html.tidy import Tidy

PARSE_ERROR = 7  # html5lib.constants.tokenTypes
HOSTILE = [
    line.replace("␀", "\0").replace("␤", "\n")
    for line in (Path(__file__).parent / "hostile_html.txt").read_text().splitlines()
    if line and not line.startswith("# ")
]
PIECES = [
    "<table>", "<tr>", "<td style='color:red;width:3px'>", "</td>", "</tr>", "</table>", "<p>", "</p>", "<b>", "</b>",
    "<a href='https://x.example/?a=1&b=2'>", "</a>", "words ", "  ", "\n", "\r\n", "\t", "\f", "&amp;", "&lt;b&gt;", "&nbsp;",
    "<img src='https://a.example/c.png' alt=\"q'<>\">", "<br/>", "<pre>", "\n\n", "</pre>", "<ul>", "<li>", "</ul>",
    "<style>p{color:blue} .a{margin:1px}</style>", "<div class=a>", "</div>", "é😀", "<font color='red\">'>", "</font>",
    "<blockquote>", "<h1>", "</h2>", "<select>", "<svg>", "<!-- c -->", "<script>", "</script>", "&", "<", '"', "'", "\0",
    "<td background='http://e.example/x'>", "<col>", "<p id=1 id=2>", "<s title=&lt;x>", "\ufffe", "<nobr>", "<caption>",
]  # fmt: skip
mail = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join)


def theirs(source: str) -> list[dict]:
    parser = BleachHTMLParser(TAGS, strip=True, consume_entities=False, namespaceHTMLElements=False)
    found = BleachHTMLTokenizer(stream=source, consume_entities=False, parser=parser)
    return [token for token in found if token["type"] != PARSE_ERROR]


@given(mail)
def test_the_tokens_are_those_that_bleach_would_read(source: str) -> None:
    tidy = Tidy(source).html
    found = tokens.tokens_of(tidy)
    assert found is None or found == theirs(tidy)


@given(
    st.lists(st.sampled_from([*'<>/="& \n\tab', "<b>", "</b>", '<p title="x">', "<x>", "<!--"]), max_size=30).map(
        "".join
    )
)
def test_so_they_are_of_html_that_tidy_never_wrote_unless_it_is_left_to_bleach(source: str) -> None:
    found = tokens.tokens_of(source)
    assert found is None or found == theirs(source)


@pytest.mark.parametrize(
    "source",
    [
        "<b", "<b >", "<b/>", "<B>", "<svg>", "</svg>", "<b title=x>", '<b title="x"title="y">',
        '<b title="x" title="y">', "<!-- -->", "a\0", "a\r",
    ],
)  # fmt: skip
def test_any_other_form_is_left_to_bleach(source: str) -> None:
    assert tokens.tokens_of(source) is None


def test_ordinary_mail_goes_the_short_way() -> None:
    letter = Tidy('<style>p{color:red}</style><table><tr><td width=3>a &amp; b<p>c<br>d<img src="cid:x" alt="é">').html
    assert tokens.tokens_of(letter)


@given(mail | st.sampled_from(HOSTILE))
def test_cleaning_gives_the_same_either_way(source: str) -> None:
    quick = html.clean(source, cid=lambda cid: f"/c/{cid}" if cid.isalnum() else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "tokens_of", lambda _html: None)
        assert quick == html.clean(source, cid=lambda cid: f"/c/{cid}" if cid.isalnum() else None)

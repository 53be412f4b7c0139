"""Plain text shown as HTML, HTML read as text, and the document around them."""

import re
import time

import pytest
from bleach._vendor.html5lib import HTMLParser
from hypothesis import given
from hypothesis import strategies as st

from webmail.html import document, html_to_text, text_to_html

REL = 'target="_blank" rel="noopener noreferrer nofollow"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a\nb", "a<br>b"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("see https://x.no/a.", f'see <a href="https://x.no/a" {REL}>https://x.no/a</a>.'),
        ("(www.x.no)", f'(<a href="https://www.x.no" {REL}>www.x.no</a>)'),
        ("https://x.no/a_(b)", f'<a href="https://x.no/a_(b)" {REL}>https://x.no/a_(b)</a>'),
        ("ola@x.no!", f'<a href="mailto:ola@x.no" {REL}>ola@x.no</a>!'),
        ("https://x/?a=1&b=2", f'<a href="https://x/?a=1&amp;b=2" {REL}>https://x/?a=1&amp;b=2</a>'),
        ('https://x/"onclick="1', f'<a href="https://x/" {REL}>https://x/</a>&quot;onclick=&quot;1'),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("> a\n>> b\nc", '<blockquote class="q1">a<blockquote class="q2">b</blockquote></blockquote>c'),
        ("a\n-- \nb\n-- \nc", 'a<div class="sig">-- <br>b<br>-- <br>c</div>'),
        ("a  b", "a  b"),
        ("", ""),
    ],
)
def test_plain_text_is_shown_as_it_is(text, html):
    assert text_to_html(text) == html


TOKENS = st.lists(
    st.sampled_from(
        [
            "<",
            ">",
            '"',
            "'",
            "&",
            "https://",
            "www.",
            "a@b.no",
            "javascript:",
            "\n",
            "> ",
            "-- \n",
            " ",
            "x",
            "&lt;",
            "]",
            "[1]:",
            "\u202e",
            "\x00",
            "<a href=",
            "=",
        ]
    ),
    max_size=30,
).map("".join)


@given(st.one_of(TOKENS, st.text()))
def test_no_text_makes_a_tag_that_is_not_ours(text):
    html = text_to_html(text)
    for tag in re.findall(r"<[^>]*>", html):
        assert re.fullmatch(
            r'<br>|</?blockquote>|<blockquote class="q[1-4]">|<div class="sig">|</div>|</a>'
            rf'|<a href="(?:https?://|mailto:)[^"<>]*" {REL}>',
            tag,
            re.IGNORECASE,
        )
    tree = HTMLParser(namespaceHTMLElements=False).parseFragment(html)
    shown = "".join(tree.itertext())
    wanted = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff\s>]", "", text)
    assert re.sub(r"[\s>\x00]", "", shown) == re.sub(r"\s", "", wanted)


@pytest.mark.parametrize(
    "unit", ["a", "@", "a@", "www.", "https://", ".", ">", "> \n", "(", "a@a.", "\t", "a.b", "https://a)"]
)
def test_no_text_takes_long(unit):
    start = time.process_time()
    text_to_html(unit * (1_000_000 // len(unit)))
    assert time.process_time() - start < 4


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b", "a\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a <b>b</b>c", "a bc"),
        ("<ul><li>a<li>b</ul>", "* a\n* b"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("x<blockquote>a<p>b</blockquote>y", "x\n\n> a\n>\n> b\n\ny"),
        ('<a href="https://x.no/a">here</a>', "here <https://x.no/a>"),
        ('<a href="https://x.no/">x.no</a>', "x.no"),
        ('<a href="mailto:a@b.no">a@b.no</a>', "a@b.no"),
        ("<style>p{}</style><script>x</script><title>t</title>a", "a"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ('<img src=x alt="Logo"> a', "Logo a"),
        ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
        ("  \n a \n\n b ", "a b"),
        ("", ""),
    ],
)
def test_html_reads_as_text(html, text):
    assert html_to_text(html) == text


@given(st.text())
def test_any_html_has_a_text(html):
    html_to_text(html).encode("utf-8")


def test_the_document_is_white_paper_for_html_and_dark_only_for_plain_text():
    paper = document("<p>x</p>", lang="no", plain=False, dark=True)
    assert paper.startswith('<!doctype html><html lang="no"><head><meta charset="utf-8">')
    assert "<p>x</p>" in paper
    assert "color-scheme:dark" not in paper
    assert "color-scheme:dark" in document("x", plain=True, dark=True)
    assert "<script" not in document("x", plain=True)
    assert 'lang="&quot;&gt;"' in document("x", lang='">', plain=True)

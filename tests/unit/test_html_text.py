"""Plain text shown as HTML, HTML read as text, and the document around them."""

import re
import sys
import time

import pytest
from bleach._vendor.html5lib import HTMLParser
from django.utils import translation
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
            r"|</?details>|<details class=\"quote\">|</?summary>"
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


def test_the_document_is_told_its_readers_theme():
    page = document("<p>x</p>", lang="no", plain=False, theme="system")
    assert page.startswith('<!doctype html><html lang="no"><head><meta charset="utf-8">')
    assert '<div id="message" dir="auto"><p>x</p></div>' in page
    assert ":root{color-scheme:light dark}" in page
    for plain in (True, False):
        assert ":root{color-scheme:only light}" in document("x", plain=plain)
        assert ":root{color-scheme:only dark}" in document("x", plain=plain, theme="dark")
        assert ":root{color-scheme:only light}" in document("x", plain=plain, theme="dark", original=True)
    assert "<script" not in document("x", plain=True)
    assert 'lang="&quot;&gt;"' in document("x", lang='">', plain=True)


def test_what_a_cleaned_message_declares_counts_and_what_a_plain_text_says_does_not():
    declared = '<div class="body light">x</div>'
    assert ":root{color-scheme:only light}" in document(declared, plain=False, theme="dark")
    assert ":root{color-scheme:only dark}" in document(declared, plain=True, theme="dark")
    assert ":root{color-scheme:only dark}" in document('<div class="body dark">x</div>', plain=False, theme="light")


def test_the_words_for_a_folded_quote_are_the_readers_and_cannot_end_the_style():
    with translation.override("nb"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["webmail.html.document"], "_", lambda text: f'</style>"{text}ø')
        page = document("x", plain=False)
    assert page.count("</style>") == 1
    assert "\\f8 " in page


# --- folding plain text -------------------------------------------------------------------------------------------

SAID = "\n".join(f"> line {number} of what was said before" for number in range(20))
FOLD = '<details class="quote"><summary>Quoted text</summary>'


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        (f"Agreed.\n\nOn Monday Ola wrote:\n{SAID}", f"Agreed.<br>{FOLD}On Monday Ola wrote:<blockquote", "</details>"),
        (f"Agreed.\nOn Monday Ola\n<ola@x.no> wrote:\n{SAID}", f"Agreed.{FOLD}On Monday Ola<br>&lt;<a", "</details>"),
        (f"Ola wrote:\n{SAID}\n\nAgreed.", f"{FOLD}Ola wrote:<blockquote", "</details><br>Agreed."),
        (f"Agreed.\n{SAID}\n-- \nKari", f"Agreed.{FOLD}<blockquote", '</details><div class="sig">-- <br>Kari</div>'),
        (f"Agreed.\n-- \nKari\n{SAID}", f'Agreed.<div class="sig">-- <br>Kari</div>{FOLD}<blockquote', "</details>"),
    ],
    ids=["behind", "broken line", "before", "signed below", "signed above"],
)
def test_a_long_quote_in_plain_text_is_folded(text, start, end):
    html = text_to_html(text)
    assert html.startswith(start)
    assert html.endswith(end)
    assert html.count("<details") == html.count("</details>") == 1


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        f"Ola wrote:\n{SAID}\n",
        f"Yes.\n{SAID}\nNo.\n{SAID}\nMaybe.",
        f"Before.\n{SAID}\nBehind.",
        "Yes.\n> Lunch?",
    ],
    ids=["only a quote", "only an attributed quote", "point by point", "words on both sides", "short"],
)
def test_plain_text_that_is_to_be_read_is_not_folded(text):
    assert "<details" not in text_to_html(text)


@given(
    st.lists(st.sampled_from([SAID, "Words.", "Ola wrote:", "<a@b.no> wrote:", "-- ", "", "> > deeper"]), max_size=8)
)
def test_folding_plain_text_loses_no_line_and_balances(pieces):
    text = "\n".join(pieces)
    html = text_to_html(text)
    for tag in ("details", "div", "blockquote"):
        assert html.count(f"<{tag}") == html.count(f"</{tag}>")
    shown = (
        re.sub("<[^>]*>", "", html.replace("<summary>Quoted text</summary>", ""))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
    )
    assert re.sub(r"[\s>]", "", shown) == re.sub(r"[\s>]", "", text)

"""Hostile HTML, by attack class, and the laws of what comes out of cleaning it."""

import re
import time
from pathlib import Path

import pytest
from bleach._vendor.html5lib import HTMLParser
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.html import Cleaned, clean
from webmail.html.css import clean_style
from webmail.html.rules import ALLOWED, TAGS

PNG = "data:image/png;base64,iVBORw0KGgo="


def cleaned(source: str, **more) -> Cleaned:
    return clean(source, cid=lambda name: f"/parts/{name}" if name == "known@x" else None, **more)


def offences(html: str) -> list[str]:
    """What a browser would find in it that is not allowed, seen by a parser that cleaned nothing."""
    found = []
    for node in HTMLParser(namespaceHTMLElements=False).parseFragment(html).iter():
        if not isinstance(node.tag, str) or node.tag == "DOCUMENT_FRAGMENT":
            continue
        if node.tag not in TAGS:
            found.append(node.tag)
        for name, value in node.attrib.items():
            if name not in ALLOWED.get(node.tag, ()) and not (node.tag == "a" and name in ("target", "rel")):
                found.append(f"{node.tag} {name}")
            if name == "href" and not re.match(r"(?:https?://|mailto:|tel:)", value):
                found.append(value)
            if name == "src" and not value.startswith((PNG, "/parts/known@x", "/proxy?")):
                found.append(value)
            if name == "style" and clean_style(value) != value:
                found.append(value)
    return found


CORPUS = (Path(__file__).parent / "hostile_html.txt").read_text(encoding="utf-8")
HOSTILE = [
    line.replace("␀", "\0").replace("␤", "\n") for line in CORPUS.splitlines() if line and not line.startswith("#")
]


@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_of_hostile_html_survives(source):
    for prefix, suffix in (
        ("", ""),
        ("<p>before ", " after</p>"),
        ("<table><tr><td>", "</table>"),
        ("<b title='", "'>"),
    ):
        html = cleaned(prefix + source + suffix).html
        assert offences(html) == []
        tags = "".join(re.findall(r"<[^>]*>", re.sub(r'(?:alt|title|href)="[^"]*"', "", html)))
        assert "evil" not in tags


def test_remote_images_are_blocked_in_place_and_listed():
    found = cleaned(
        '<img src="http://a/x?a=1&amp;b=2" alt="A" width=10><img src=//b/y><td background=https://c/z>'
        "<img src=http://a/x?a=1&b=2>"
    )
    assert found.html == '<img alt="A" width="10"><img><img>'
    assert set(found.remote) == {"http://a/x?a=1&b=2", "https://b/y", "https://c/z"}


def test_all_that_would_load_is_listed():
    found = cleaned(
        "<style>p{background:url(http://a/css)}</style><video poster=http://a/poster>"
        "<img srcset='http://a/1 1x, http://a/2 2x'>"
        "<input type=image src=http://a/input><p style='background:url(\"http://a/style\")'>x"
    )
    names = {"css", "poster", "1", "2", "input", "style"}
    assert set(found.remote) == {f"http://a/{name}" for name in names}


def test_remote_images_come_through_the_proxy_when_allowed():
    found = cleaned('<img src="http://a/x?a=1&copy=2">', remote=lambda url: "/proxy?u=" + url)
    assert found.html == '<img src="/proxy?u=http://a/x?a=1&amp;copy=2">'
    assert found.remote == ()


def test_an_image_that_the_proxy_refuses_is_listed():
    found = cleaned("<img src=http://a/x alt=A>", remote=lambda url: None)
    assert found.html == '<img alt="A">'
    assert found.remote == ("http://a/x",)


def test_images_in_the_message_are_shown():
    assert cleaned("<img src='CID:known@x'>").html == '<img src="/parts/known@x">'
    assert cleaned("<img src='cid:known%40x'>").html == '<img src="/parts/known@x">'
    assert cleaned(f"<img src='{PNG}'>").html == f'<img src="{PNG}">'
    assert cleaned(f"<img src='{PNG}{'A' * 300_000}'>").html == "<img>"


def test_links_open_elsewhere_and_tell_nothing():
    rel = 'target="_blank" rel="noopener noreferrer nofollow"'
    assert cleaned("<a href='HTTPS://x.no/?a&amp;b=\"'>x</a>").html == f"<a {rel}>x</a>"
    html = cleaned("<a href='https://x.no/?a&amp;b' target=_top>x</a>").html
    assert html == f'<a href="https://x.no/?a&amp;b" {rel}>x</a>'
    assert cleaned("<a href='mailto:a@b.no'>x</a>").html == f'<a href="mailto:a@b.no" {rel}>x</a>'


def test_rules_of_style_elements_are_inlined():
    found = cleaned("<style>.a{color:red} td{padding:3px}</style><table><td class=a style='margin:1px'>x</table>")
    assert found.html.count("<td style=") == 1
    for declaration in ("color:red", "padding:3px", "margin:1px"):
        assert declaration in found.html
    assert "class" not in found.html


def test_the_looks_of_ordinary_mail_stay():
    source = (
        "<table width=600 align=center bgcolor='#ffffff' cellpadding=0><tr>"
        "<td valign=top style=\"font:bold 14px/20px 'Open Sans',Arial;background:#EEE;border:1px solid rgba(0,0,0,.1);"
        'text-align:center;max-width:100%">'
        "<font color=red face=Arial>Hi</font>"
    )
    html = cleaned(source).html
    for piece in (
        'width="600"', 'align="center"', 'bgcolor="#ffffff"', "bold 14px/20px 'Open Sans',Arial",
        "background-color:#EEE",
        "border:1px solid rgba(0,0,0,0.1)", "max-width:100%", '<font color="red" face="Arial">Hi</font>',
    ):  # fmt: skip
        assert piece in html


@pytest.mark.parametrize(
    ("style", "result"),
    [
        ("color:red", "color:red"),
        ("COLOR : Red !important;", "color:Red"),
        ("color:red;color:url(x);width:1px", "color:red;width:1px"),
        ("background:#fff url(http://x) no-repeat", "background-color:#fff"),
        ("width:calc(1px + 2px)", ""),
        ("margin:-10px", "margin:-10px"),
        ("margin:-1000px", ""),
        ("width:1e9px", ""),
        ("width:1xx", ""),
        ("display:flex", ""),
        ("display:none", "display:none"),
        ("font-family:'a;b'", ""),
        ("mso-line-height-rule:exactly;line-height:20px", "line-height:20px"),
        ("color:red" + ";color:red" * 1000, ""),
        ("", ""),
        ("}{;:", ""),
    ],
)
def test_styles_are_judged_declaration_by_declaration(style, result):
    assert clean_style(style) == result


def test_broken_html_reads_like_it_was_meant():
    assert cleaned("<b>a<i>b</b>c").html == "<b>a<i>b</i></b>c"
    assert cleaned("<ul><li>a<li>b</ul>").html == "<ul><li>a</li><li>b</li></ul>"
    assert cleaned("<table><tr><td>a<td>b<tr><td>c</table>d").html.count("<td>") == 3
    assert cleaned("1 < 2 && 3 > 2").html == "1 &lt; 2 &amp;&amp; 3 &gt; 2"
    assert cleaned("a &copy; &#229; &nope; b").text == "a © å &nope; b"


BOMBS = [
    "<div>" * 300_000,
    "<b>" * 300_000,
    "<table><tr><td>" * 50_000,
    "<ul><li>" * 50_000,
    "<p><font>" * 50_000,
    "".join(f"<font size={n}>" for n in range(20_000)) + "<p>x" * 20_000,
    "<a href=x><b><table>" * 20_000,
    "<" * 500_000,
    "<a " * 200_000,
    '<a "' * 200_000,
    "<a '" + '<a ">' * 100_000,
    "<!--" * 200_000,
    "<!-" * 200_000,
    "</p>" * 100_000,
    "</div" * 100_000,
    "<style>" + "a,b{c:d}" * 50_000 + "</style>" + "<p>x" * 10_000,
    "<p style='" + "color:red;" * 100_000 + "'>",
    "<p " + "a=b " * 200_000 + ">",
    "&" * 500_000,
    "<svg>" * 100_000,
    "<p style='" + "(" * 4_000 + "'>",
    "<p style='" + "{[(" * 1_300 + "'>",
    "<style>" + "a{" * 100_000,
    "<style>" + "(" * 200_000 + "</style><p>x",
    "<p>x" * 10 + "<style>" + ":not(" * 50_000 + "</style><p>x",
    "<style>" + "a " * 100_000 + "{color:red}</style><p>x",
    "<img src=cid:" + "a" * 500_000 + ">",
]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:12])
def test_no_html_takes_long(bomb):
    start = time.process_time()
    cleaned(bomb)
    assert time.process_time() - start < 8  # quadratic would be minutes


TOKENS = (
    "<p>", "</p>", "<b>", "</b>", "<i>", '<a href="https://x.y/?a=1&b=2">', "</a>", "<table>", "<tr>", "<td>", "</td>",
    "</table>", "<svg>", "</svg>", "<math>", "<style>", "</style>", "<script>", "</script>", "<!--", "-->", "<![CDATA[",
    "]]>", "<noscript>", "</noscript>", "<template>", "<plaintext>", "<li>", "<ul>", "</ul>", "<pre>", "</pre>", "<hr>",
    '<font color="red">', "<select>", "<option>", '<p style="color:red;width:1px">', '<img src="http://e/x">', "</br>",
    "<img src=x onerror=1>", '<div title="<b>">', '"', "'", "<", ">", "&", "&lt;", "&amp;lt;", "=", "x", "é", "/",
    "<br>", "<form>", "</form>",
    "<h1>", "<caption>", "<col>", "<colgroup>", "<tbody>", "<textarea>", "</textarea>", "<title>",
    "<mglyph>", "<annotation-xml>", "<button>", "<nobr>", "<rp>", "<ruby>", "<dd>", " ", "\n", "\x00", "\u2028",
    "\ud800",
)  # fmt: skip
PIECES = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)


@given(PIECES)
@settings(max_examples=300)
def test_what_comes_out_is_allowed_and_cleaning_it_again_changes_nothing(source):
    once = cleaned(source)
    assert offences(once.html) == []
    assert cleaned(once.html).html == once.html
    once.text.encode("utf-8")


@given(st.text())
def test_any_text_can_be_cleaned(source):
    assert offences(cleaned(source).html) == []

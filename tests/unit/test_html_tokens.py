"""webmail.html.tokens and webmail.html.tree are shorter ways to what bleach itself would have found: never to anything
else. They lean on what bleach does not promise, so a bleach that has changed fails here first."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from xml.etree.ElementTree import tostring

import nh3
import pytest
from bleach._vendor.html5lib.treebuilders.base import TreeBuilder
from bleach.html5lib_shim import BleachHTMLParser, BleachHTMLTokenizer
from bleach.sanitizer import BleachSanitizerFilter, Cleaner
from hypothesis import given
from hypothesis import strategies as st

from webmail import html
from webmail.html import tokens
from webmail.html.css import StyleRules
from webmail.html.rules import ALLOWED, SCHEMES, TAGS, show_escaped
from webmail.html.tidy import Tidy
from webmail.html.tokens import Parser
from webmail.html.tree import Writer

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


def ours(source: str) -> list[dict] | None:
    try:
        return list(tokens.tokens_of(source))
    except tokens.AnotherFormError:
        return None


@given(mail)
def test_the_tokens_are_those_that_bleach_would_read(source: str) -> None:
    tidy = Tidy(source).html
    found = ours(tidy)
    assert found is None or found == theirs(tidy)


@given(
    st.lists(st.sampled_from([*'<>/="& \n\tab', "<b>", "</b>", '<p title="x">', "<x>", "<!--"]), max_size=30).map(
        "".join
    )
)
def test_so_they_are_of_html_that_tidy_never_wrote_unless_it_is_left_to_bleach(source: str) -> None:
    found = ours(source)
    assert found is None or found == theirs(source)


@pytest.mark.parametrize(
    "source",
    [
        "<b", "<b >", "<b/>", "<B>", "<svg>", "</svg>", "<b title=x>", '<b title="x"title="y">',
        '<b title="x" title="y">', "<!-- -->", "a\0", "a\r",
    ],
)  # fmt: skip
def test_any_other_form_is_left_to_bleach(source: str) -> None:
    assert ours(source) is None


def test_ordinary_mail_goes_the_short_way() -> None:
    letter = Tidy('<style>p{color:red}</style><table><tr><td width=3>a &amp; b<p>c<br>d<img src="cid:x" alt="é">').html
    assert ours(letter)


@given(mail | st.sampled_from(HOSTILE))
def test_cleaning_gives_the_same_either_way(source: str) -> None:
    quick = html.clean(source, cid=lambda cid: f"/c/{cid}" if cid.isalnum() else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "tokens_of", refuse)
        assert quick == html.clean(source, cid=lambda cid: f"/c/{cid}" if cid.isalnum() else None)


def refuse(_html: str) -> None:
    raise tokens.AnotherFormError


def bleached(source: str) -> str:
    """By bleach as it comes: its tokenizer, walker and serializer."""
    cleaner = Cleaner(
        tags=TAGS,
        attributes=lambda tag, name, _value: name in ALLOWED[tag],
        protocols=SCHEMES | {"cid", "data"},
        strip=True,
        css_sanitizer=StyleRules(),
    )
    return read_again(show_escaped(cleaner.clean(source)))


def written(source: str) -> str:
    return read_again(Writer({}).write(Parser().fragment(source)))


def read_again(html: str) -> str:
    """Both as one parser reads them, so that how something is escaped makes no difference."""
    attributes = {tag: set(names) for tag, names in ALLOWED.items()}
    return nh3.clean(
        html, tags=set(TAGS), attributes=attributes, url_schemes={"https", "http", "cid"}, link_rel=None
    ).replace(' style=""', "")


@given(mail | st.sampled_from(HOSTILE))
def test_what_is_written_is_what_bleach_would_have_written(source: str) -> None:
    tidy = Tidy(source).html
    if not _COLOURED.search(tidy):  # these attributes we write as declarations, which bleach would not
        assert written(tidy) == bleached(tidy)


_COLOURED = re.compile(" (?:bgcolor|color|text)=")


@given(mail | st.sampled_from(HOSTILE))
def test_the_tree_is_the_one_that_bleach_would_build(source: str) -> None:
    tidy = Tidy(source).html
    theirs = BleachHTMLParser(TAGS, strip=True, consume_entities=False, namespaceHTMLElements=False).parseFragment(tidy)
    assert tostring(Parser().fragment(tidy)) == tostring(theirs)


def test_bleach_still_has_what_is_built_upon() -> None:
    expected = {
        BleachHTMLParser._parse: ["self", "stream", "innerHTML", "container", "scripting", "kwargs"],
        BleachHTMLParser.reset: ["self"],
        TreeBuilder.getFragment: ["self"],
        BleachSanitizerFilter.allow_token: ["self", "token"],
        BleachSanitizerFilter.sanitize_characters: ["self", "token"],
        BleachSanitizerFilter.sanitize_uri_value: ["self", "value", "allowed_protocols"],
    }
    assert {what: [*inspect.signature(what).parameters] for what in expected} == expected
    node = Parser().tree.elementClass("p")
    assert (node._childNodes, node.parent, node._element.tag) == ([], None, "p")


@pytest.mark.parametrize(
    "url",
    ["https://x.no/a", "https://x.no/a:b@c", "http://x.no?[", "https://x.no#]", "https://[x.no/", "https://x.no:99999/",
     "javascript:alert(1)//x.no/", "https:x.no/", "data:text/html,x"],
)  # fmt: skip
def test_a_url_is_judged_by_its_origin_as_bleach_judges_the_whole(url: str) -> None:
    rules = Writer({}).rules
    for _twice in range(2):
        found = rules.sanitize_uri_value(url, rules.allowed_protocols)
        assert found == BleachSanitizerFilter.sanitize_uri_value(rules, url, rules.allowed_protocols)

"""Untrusted HTML -> HTML that may be shown in the body document. Layer two of the wall; the frame and its policy are
layer one.

    tidy        bounds and balances (webmail.html.tidy)
    css-inline  rules of <style> into style attributes (webmail.html.sheet)
    html5lib    a tree, in which quotes are folded (webmail.html.quotes)
    bleach      tags, attributes, values of CSS; images and links rewritten (webmail.html.tree, webmail.html.remote)
    nh3         html5ever's tree; the same lists again. Nothing edits what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import nh3

from webmail.html import quotes, sheet
from webmail.html import remote as remotely
from webmail.html.remote import LINK, RASTER, Pictures
from webmail.html.rules import ALLOWED, DROPPED, OURS, REL, SCHEMES, TAGS
from webmail.html.text import tagged_to_text
from webmail.html.tidy import Tidy, tidied
from webmail.html.tokens import Parser
from webmail.html.tree import Writer


@dataclass(frozen=True)
class Cleaned:
    """``html`` safe for the body document; ``remote`` the http(s) URLs that were kept from loading, each once, in the
    order of the message, and ``trackers`` how many of those are there only to be asked for; ``deceptive`` the text and
    the host of links whose text names another host; ``tracked_by`` the hosts of the trackers, each once."""

    html: str
    remote: tuple[str, ...] = ()
    trackers: int = 0
    deceptive: tuple[tuple[str, str], ...] = ()
    tracked_by: tuple[str, ...] = ()

    @cached_property
    def text(self) -> str:
        """The same as plain text; 4 ms of 100 kB, for whoever needs it."""
        return tagged_to_text(self.html)


def clean(
    source: str, *, cid: Callable[[str], str | None], remote: Callable[[str], str | None] | None = None
) -> Cleaned:
    """Clean one text/html part. ``cid`` maps a Content-ID to a URL of ours, or None if there is no such part.
    ``remote`` maps an http(s) URL of an image to a URL of our proxy; None keeps all remote images out. Trackers stay out
    in any case.

    Never raises on any text. About 30 ms for a newsletter of 100 kB; bounded by the names in webmail.html.rules."""
    tidy = tidied(source)
    pictures = Pictures(cid, remote)
    for value in [*tidy.loads, *sheet.pictures_of(tidy.css)]:
        pictures.blocked(value)
    body, html = tidy.body, tidy.html
    if tidy.css:
        body, html = sheet.inlined(tidy.css, body, html, tidy.elements, tidy.depth)
    scheme = _scheme(tidy)
    if body or scheme:
        html = f"<div{body}>{html}</div>"
    root = Parser().fragment(html)
    if quotes.may_be_in(tidy.source):
        quotes.fold(root)
    html = Writer({"img": pictures.change, "a": remotely.link}).write(root)
    if body or scheme:
        html = f'<div class="body{scheme}"{html.removeprefix("<div")}'
    html = _gate(html, pictures)
    tracking = [url for url, tracker in pictures.listed.items() if tracker]
    hosts = tuple(dict.fromkeys(map(remotely.host_of, tracking)))
    return Cleaned(html, tuple(pictures.listed), len(tracking), remotely.deceptive_links(html), hosts)


def _scheme(tidy: Tidy) -> str:
    """The class for what the message declares about light and dark: made for the dark alone, or not to be changed for it
    (CSS Color Adjust 1 §2.2). One that claims to be made for both is adapted like any other, as the rules that make it so
    are in a @media that is left out."""
    words = frozenset((tidy.scheme or sheet.scheme_of(tidy.css)).split())
    if words >= {"only", "light"}:
        return " light"
    return " dark" if "dark" in words and "light" not in words else ""


def _gate(html: str, pictures: Pictures) -> str:
    """The last word. Its own parser, the same lists, and every URL and style looked at once more."""

    def check(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return value if is_plain(value) else None
        if name == "href":
            return value if LINK.fullmatch(value) else None
        if name == "src":
            return value if value in pictures.ours or RASTER.fullmatch(value) else None
        if name == "class":
            return value if value in OURS.get(tag, ()) else None
        return value if name != "face" or FACE.fullmatch(value) else None

    return nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED,
        attributes=_ATTRIBUTES,
        attribute_filter=check,
        strip_comments=True,
        link_rel=REL,
        set_tag_attribute_values={"a": {"target": "_blank"}},
        url_schemes=_SCHEMES,
    )


_TAGS, _DROPPED, _SCHEMES = {*TAGS, *OURS}, set(DROPPED), set(SCHEMES | {"data"})
_ATTRIBUTES = {tag: set(names) for tag, names in ALLOWED.items()} | {
    tag: {"class", *ALLOWED.get(tag, ())} for tag in OURS
}
FACE = re.compile(r"[\w ,.'\"-]{1,200}")
_SUSPECT = re.compile(r"[\\@<{}]|url|expression|var\(|import|binding|behaviou?r", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_plain(style: str) -> bool:
    return _SUSPECT.search(style) is None

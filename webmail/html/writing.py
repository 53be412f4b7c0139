"""Rich text that a person writes, and what they quote in it -> HTML that goes into a message.

What comes from the editor is as untrusted as what comes by mail: it holds quoted mail, and any program can post a form.
Colours stay as they are written, unlike in what ``clean`` makes for readers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from html import escape
from urllib.parse import unquote

import nh3

from webmail.html import sheet
from webmail.html.css import PROPERTIES
from webmail.html.remote import LINK, RASTER
from webmail.html.rules import ALLOWED, DROPPED, MAX_DATA_URL, TAGS, show_escaped
from webmail.html.sanitise import FACE, is_plain
from webmail.html.text import text_to_html
from webmail.html.tidy import Tidy

QUOTED_SHARE = 0.9  # of the bounds, for what is quoted
MAX_CID = 120  # characters
_REMOTE = re.compile(r"https?://[^\s\"'<>]{1,2000}", re.IGNORECASE)
_CID = re.compile(r"cid:([!-;=?-~]{1,255})", re.IGNORECASE)
_ID = re.compile(r"[!-;=?-~]{1,255}")  # of a part: what can stand in its header (RFC 5322 §3.6.4, loosely)
_TINY = re.compile(r'<img(?=[^>]*\s(?:width|height)="[01](?:px)?")[^>]*>')  # asks to be told of, and shows nothing
_PROPERTIES = set(PROPERTIES) - {"opacity", "visibility", "float", "overflow"} | {"background"}
_FUNCTION = re.compile(r"([\w-]*)\s*\(")
_COLOURS = {"rgb", "rgba", "hsl", "hsla"}  # the functions that load nothing
_HUGE = re.compile(r"(?<![#\w])\d{5,}|\de\+?\d", re.IGNORECASE)  # the numbers: a newsletter is 600 px wide
_ATTRIBUTES = {tag: set(names) for tag, names in ALLOWED.items()} | {"blockquote": {*ALLOWED["blockquote"], "type"}}
_SOURCE = re.compile(r'(<img\b[^>]*?\ssrc=")cid:([^"]+)(")')


class TooMuch(ValueError):
    """What was written is over the bounds of what is read (rules.py): some of it would be lost."""


def written(source: str, picture: Callable[[str], str | None] | None = None, whole: bool = False) -> str:
    """Clean what was written. An image is shown from a ``cid:``, an http(s) or a data URL; of other addresses ``picture``
    gives the Content-ID, and None lets the image go. What is over the bounds is cut, with some room left to write around
    it; of a ``whole`` text it raises TooMuch instead."""
    tidy = Tidy(source, 1 if whole else QUOTED_SHARE)
    if whole and tidy.cut:
        raise TooMuch
    html = tidy.html
    if tidy.css:
        _body, html = sheet.inlined(tidy.css, tidy.body, html, tidy.elements, tidy.depth)

    def check(tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return _style(value)
        if name == "href":
            return value if LINK.fullmatch(value) else None
        if name == "src":
            return _source(value, picture)
        return value if name != "face" or FACE.fullmatch(value) else None

    html = nh3.clean(
        show_escaped(html), tags=set(TAGS), clean_content_tags=set(DROPPED), attributes=_ATTRIBUTES, attribute_filter=check,
        filter_style_properties=_PROPERTIES, strip_comments=True, link_rel=None,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"}, url_relative="pass_through",
    )  # fmt: skip
    return _TINY.sub("", html)


def _style(value: str) -> str | None:
    """The declarations that load nothing and blow nothing up; None if there is none."""
    kept = (part for part in value.split(";") if part.strip() and is_plain(part) and _calls(part) <= _COLOURS)
    return ";".join(part for part in kept if not _HUGE.search(part)) or None


def _calls(declaration: str) -> set[str]:
    return {name.lower() for name in _FUNCTION.findall(declaration)}


def _source(value: str, picture: Callable[[str], str | None] | None) -> str | None:
    value = value.strip()
    if value[:4].lower() == "cid:":
        if _CID.fullmatch(value) and _id(value[4:]) == unquote(value[4:]):
            return value
        named = _id(value[4:])
        return f"cid:{named}" if named else None
    if _REMOTE.fullmatch(value) or (len(value) <= MAX_DATA_URL and RASTER.fullmatch(value)):
        return value
    cid = picture(value) if picture else None
    return f"cid:{cid}" if cid else None


def cids(html: str) -> list[str]:
    """Content-IDs of the pictures that ``written`` HTML shows, each once."""
    return list(dict.fromkeys(filter(None, (_id(quoted) for _start, quoted, _end in _SOURCE.findall(html)))))


def _id(quoted: str) -> str:
    """The Content-ID that a ``cid:`` names (RFC 2392 §2); "" for one that nothing can have, which mail can name too."""
    return content_id(unquote(quoted))


def content_id(named: str) -> str:
    """By which a draft knows a part that has this one: the same where it can be written, else one made of it; "" for what is
    none."""
    cid = named.strip("<> ")
    if len(cid) <= MAX_CID and _ID.fullmatch(cid):
        return cid
    if not cid or " " in cid or not cid.isprintable():
        return ""
    return f"{hashlib.sha256(cid[:255].encode()).hexdigest()[:32]}@inline"


def with_sources(html: str, address: Callable[[str], str | None]) -> str:
    """``written`` HTML as the editor shows it: pictures from where ``address`` says that the one with a Content-ID is."""

    def replaced(match: re.Match[str]) -> str:
        cid = _id(match[2])
        url = address(cid) if cid else None
        return f"{match[1]}{escape(url)}{match[3]}" if url else match[0]

    return _SOURCE.sub(replaced, html)


def paragraphs(text: str) -> str:
    """Plain text as rich text: a block for each line, as editors have them; quotes stay marked."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "".join(f"<div>{escape(line) or '<br>'}</div>" for line in lines)


def quoted(html: str) -> str:
    return f'<blockquote type="cite" style="margin:0 0 0 .8ex;border-left:1px solid #ccc;padding-left:1ex">{html}</blockquote>'


def quoted_text(text: str) -> str:
    """Plain mail in a rich quote."""
    return quoted(written(text_to_html(text)))

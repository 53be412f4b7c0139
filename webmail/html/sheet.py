"""Style sheets of mail: what of them goes into style attributes, by css-inline, before anything is cleaned.

Only plain rules go there. What is for a phone, for paper or for the dark (@media), loads (@import, @font-face) or moves
(@keyframes) is left out, and so are selectors that css-inline tries in quadratic time (siblings far
apart, :has() and :not() with those in them): twenty of these on 9,000 elements took it 5 s."""

from __future__ import annotations

import re
from collections.abc import Iterable

import css_inline

from webmail.html.css import MAX_DECLARATION, PROPERTIES
from webmail.html.rules import MAX_CSS, MAX_MATCHES
from webmail.html.tidy import css_urls

MAX_RULES = 4_000
MAX_INLINED = 40_000_000  # characters of style attributes that may come of it
MAX_SELECTOR = 1_000  # characters, lists included
# A comment, a string or a brace; an unclosed comment or string is eaten once, so that this is linear.
_PIECE = re.compile(r"""/\*(?:.*?\*/|.*+)|"(?:[^"\\\n]++|\\.)*+"?|'(?:[^'\\\n]++|\\.)*+'?|[{}]""", re.DOTALL)
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*+)|<!--|-->", re.DOTALL)
_SELECTOR = re.compile(
    r"""(?:[\w\-.#*,\s>+|\\]++|\[\s*[\w-]+\s*(?:[~^$*|]?=\s*(?:"[^"\\]*"|'[^'\\]*'|[\w-]+)\s*i?\s*)?\]"""
    r"|::?[\w-]++(?!\()|:nth(?:-last)?-(?:child|of-type)\([\w\s+-]*\)|:not\([\w.#:-]+\))+"
)
_AROUND, _COMBINED = re.compile(r" ?([>+,]) ?"), re.compile(r"[ >+]")
# Media that hold for a reading pane. Columns are often told only for windows wider than a phone (0 to 640 pixels here);
# the document stacks them on one.
_PANE = re.compile(
    r"(?:(?:only )?(?:all|screen))?(?:(?: and )?\( ?min-(?:device-)?width ?: ?(?:\d{1,2}|[1-5]\d\d|6[0-3]\d|640)px ?\))?"
)
_SCHEME = re.compile(r"(?:^|[;{\s])color-scheme\s*:\s*([a-z ]+)", re.IGNORECASE)
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_link_tags=False)
_ATTRIBUTES = r'(?: [a-z]+="[^"]*")*+'
_WRAPPED = re.compile(
    rf"<html{_ATTRIBUTES}><head{_ATTRIBUTES}></head><body({_ATTRIBUTES})>(.*)</body></html>", re.DOTALL
)


def rules_of(css: str) -> list[tuple[str, str]]:
    """(selector, declarations) of the rules that may be inlined, in order."""
    found: list[tuple[str, str]] = []
    css = _COMMENT.sub(" ", css[:MAX_CSS]) + "}"  # the end of a sheet ends what is open
    depth = counted = 0  # open blocks; how many of them, from outside, are @media that hold
    at, selector = 0, ""
    for match in _PIECE.finditer(css):
        if match[0] == "{":
            prelude = _prelude(css[at : match.start()])
            selector = prelude if depth == counted else ""  # a rule within a rule undoes both
            if depth == counted and _counts(prelude):
                counted += 1
            depth += 1
        elif match[0] == "}":
            if depth == counted + 1 and _is_plain(selector) and len(found) < MAX_RULES:
                found.append((_AROUND.sub(r"\1", " ".join(selector.split())), css[at : match.start()].strip()))
            depth, selector = max(depth - 1, 0), ""
            counted = min(counted, depth)
        else:
            continue
        at = match.end()
    return found


def _prelude(text: str) -> str:
    """What stands before a block, without the statements before it (``@import …;``)."""
    return text[text.rfind(";") + 1 :].strip()


def _counts(prelude: str) -> bool:
    return prelude[:6].lower() == "@media" and any(
        _PANE.fullmatch(" ".join(query.split()).lower()) for query in prelude[6:].split(",")
    )


def _is_plain(selector: str) -> bool:
    return 0 < len(selector) <= MAX_SELECTOR and _SELECTOR.fullmatch(selector) is not None


def _tries(selector: str, depth: int) -> int:
    """How often css-inline may have to compare for one element, at the worst: a descendant is looked for all the way
    up, for each compound anew; a sibling costs it thrice as much as an ancestor."""
    parts = selector.split(",")
    return sum((1 + sum(map(part.count, " >+++"))) * (depth if " " in part else 1) for part in parts)


_NAMES = PROPERTIES | {"background"}


def _kept(declarations: str) -> list[str]:
    """Those that might stay in a style attribute, by their names; what they say is judged there."""
    return [
        part
        for part in declarations.split(";")
        if len(part) <= MAX_DECLARATION
        and (name := part.partition(":")[0].strip().lower()) in _NAMES
        and name != part
        and part.count('"') % 2 == part.count("'") % 2 == 0
    ]


def _most(rules: Iterable[list[str]]) -> int:
    """Characters of the longest style attribute that can come of these: one declaration of each name."""
    longest: dict[str, int] = {}
    for declarations in rules:
        for part in declarations:
            name = part.partition(":")[0].strip().lower()
            longest[name] = max(longest.get(name, 0), len(part))
    return sum(longest.values())


def inlined(css: str, body: str, html: str, elements: int, depth: int) -> tuple[str, str]:
    """The attributes of <body> and the HTML in it, with the style sheet's rules in style attributes; with those of one
    compound only, or as they were, if the rest would take long: mail is made to be readable without."""
    rules = [(selector, kept) for selector, declarations in rules_of(css) if (kept := _kept(declarations))]
    if sum(_tries(selector, depth) for selector, _ in rules) * elements > MAX_MATCHES:
        rules = [(selector, kept) for selector, kept in rules if not _COMBINED.search(selector)]
    tries = sum(_tries(selector, depth) for selector, _ in rules) * elements
    if not rules or tries > MAX_MATCHES or _most(kept for _, kept in rules) * elements > MAX_INLINED:
        return body, html
    sheet = "\n".join(f"{selector}{{{';'.join(kept)}}}" for selector, kept in rules)
    if "</" in sheet:  # it would end the element early
        return body, html
    try:
        whole = _INLINER.inline(f"<html><head><style>{sheet}</style></head><body{body}>{html}</body></html>")
    except (css_inline.InlineError, ValueError):
        return body, html
    found = _WRAPPED.fullmatch(whole)
    return (found[1], found[2].replace("&nbsp;", "\xa0")) if found else (body, html)


_NO_PICTURES = re.compile(r"@font-face[^{}]*+\{[^}]*+|@import[^;{}]*+|@namespace[^;{}]*+", re.IGNORECASE)


def pictures_of(css: str) -> list[str]:
    """What it would have loaded that a reader could have seen."""
    return css_urls(_NO_PICTURES.sub("", css))


def scheme_of(css: str) -> str:
    """What ``color-scheme`` says for the whole page (CSS Color Adjust 1 §2.2); "" if nothing."""
    for selector, declarations in rules_of(css) if "color-scheme" in css.lower() else ():
        if selector.lower() in (":root", "html", "body") and (found := _SCHEME.search(declarations)):
            return found[1].strip().lower()
    return ""

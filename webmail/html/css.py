"""Declarations of style attributes: a property and value allowlist. No value can load, execute, cover or escape.

A declaration is short and repeated hundreds of times in a newsletter, so each is judged once and remembered."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape

import tinycss2
from bleach.css_sanitizer import CSSSanitizer

from webmail.html import colours
from webmail.html.rules import show

MAX_STYLE = 4_096  # characters of one style attribute
MAX_DECLARATION = 300  # characters of one declaration; font lists are the longest
MAX_NUMBER = 10_000  # of any unit; a newsletter is 600 px wide
LEAST_NUMBER = -200  # negative margins and indents, within reason: text pushed out of sight is cloaking

# "background" is read too, for its colour alone.
PROPERTIES = frozenset(
    {
        "background-color", "border", "border-bottom", "border-bottom-color", "border-bottom-left-radius",
        "border-bottom-right-radius", "border-bottom-style", "border-bottom-width", "border-collapse",
        "border-color", "border-left", "border-left-color", "border-left-style", "border-left-width",
        "border-radius", "border-right", "border-right-color", "border-right-style", "border-right-width",
        "border-spacing", "border-style", "border-top", "border-top-color", "border-top-left-radius",
        "border-top-right-radius", "border-top-style", "border-top-width", "border-width", "box-sizing",
        "caption-side", "clear", "color", "direction", "display", "empty-cells", "float", "font", "font-family",
        "font-size", "font-stretch", "font-style", "font-variant", "font-weight", "height", "letter-spacing",
        "line-height", "list-style", "list-style-position", "list-style-type", "margin", "margin-bottom",
        "margin-left", "margin-right", "margin-top", "max-height", "max-width", "min-height", "min-width",
        "object-fit", "opacity", "overflow", "overflow-wrap", "padding", "padding-bottom", "padding-left",
        "padding-right", "padding-top", "table-layout", "text-align", "text-align-last", "text-decoration",
        "text-decoration-color", "text-decoration-line", "text-decoration-style", "text-indent",
        "text-overflow", "text-transform", "unicode-bidi", "vertical-align", "visibility", "white-space",
        "width", "word-break", "word-spacing", "word-wrap",
    }
)  # fmt: skip
# No "vh": the frame is made as high as what is in it, which would grow with the frame without end.
_UNITS = frozenset({"px", "pt", "pc", "em", "rem", "ex", "ch", "cm", "mm", "in", "vw"})
_RELATIVE = frozenset({"em", "rem", "ex", "ch"})
MAX_RELATIVE = 100  # of those: they multiply where they are nested
_IDENT = re.compile(r"-?[A-Za-z][A-Za-z0-9-]{0,40}")
_FONT = re.compile(r"[A-Za-z0-9 ._-]{1,80}")
# Fonts and grids of tables in, dialogs and layers out.
_DISPLAY = frozenset(
    {
        "none", "block", "inline", "inline-block", "list-item", "table", "inline-table", "table-row",
        "table-cell", "table-row-group", "table-header-group", "table-footer-group", "table-column",
        "table-column-group", "table-caption",
    }
)  # fmt: skip


class StyleRules(CSSSanitizer):
    """What bleach asks about every style attribute."""

    def sanitize_css(self, style: str) -> str:
        # bleach leaves character references in attribute values as they are.
        return clean_style(show(unescape(style) if "&" in style else style))


@lru_cache(maxsize=4096)
def clean_style(style: str) -> str:
    """The declarations that are allowed, as ``name:value;name:value``; "" if none, or if it is too long."""
    if len(style) > MAX_STYLE:
        return ""
    if any(char in style for char in "\\\"'(/{}[]@<"):
        nodes = tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True)
        judged = [_judge(node) for node in nodes]
    else:
        # Nothing in it can hide a semicolon: each declaration can be looked up by itself.
        judged = [_declaration(part) for part in style.split(";")]
    # "!important" is not carried over, as nothing of ours may be overruled; that it wins over the rest here is.
    return ";".join([text for text, last in judged if text and not last] + [text for text, last in judged if last])


@lru_cache(maxsize=8192)
def _declaration(text: str) -> tuple[str, bool]:
    return _judge(tinycss2.parse_one_declaration(text, skip_comments=True))


def _judge(node) -> tuple[str, bool]:
    """``name:value`` and whether it was marked important."""
    text = _written(node.lower_name, node.value) if node.type == "declaration" else ""
    return text, bool(text) and node.important


def _written(name: str, tokens: list) -> str:
    """Written anew from the tokens, never copied from the source; "" if anything in it is not allowed."""
    if name == "background":
        found = [text for text in (_colour(name, token) for token in tokens) if text]
        return f"background-color:{found[0]}" if len(found) == 1 else ""
    if name not in PROPERTIES or len(tokens) > 60:
        return ""
    parts = [_value(name, token) for token in tokens if token.type != "whitespace"]
    if None in parts:
        return ""
    # Apart even where they stood together ("+1+2"), lest two be read as one.
    value = " ".join(part for part in parts if part is not None).replace(" , ", ",").replace(" / ", "/")
    if not value or len(value) > MAX_DECLARATION or (name == "display" and value not in _DISPLAY):
        return ""
    return f"{name}:{value}"


def _value(name: str, token) -> str | None:
    """One component value as safe text, or None."""
    kind = token.type
    if kind == "ident":
        return _colour(name, token) or (token.value if _IDENT.fullmatch(token.value) else None)
    if kind == "literal":
        return token.value if token.value in (",", "/") else None
    if kind in ("number", "dimension", "percentage"):
        return _number(token)
    if kind == "string":
        return f"'{token.value}'" if name in ("font", "font-family") and _FONT.fullmatch(token.value) else None
    return _colour(name, token) or None


def _colour(name: str, token) -> str:
    role = colours.role_of(name)
    return colours.value_of(token, role) if role else ""


def _number(token) -> str | None:
    if not LEAST_NUMBER <= token.value <= MAX_NUMBER:
        return None
    if token.type == "dimension" and token.lower_unit in _RELATIVE and token.value > MAX_RELATIVE:
        return None
    number = f"{token.value:.4f}".rstrip("0").rstrip(".") or "0"
    if token.type == "percentage":
        return number + "%"
    if token.type == "number":
        return number
    return number + token.lower_unit if token.lower_unit in _UNITS else None

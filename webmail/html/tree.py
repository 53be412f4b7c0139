"""html5lib's tree to HTML again, by bleach's rules. Each kind of start tag is judged once: the cells of a newsletter are
alike, and judging them one by one, with bleach's own walker and serializer, took 20 ms of 100 kB (here: 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from typing import Any
from xml.etree.ElementTree import Element

from bleach.sanitizer import INVISIBLE_CHARACTERS_RE, BleachSanitizerFilter

from webmail.html import colours
from webmail.html.css import StyleRules
from webmail.html.quotes import FOLD
from webmail.html.rules import ALLOWED, SCHEMES, TAGS, VOID, show, show_escaped

# Attributes that colour, and as what: they become declarations of the style attribute, behind which they stand (HTML §15.2).
_COLOURED = {"bgcolor": "background-color", "color": "color", "text": "color"}
_MARKS = re.compile(f"[&<>]|{INVISIBLE_CHARACTERS_RE.pattern}")
Change = Callable[[dict[str, str]], bool]


class Writer:
    """``changes`` see the attributes of the elements of a name before bleach judges them (the style has been), alter
    them in place, and say whether the element stays."""

    def __init__(self, changes: dict[str, Change]) -> None:
        self.changes = changes
        self.starts: dict[tuple, str] = {}
        self.rules = _Rules(
            source=(),
            allowed_tags=TAGS,
            attributes=_is_allowed,
            allowed_protocols=SCHEMES | {"cid", "data"},
            strip_disallowed_tags=True,
            strip_html_comments=True,
            css_sanitizer=StyleRules(),
        )

    def write(self, root: Element) -> str:
        """What is in ``root``."""
        out = [self.text(root.text)]
        open_: list[tuple[Iterator[Element], str]] = [(iter(root), "")]
        while open_:
            children, end = open_[-1]
            for child in children:
                start, close = self.tags(child)
                out.append(start)
                if child.text and isinstance(child.tag, str):
                    out.append(self.text(child.text))
                if child.tail:
                    close += self.text(child.tail)
                if len(child):
                    open_.append((iter(child), close))
                    break
                out.append(close)
            else:
                open_.pop()
                out.append(end)
        return show_escaped("".join(out))

    def tags(self, element: Element) -> tuple[str, str]:
        name = element.tag
        if name == FOLD:
            return '<details class="quote"><summary></summary>', "</details>"
        if name not in TAGS:
            return "", ""
        key = (name, *element.attrib.items())
        start = self.starts.get(key)
        if start is None:
            start = self.starts[key] = self.start(name, element.attrib)
        return start, "" if name in VOID else f"</{name}>"

    def start(self, name: str, attributes: dict[str, str]) -> str:
        attributes = _coloured(attributes)
        if "style" in attributes:
            attributes["style"] = self.rules.css_sanitizer.sanitize_css(attributes["style"])
        if name in self.changes and not self.changes[name](attributes):
            return ""
        data = {(None, key): value for key, value in attributes.items() if value or key != "style"}
        kept = self.rules.allow_token({"type": "StartTag", "name": name, "data": data})["data"]
        written = {key: value for (_, key), value in kept.items()}
        if name == "img" and (shape := _shape(written)):
            written["style"] = f"{written['style']};{shape}" if written.get("style") else shape
        return "".join((f"<{name}", *(f' {key}="{_attribute(value)}"' for key, value in written.items()), ">"))

    def text(self, text: str | None) -> str:
        """tidy leaves no markup in text, css-inline writes references."""
        if not text or _MARKS.search(text) is None:
            return _breakable(text or "")
        tokens = self.rules.sanitize_characters({"type": "Characters", "data": text})
        return _breakable(
            "".join(
                f"&{token['name']};" if token["type"] == "Entity" else escape(token["data"], quote=False)
                for token in (tokens if isinstance(tokens, list) else [tokens])
            )
        )


_LONG = re.compile(r"(?:&#?\w{1,31};|[!-%'-;=?-~\u00a1-\u024f]){30}(?=[^\s<]{8})")


def _breakable(text: str) -> str:
    """Addresses and the like may go on in the next line. A style that says so of all words would let a table break each
    of them letter by letter."""
    return _LONG.sub(r"\g<0><wbr>", text) if len(text) > 37 else text


class _Rules(BleachSanitizerFilter):
    """bleach's, which judges a URL by its scheme and its host: those of one origin are judged once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.origins: dict[str, bool] = {}

    def sanitize_uri_value(self, value: str, allowed_protocols: frozenset[str]) -> str | None:
        found = _ORIGIN.match(value)
        if found is None:
            return super().sanitize_uri_value(value, allowed_protocols)
        fine = self.origins.get(found[0])
        if fine is None:
            fine = self.origins[found[0]] = super().sanitize_uri_value(found[0], allowed_protocols) is not None
        return value if fine else None


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?=[/?#])")


_HUGE = re.compile(r"\d{5}")  # pixels of an attribute, as MAX_NUMBER of CSS
_SIZES = frozenset({"border", "cellpadding", "cellspacing", "height", "hspace", "size", "vspace", "width"})


def _is_allowed(tag: str, name: str, value: str) -> bool:
    return name in ALLOWED[tag] and not (name in _SIZES and _HUGE.search(value))


def _coloured(attributes: dict[str, str]) -> dict[str, str]:
    if _COLOURED.keys().isdisjoint(attributes):
        return dict(attributes)
    found = {
        _COLOURED[key]: colour
        for key in _COLOURED.keys() & attributes.keys()
        if (colour := colours.legacy(decoded(attributes[key])))
    }
    rest = {key: value for key, value in attributes.items() if key not in _COLOURED}
    if found:
        style = "".join(f"{name}:{value};" for name, value in sorted(found.items()))
        rest["style"] = style + rest.get("style", "")
    return rest


_HAS_HEIGHT = re.compile(r"(?:^|;)height:")
_PIXELS = re.compile(r"[1-9]\d{0,3}(?:px)?")


def _shape(attributes: dict[str, str]) -> str:
    """The style for an image whose attributes say what shape it is shown in, whatever the shape of the picture: the body
    document lets images shrink to the pane, and a line of 600 by 1 drawn with one dot must not become 600 by 600."""
    width, height = attributes.get("width", "").strip(), attributes.get("height", "").strip()
    if _HAS_HEIGHT.search(attributes.get("style", "")) or not _PIXELS.fullmatch(height):
        return ""
    return f"aspect-ratio:{_dots(width)}/{_dots(height)}" if _PIXELS.fullmatch(width) else f"height:{_dots(height)}px"


def _dots(pixels: str) -> str:
    return pixels.removesuffix("px")


def _attribute(value: str) -> str:
    return value.replace('"', "&quot;").replace("<", "&lt;") if '"' in value or "<" in value else value


def decoded(value: str) -> str:
    """What tidy wrote, read. css-inline may have written references anew."""
    return show(unescape(value) if "&" in value else value)

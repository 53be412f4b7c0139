"""What may stay in HTML mail: the one list that every stage goes by, and its bounds."""

from __future__ import annotations

MAX_SOURCE = 2_000_000  # characters of HTML that are read; Gmail shows 102,000
MAX_ELEMENTS = 10_000  # start tags; later ones are dropped, their text stays
MAX_DEPTH = (
    200  # open elements; deeper start tags are dropped. nh3 is quadratic in depth, css-inline overflows the stack
)
MAX_MARKS = 100_000  # of "&", "<" and ">" in text; later ones are dropped: nh3 joins such text in quadratic time
MAX_ATTRIBUTE = 4_096  # characters of a value; a longer one is dropped
MAX_DATA_URL = 256 * 1024  # characters of one data: image
MAX_REMOTE = 1_000  # remote URLs that are listed
MAX_CSS = 256 * 1024  # characters of <style> in all
MAX_MATCHES = 100_000_000  # comparisons that css-inline may have to make, at the worst; about 2 s

TAGS = frozenset(
    {
        "a", "abbr", "acronym", "address", "article", "aside", "b", "bdi", "bdo", "big", "blockquote", "br", "caption",
        "center", "cite", "code", "col", "colgroup", "dd", "del", "dfn", "dir", "div", "dl", "dt", "em", "figcaption",
        "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins", "kbd", "li",
        "main", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "samp", "section", "small", "span", "strike",
        "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "time", "tr", "tt", "u", "ul", "var",
        "wbr",
    }
)  # fmt: skip
VOID = frozenset({"br", "col", "hr", "img", "wbr"})
# Their content is no text of the message, or is parsed by other rules than the rest: it goes with them.
DROPPED = frozenset(
    {
        "applet", "canvas", "datalist", "embed", "frameset", "iframe", "math", "noembed", "noframes", "noscript",
        "object", "plaintext", "script", "select", "style", "svg", "template", "textarea", "title", "xmp",
    }
)  # fmt: skip

_CELL = {"align", "valign", "width", "height", "bgcolor", "colspan", "rowspan", "nowrap"}
ATTRIBUTES: dict[str, set[str]] = {
    "*": {"style", "dir", "lang", "title", "align"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height", "border", "hspace", "vspace"},
    "table": {"width", "height", "border", "cellpadding", "cellspacing", "bgcolor", "summary"},
    "td": _CELL | {"scope"},
    "th": _CELL | {"scope"},
    "tr": {"valign", "height", "bgcolor"},
    "tbody": {"valign"}, "thead": {"valign"}, "tfoot": {"valign"},
    "col": {"span", "width", "valign"}, "colgroup": {"span", "width", "valign"},
    "font": {"color", "face", "size"},
    "hr": {"width", "size", "noshade", "color"},
    "ol": {"start", "type", "reversed"}, "ul": {"type"}, "li": {"value", "type"},
    "br": {"clear"}, "time": {"datetime"}, "del": {"datetime"}, "ins": {"datetime"},
}  # fmt: skip
BODY = frozenset({"style", "bgcolor", "text", "dir", "lang"})  # it becomes a <div>
ALLOWED = {tag: frozenset(ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set())) for tag in TAGS}
# Elements of our own and their classes: a message has no <details>, and none of its classes is kept.
OURS: dict[str, frozenset[str]] = {
    "details": frozenset({"quote"}),
    "summary": frozenset(),
    "div": frozenset({"body", "body light", "body dark"}),
}
SCHEMES = frozenset({"http", "https", "mailto", "tel"})
REL = "noopener noreferrer nofollow"
# Attributes that would load something, on whatever element: never kept (but for img src), listed if remote.
LOADING = frozenset({"background", "data", "dynsrc", "lowsrc", "poster", "src", "srcset", "imagesrcset"})

# Between tidy and what writes the tree behind bleach, the four characters of markup travel as these (noncharacters, taken
# out of the source first): html5lib builds text with many references in quadratic time, and bleach does not decode them.
HIDDEN = {"&": "\ufdd0", "<": "\ufdd1", ">": "\ufdd2", '"': "\ufdd3"}


def hide(text: str) -> str:
    for char, hidden in HIDDEN.items():
        text = text.replace(char, hidden)
    return text


def show(text: str) -> str:
    if not text.isascii():
        for char, hidden in HIDDEN.items():
            text = text.replace(hidden, char)
    return text


def show_escaped(html: str) -> str:
    """Ten times as fast as str.translate() on 100 kB."""
    for char, reference in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        html = html.replace(HIDDEN[char], reference)
    return html

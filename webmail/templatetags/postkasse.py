"""What templates need and Django has not: icons, sizes of files, pieces that are rendered once."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from django import template
from django.template.base import TextNode
from django.templatetags.static import static
from django.utils import translation
from django.utils.formats import number_format

register = template.Library()
SPRITE = "img/sprite.svg"


@register.tag
def icon(parser: template.base.Parser, token: template.base.Token) -> TextNode:
    """``{% icon inbox %}`` or ``{% icon inbox s flip %}``: a picture of the sprite, with further classes.

    It becomes plain text when the template is compiled, so that a page full of icons costs nothing to render."""
    _tag, name, *classes = token.split_contents()
    shape = f"i-{name}" if not name.startswith("glyph") else name
    css = " ".join(["glyph" if name.startswith("glyph") else "i", *classes])
    box = ' viewBox="0 0 20 20"' if name.startswith("glyph") else ""
    return TextNode(f'<svg class="{css}"{box} aria-hidden="true"><use href="{static(SPRITE)}#{shape}"/></svg>')


@register.simple_tag
def sprite() -> str:
    return static(SPRITE)


@register.filter
def octets(size: int) -> str:
    """A file size as people say it: 512 B, 84 kB, 1.2 MB."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)):
        if size >= factor:
            return f"{number_format(size / factor, 1 if size < 10 * factor and unit != 'kB' else 0)} {unit}"
    return f"{size} B"


REMEMBERED = 5_000  # pieces of pages in each process, most of them rows of about 1.5 kB


class Remembered(template.Node):
    """``{% remembered row in_trash %}…{% endremembered %}``: rendered once for each value of what it names.

    What stands between must depend on nothing but the named values, which are hashable, and the language."""

    def __init__(self, nodes: template.NodeList, values: list[template.base.FilterExpression]) -> None:
        self.nodes, self.values = nodes, values
        self.child_nodelists = ("nodes",)

    def render(self, context: template.Context) -> str:
        key = (self, translation.get_language(), *[value.resolve(context) for value in self.values])
        text = _pieces.get(key)
        if text is None:
            text = self.nodes.render(context)
            with _forgetting:
                while len(_pieces) >= REMEMBERED:
                    del _pieces[next(iter(_pieces))]
                _pieces[key] = text
        return text


_pieces: dict[tuple[Hashable, ...], str] = {}
_forgetting = threading.Lock()


@register.tag
def remembered(parser: template.base.Parser, token: template.base.Token) -> Remembered:
    _tag, *values = token.split_contents()
    nodes = parser.parse(("endremembered",))
    parser.delete_first_token()
    return Remembered(nodes, [parser.compile_filter(value) for value in values])

"""What templates need and Django has not: icons, sizes of files, pieces that are rendered once."""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable
from functools import lru_cache
from html import escape
from operator import attrgetter
from typing import Any, cast

from django import template
from django.template.base import TextNode, render_value_in_context
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as django_url
from django.templatetags.i18n import BlockTranslateNode, TranslateNode, do_block_translate, do_translate
from django.templatetags.static import static
from django.urls import get_script_prefix, reverse
from django.utils import translation
from django.utils.formats import number_format

from webmail.html import Marked

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


class Address(URLNode):
    """Django's ``{% url %}``, which finds the same address anew each time; a page asks for some fifty."""

    def render(self, context: template.Context) -> str:
        if self.kwargs or self.asvar:
            return str(super().render(context))
        name, args = self.view_name.resolve(context), tuple(arg.resolve(context) for arg in self.args)
        return _address(get_script_prefix(), name, args)


@lru_cache(maxsize=10_000)
def _address(_prefix: str, name: str, args: tuple[Any, ...]) -> str:
    return escape(reverse(name, args=args))


@register.tag
def url(parser: template.base.Parser, token: template.base.Token) -> Address:
    node = django_url(parser, token)
    return Address(node.view_name, node.args, node.kwargs, node.asvar)


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


REMEMBERED = 2_000  # pieces of pages in each process
PLACE = re.compile("\x00([0-9]+)\x00")  # of a slot in a piece


class Words(TranslateNode):
    """Django's ``{% translate %}``, which looks each text up again; a page has some hundred."""

    def __init__(self, node: TranslateNode) -> None:
        vars(self).update(vars(node))
        variable = node.filter_expression.var
        self.constant = not node.message_context and not node.filter_expression.filters and variable.literal is not None
        self.texts: dict[str | None, str] = {}

    def render(self, context: template.Context) -> str:
        if not self.constant:
            return str(super().render(context))
        language = translation.get_language()
        if language not in self.texts:
            shown = super().render(context)
            self.texts[language] = context[self.asvar] if self.asvar else shown
        if not self.asvar:
            return self.texts[language]
        context[self.asvar] = self.texts[language]
        return ""


@register.tag("translate")
def words(parser: template.base.Parser, token: template.base.Token) -> Words:
    return Words(do_translate(parser, token))


class Sentence(BlockTranslateNode):
    """Django's ``{% blocktranslate %}``, which puts its text together and looks it up again each time; one that counts is
    left to it."""

    def __init__(self, node: BlockTranslateNode) -> None:
        vars(self).update(vars(node))
        self.constant = not (node.plural or node.message_context or node.asvar)
        self.texts: dict[str | None, tuple[str, list[str]]] = {}

    def render(self, context: template.Context, nested: bool = False) -> str:
        if not self.constant:
            return str(super().render(context, nested))
        language = translation.get_language()
        if language not in self.texts:
            shown = super().render(
                context, nested
            )  # a translation that names another value is left out of account there
            text, names = self.render_token_list(self.singular)
            translated = translation.gettext(text)
            try:
                _filled = translated % dict.fromkeys(names, "")
            except (KeyError, ValueError):
                return str(shown)
            self.texts[language] = translated, names
        text, names = self.texts[language]
        given = self.extra_context
        values = {name: given[name].resolve(context) if name in given else context.get(name, "") for name in names}
        return text % {name: render_value_in_context(value, context) for name, value in values.items()}


@register.tag("blocktranslate")
def sentence(parser: template.base.Parser, token: template.base.Token) -> Sentence:
    return Sentence(do_block_translate(parser, token))


class Slot(template.Node):
    """``{% slot row.subject %}`` in a remembered piece: an attribute of something in the context, printed anew each time
    as text, unless it was made safe."""

    def __init__(self, name: str, attribute: str) -> None:
        self.name, self.attribute, self.number = name, attribute, 0

    def render(self, context: template.Context) -> str:
        return f"\x00{self.number}\x00"


class SlotAddress(Slot):
    """``{% slot_url "source" message.pk %}``: the address of a view of something with a number, which is the slot."""

    def __init__(self, view: str, name: str, attribute: str) -> None:
        super().__init__(name, attribute)
        self.view = view

    def render(self, context: template.Context) -> str:
        return escape(reverse(self.view, args=[0])).replace("/0/", f"/{super().render(context)}/")


class Remembered(template.Node):
    """``{% remembered row.look in_trash %}…{% endremembered %}``: rendered once for each value of what it names.

    What stands between must depend on nothing but the named values, which are hashable, and the language, except for its
    slots, which are all of one thing. Conditions and loops around a slot are part of the piece."""

    def __init__(self, nodes: template.NodeList, values: list[template.base.FilterExpression]) -> None:
        self.nodes, self.values = nodes, values
        self.child_nodelists = ("nodes",)
        slots = cast(list[Slot], nodes.get_nodes_by_type(Slot))
        attributes = list(dict.fromkeys(slot.attribute for slot in slots))
        for slot in slots:
            slot.number = attributes.index(slot.attribute)
        self.filler = slots[0].name if slots else ""
        self.texts_of = attrgetter(*attributes, "__class__") if slots else None  # with two or more it gives a tuple

    def render(self, context: template.Context) -> str:
        key = (self, translation.get_language(), *[value.resolve(context) for value in self.values])
        piece = _pieces.get(key)
        if piece is None:
            piece = self._piece(self.nodes.render(context))
            with _forgetting:
                while len(_pieces) >= REMEMBERED:
                    del _pieces[next(iter(_pieces))]
                _pieces[key] = piece
        texts, places = piece
        if self.texts_of is None:
            return texts[0]
        values = [
            value if type(value) is Marked else escape(str(value)) for value in self.texts_of(context[self.filler])[:-1]
        ]
        filled = texts.copy()
        filled[1::2] = [values[place] for place in places]
        return "".join(filled)

    def _piece(self, text: str) -> Piece:
        texts = PLACE.split(text) if self.texts_of else [text]
        return texts, [int(place) for place in texts[1::2]]


Piece = tuple[list[str], list[int]]  # texts with a gap for a slot between each two; which slot is in each gap
_pieces: dict[tuple[Hashable, ...], Piece] = {}
_forgetting = threading.Lock()


@register.tag
def remembered(parser: template.base.Parser, token: template.base.Token) -> Remembered:
    _tag, *values = token.split_contents()
    nodes = parser.parse(("endremembered",))
    parser.delete_first_token()
    return Remembered(nodes, [parser.compile_filter(value) for value in values])


@register.tag
def slot_url(parser: template.base.Parser, token: template.base.Token) -> SlotAddress:
    _tag, view, value = token.split_contents()
    name, _dot, attribute = value.partition(".")
    return SlotAddress(view.strip('"'), name, attribute)


@register.tag
def slot(parser: template.base.Parser, token: template.base.Token) -> Slot:
    _tag, value = token.split_contents()
    name, _dot, attribute = value.partition(".")
    return Slot(name, attribute)

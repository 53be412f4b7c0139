"""No template prints in a ``{% remembered %}`` piece what the piece is not remembered by: it would be shown to others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template import Engine, engines
from django.template.base import FilterExpression, Node, NodeList, Template, Token, TokenType, Variable
from django.template.defaulttags import CsrfTokenNode, ForNode, URLNode, WithNode
from django.template.library import SimpleNode
from django.template.loader_tags import IncludeNode
from django.template.smartif import TokenBase
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from webmail.templatetags.postkasse import Remembered

TEMPLATES = Path(settings.BASE_DIR) / "templates"
SAME_FOR_ALL = {"sprite_url"}  # webmail.context
Names = frozenset[str]


def engine() -> Engine:
    return engines["django"].engine  # type: ignore[attr-defined]


def parts(value: Any) -> Iterator[Any]:
    """What a node holds that is a node or an expression, however it is wrapped."""
    if isinstance(value, Node | FilterExpression | Variable | Token):
        yield value
    elif isinstance(value, TokenBase):
        yield from parts([value.value, value.first, value.second])
    elif isinstance(value, dict):
        yield from parts(list(value.values()))
    elif isinstance(value, list | tuple | NodeList):
        for one in value:
            yield from parts(one)


def uses(value: Any, bound: Names = frozenset(), within: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted names that rendering looks up in the context from outside of ``value``."""
    if isinstance(value, Variable):
        if value.lookups and value.lookups[0] not in bound:
            yield ".".join(value.lookups)
    elif isinstance(value, FilterExpression):
        yield from uses(value.var, bound)
        for _function, arguments in value.filters:
            for _is_variable, argument in arguments:
                yield from uses(argument, bound)
    elif isinstance(value, Token):
        name = value.contents.split("|")[0]
        if value.token_type == TokenType.VAR and name.split(".")[0] not in bound:
            yield name
    elif isinstance(value, Node):
        yield from of_node(value, bound, within)
    else:
        yield from of_all(value, bound, within)


def of_all(value: Any, bound: Names, within: tuple[str, ...]) -> Iterator[str]:
    """In the order of the page: what one node names is known to those after it."""
    for part in parts(value):
        yield from uses(part, bound, within)
        name = getattr(part, "asvar", None) or getattr(part, "target_var", None)
        bound |= {name} if name else set()


def of_node(node: Node, bound: Names, within: tuple[str, ...]) -> Iterator[str]:
    if isinstance(node, CsrfTokenNode):
        yield "csrf_token"
    if isinstance(node, SimpleNode) and node.takes_context:
        yield "everything"
    inside = set(bound)
    for attribute in ("extra_context", "countervar"):
        named = getattr(node, attribute, None)
        inside |= set(named) if isinstance(named, dict) else {named} if isinstance(named, str) else set()
    if isinstance(node, ForNode):
        inside |= {*node.loopvars, "forloop"}
    for attribute, value in vars(node).items():
        of_outside = attribute in ("extra_context", "sequence", "counter")
        if isinstance(node, WithNode | IncludeNode | BlockTranslateNode | ForNode) and not of_outside:
            yield from of_all(value, frozenset(inside), within)
        elif attribute not in ("token", "origin"):
            yield from of_all(value, bound, within)
    if isinstance(node, IncludeNode):
        name = node.template.var
        assert isinstance(name, str), "which template is included must be written out"
        if name not in within:
            yield from of_all(engine().get_template(name).nodelist, frozenset(inside), (*within, name))


def fixed(template: Template) -> set[str]:
    """What is named once at the top of a template and is the same for all who have the same language."""
    texts = {node.asvar for node in template.nodelist.get_nodes_by_type(TranslateNode) if not list(uses(node))}  # type: ignore[attr-defined]
    urls = {node.asvar for node in template.nodelist.get_nodes_by_type(URLNode) if not list(uses(node))}  # type: ignore[attr-defined]
    return (texts | urls) - {None}


def not_in_key(template: Template) -> set[str]:
    found = set()
    for piece in template.nodelist.get_nodes_by_type(Remembered):
        assert isinstance(piece, Remembered)
        keys = {name for value in piece.values for name in uses(value)}
        for name in uses(piece.nodes, frozenset(fixed(template) | SAME_FOR_ALL)):
            if not any(name == key or name.startswith(f"{key}.") for key in keys):
                found.add(name)
    return found


@pytest.mark.parametrize("name", sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")))
def test_a_remembered_piece_prints_only_what_it_is_remembered_by(name: str) -> None:
    template = engine().get_template(name)
    assert not_in_key(template) == set()
    written = (TEMPLATES / name).read_text().count("{% remembered")
    assert len(template.nodelist.get_nodes_by_type(Remembered)) == written, "some are not looked at"


@pytest.mark.parametrize(
    ("inside", "missing"),
    [
        ("{{ user.address }}", {"user.address"}),
        ("{{ row.subject }}{{ row.seen|yesno:user.words }}", {"user.words"}),
        ("{% csrf_token %}", {"csrf_token"}),
        ("{% if row.seen and nav.unread %}{% endif %}", {"nav.unread"}),
        ("{% for a, b in row.people %}{{ a }}{{ b.c }}{{ forloop.last }}{{ c }}{% endfor %}", {"c"}),
        ("{% for a in people %}{{ a }}{% endfor %}", {"people"}),
        ("{% with n=row.n m=total %}{{ n }}{{ m }}{% endwith %}", {"total"}),
        ("{% blocktranslate with n=row.n %}{{ n }} of {{ total }}{% endblocktranslate %}", {"total"}),
        ("{% blocktranslate count n=total %}{{ n }}{% plural %}{{ n }}{{ x }}{% endblocktranslate %}", {"total", "x"}),
        ('{% translate "Star" as t %}{{ t }}{% url "folder" row.pk as u %}{{ u }}{% url "folder" pk %}', {"pk"}),
        ('{% include "webmail/tree.html" with entries=row.entries %}', set()),
        ('{% include "webmail/tree.html" %}', {"entries"}),
        ("{% remembered other %}{% endremembered %}", {"other"}),
    ],
)
def test_what_is_missing_in_a_key_is_found(inside: str, missing: set[str]) -> None:
    source = "{% load postkasse i18n %}{% remembered row %}" + inside + "{% endremembered %}"
    assert not_in_key(engine().from_string(source)) == missing

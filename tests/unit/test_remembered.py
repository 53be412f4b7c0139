"""``{% remembered %}``: pieces of pages that are rendered once for each value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.template import Context, Template
from django.utils import translation

from webmail.templatetags import postkasse

SOURCE = '{% load postkasse i18n %}{% remembered row %}<b title="{% translate "Starred" %}">{{ row }}{{ count }}</b>{% endremembered %}'


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    postkasse._pieces.clear()
    yield
    postkasse._pieces.clear()


@dataclass
class Counter:
    times: int = 0

    def __str__(self) -> str:
        self.times += 1
        return ""


def test_the_same_value_is_rendered_once() -> None:
    template, counter = Template(SOURCE), Counter()
    pages = {template.render(Context({"row": "one", "count": counter})) for _page in range(3)}
    assert (len(pages), counter.times) == (1, 1)


def test_another_value_and_another_language_are_pieces_of_their_own() -> None:
    template = Template(SOURCE)
    with translation.override("en"):
        assert [template.render(Context({"row": row})) for row in ("1", "2")] == [
            '<b title="Starred">1</b>', '<b title="Starred">2</b>',
        ]  # fmt: skip
    with translation.override("nb"):
        assert template.render(Context({"row": "1"})) != '<b title="Starred">1</b>'


def test_what_it_prints_is_escaped_each_time() -> None:
    template = Template(SOURCE)
    for _time in range(2):
        assert "&lt;script&gt;" in template.render(Context({"row": "<script>"}))


def test_no_more_than_so_many_pieces_are_kept_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postkasse, "REMEMBERED", 3)
    template = Template(SOURCE)
    for row in "12345":
        template.render(Context({"row": row}))
    assert [key[2] for key in postkasse._pieces] == ["3", "4", "5"]


ROWS = """{% load postkasse %}{% for row in rows %}{% remembered row.look %}<li class="{{ row.look }}">{% slot row.who %}: \
{% if row.look == "unread" %}<b>{% slot row.subject %}</b>{% else %}{% slot row.subject %}{% endif %} {% slot row.who %}</li>
{% endremembered %}{% endfor %}"""


@dataclass
class Letter:
    look: str
    who: str
    subject: str


def test_slots_are_printed_anew_each_time_where_the_piece_has_them() -> None:
    rows = [Letter("unread", "Ada", "One"), Letter("read", "Bob", "Two"), Letter("unread", "Eve", "Three")]
    assert Template(ROWS).render(Context({"rows": rows})).split("\n")[:3] == [
        '<li class="unread">Ada: <b>One</b> Ada</li>', '<li class="read">Bob: Two Bob</li>',
        '<li class="unread">Eve: <b>Three</b> Eve</li>',
    ]  # fmt: skip
    assert len(postkasse._pieces) == 2


def test_what_stands_in_a_slot_is_escaped_and_never_taken_for_a_slot() -> None:
    hostile = "<script>\x000\x00"
    text = Template(ROWS).render(Context({"rows": [Letter("read", hostile, hostile)] * 2}))
    assert text.count("&lt;script&gt;\x000\x00") == 6
    assert "<script>" not in text


@pytest.mark.parametrize(
    "source",
    [
        "{% blocktranslate with name=person.name %}Message from {{ name }}{% endblocktranslate %}",
        "{% blocktranslate %}100 % of {{ count }} <b>{{ person.name }}</b> {{ nothing }}{% endblocktranslate %}",
        "{% blocktranslate with n=count|add:1 %}Archive in all folders ({{ n }}){% endblocktranslate %}",
        "{% blocktranslate count n=count %}{{ n }} hit{% plural %}{{ n }} hits{% endblocktranslate %}",
        '{% blocktranslate with n=count asvar text %}All {{ n }}{% endblocktranslate %}{{ text|upper }}',
    ],
)  # fmt: skip
def test_a_sentence_with_values_says_what_djangos_says(source: str) -> None:
    ours, theirs = (Template("{% load i18n " + library + " %}" + source) for library in ("postkasse", ""))
    for name, count in (("Ola & <Kari>", 1), ("%(x)s", 2000)):
        for language in ("en", "nb", None):
            values = Context({"person": {"name": name}, "count": count})
            with translation.override(language):
                assert ours.render(values) == theirs.render(values) == ours.render(values)

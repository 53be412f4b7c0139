"""Cards written into cards: what is wanted is there, and all else is as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail import mime
from webmail.mime.vcard_text import FOLD, fold_line

ODD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nPRODID:-//Other//EN\r\nN:Lie;Anna;;Dr.;\r\nFN:Anna Lie\r\n"
    "item1.EMAIL;TYPE=INTERNET,WORK:Anna@Example.org\r\nitem1.X-ABLabel:Jobb\r\nEMAIL:anna@x.example\r\n"
    'X-LONG;A="b;c":one that is folded\r\n  over two lines\r\nPHOTO;ENCODING=b:AAAA\r\n BBBB\r\nnot a line at all\r\n'
    "NOTE:En\\, to\\nTre\r\nEND:VCARD\r\n"
)
line = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=60)
email = st.from_regex(r"[a-z0-9]{1,10}@[a-z0-9]{1,10}\.example", fullmatch=True)
pairs = st.lists(st.tuples(email, st.sampled_from(["", "home", "work"])), max_size=4, unique_by=lambda pair: pair[0])
cards = st.builds(
    mime.Card, name=line, emails=pairs.map(tuple), organisation=line | st.just(""), title=line | st.just(""), note=line | st.just("")
)  # fmt: skip


def test_a_card_that_says_what_is_wanted_is_not_touched() -> None:
    assert mime.write_card(mime.read_card(ODD), mime.categories_of(ODD), into=ODD) == ODD


def test_only_what_is_changed_is_written_anew() -> None:
    card = replace(mime.read_card(ODD), note="Ny")
    assert mime.write_card(card, into=ODD) == ODD.replace("NOTE:En\\, to\\nTre", "NOTE:Ny")


def test_an_address_goes_with_the_label_of_its_group() -> None:
    card = replace(mime.read_card(ODD), emails=(("anna@x.example", ""),))
    text = mime.write_card(card, into=ODD)
    assert "item1" not in text
    assert "EMAIL:anna@x.example\r\n" in text
    assert "one that is folded\r\n  over two lines" in text


def test_what_is_taken_out_is_gone() -> None:
    text = mime.write_card(mime.Card(name="Anna Lie"), into=ODD)
    assert ("EMAIL" in text, "NOTE" in text, "PHOTO" in text) == (False, False, True)


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@given(card=cards, groups=st.lists(line.filter(str.strip), max_size=3, unique=True))
def test_what_is_written_is_read_again(version: str, card: mime.Card, groups: list[str]) -> None:
    text = mime.write_card(card, groups, uid="1-2", version=version)
    once = mime.read_card(text)
    assert (once.emails, once.organisation, once.title, once.note) == (card.emails, *(
        mime.clean(one) for one in (card.organisation, card.title, card.note)))  # fmt: skip
    assert set(mime.categories_of(text)) == {mime.clean(one) for one in groups} - {""}
    assert mime.uid_of(text) == "1-2"
    assert mime.write_card(once, mime.categories_of(text), into=text) == text


@given(card=cards)
def test_whatever_is_written_into_a_card_keeps_what_nobody_knows(card: mime.Card) -> None:
    text = mime.write_card(card, into=ODD)
    for kept in (
        "PRODID:-//Other//EN\r\n",
        "one that is folded\r\n  over two lines\r\n",
        "AAAA\r\n BBBB\r\n",
        "not a line at all\r\n",
    ):
        assert kept in text


@given(text=st.text(max_size=500))
def test_no_line_is_longer_than_it_may_be_and_none_breaks_a_character(text: str) -> None:
    text = text.replace("\r", "").replace("\n", "")
    folded = fold_line(text)
    assert all(len(one.encode("utf-8", "replace")) <= FOLD for one in folded.split("\r\n"))
    assert folded.replace("\r\n ", "") == text


@given(text=st.text(max_size=300))
def test_no_text_makes_reading_or_writing_fail(text: str) -> None:
    for source in (text, f"BEGIN:VCARD\r\n{text}\r\nEND:VCARD"):
        mime.write_card(mime.read_card(source), mime.categories_of(source), into=source)

"""Cards of people, as phones and mail programs of thirty years write them."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from webmail import mime
from webmail.mime.vcard import MAX_CARDS, MAX_OCTETS, MAX_OF_EACH

APPLE = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iOS 17.0//EN
N:Nordmann;Kari;;Dr.;
FN:Dr. Kari Nordmann
ORG:Fjord AS;Salg;
TITLE:Leder
item1.EMAIL;type=INTERNET;type=pref:Kari@Example.org
item1.X-ABLabel:_$!<Work>!$_
EMAIL;type=INTERNET;type=HOME:kari@hjemme.example
EMAIL;type=WORK:KARI@example.org
TEL;type=CELL;type=VOICE:+47 22 22 22 22
item2.ADR;type=HOME:;;Storgata 1;Oslo;;0155;Norge
NOTE:Likes fish\\, not meat\\nand tea
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQ
 AAAQABAAD
X-SOCIALPROFILE;type=twitter:https://example.org/kari
END:VCARD
"""

OLD = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=ISO-8859-1;ENCODING=QUOTED-PRINTABLE:=D8deg=E5rd;P=E5l
FN;CHARSET=UTF-8;QUOTED-PRINTABLE:P=C3=A5l =
=C3=98deg=C3=A5rd
TEL;WORK;VOICE:12345678
EMAIL;PREF;INTERNET:paal@example.org
END:VCARD
"""

NEW = """BEGIN:VCARD
VERSION:4.0
FN:Ola
EMAIL;TYPE=work:ola@example.org
TEL;VALUE=uri;TYPE="voice,cell":tel:+47-1
ORG:Fjord
PHOTO:https://tracker.example/photo.jpg
END:VCARD
"""


def one(text: str) -> mime.Card:
    found = mime.read_cards(text.encode())
    assert found
    return found.cards[0]


def test_apples_card_is_read() -> None:
    card = one(APPLE.replace("\n", "\r\n"))
    assert (card.name, card.organisation, card.title) == ("Dr. Kari Nordmann", "Fjord AS, Salg", "Leder")
    assert card.emails == (("Kari@Example.org", ""), ("kari@hjemme.example", "home"))
    assert card.phones == (("+47 22 22 22 22", "cell"),)
    assert card.note == "Likes fish, not meat\nand tea"
    assert card.address == "Storgata 1, Oslo, 0155, Norge"


def test_the_old_form_with_quoted_printable_and_a_charset_is_read() -> None:
    card = one(OLD)
    assert (card.name, card.emails, card.phones) == (
        "Pål Ødegård",
        (("paal@example.org", ""),),
        (("12345678", "work"),),
    )


def test_the_new_form_is_read_and_nothing_in_it_is_fetched() -> None:
    card = one(NEW)
    assert (card.name, card.phones) == ("Ola", (("+47-1", "cell"),))
    assert "tracker" not in card.source


def test_the_original_is_kept_but_for_what_is_large() -> None:
    card = one(APPLE)
    assert "X-SOCIALPROFILE" in card.source
    assert "ITEM1.X-ABLABEL" in card.source
    assert "PHOTO" not in card.source
    assert one(card.source).emails == card.emails
    assert one(one(OLD).source).name == "Pål Ødegård"


def test_a_card_without_a_name_is_called_by_what_it_has() -> None:
    assert one("BEGIN:VCARD\nN:Berg;Ola;;;\nEND:VCARD").name == "Ola Berg"
    assert one("BEGIN:VCARD\nORG:Fjord\nEND:VCARD").name == "Fjord"
    assert one("BEGIN:VCARD\nEMAIL:a@example.org\nEND:VCARD").name == "a@example.org"
    assert one("BEGIN:VCARD\nTEL:1").phones == (("1", ""),)


def test_what_is_no_address_is_none() -> None:
    assert one("BEGIN:VCARD\nFN:X\nEMAIL:nobody\nEMAIL:a@b@c\nEND:VCARD").emails == ()


def test_a_card_within_a_card_is_not_taken_for_its_own() -> None:
    card = one(
        "BEGIN:VCARD\nFN:Boss\nAGENT:\nBEGIN:VCARD\nFN:Agent\nEMAIL:agent@example.org\nEND:VCARD\nTEL:1\nEND:VCARD"
    )
    assert (card.name, card.emails, card.phones) == ("Boss", (), (("1", ""),))


def test_a_file_of_many_has_its_bounds() -> None:
    found = mime.read_cards(b"BEGIN:VCARD\nFN:X\nEND:VCARD\n" * (MAX_CARDS + 7))
    assert found
    assert (len(found.cards), found.total) == (MAX_CARDS, MAX_CARDS + 7)
    assert mime.read_cards(b"x" * (MAX_OCTETS + 1)) is None
    assert mime.read_cards(b"hello") is None


@given(
    st.lists(st.one_of(st.sampled_from([*APPLE.splitlines(), *OLD.splitlines()]), st.text(max_size=60)), max_size=50)
)
def test_nothing_that_comes_makes_the_reading_fail(lines: list[str]) -> None:
    found = mime.read_cards("\n".join(lines).encode("utf-8", "replace"))
    if found:
        assert mime.cards_from_json(asdict(found)) == found


def test_of_what_is_made_to_hold_one_up_a_part_is_read() -> None:
    long = ("FN" + ";A" * 45_000 + ":x", "FN;A=" + ",".join(["x"] * 40_000) + ":x")
    for line in long:  # no line of a card has so many parameters or values
        read = mime.read_cards(f"BEGIN:VCARD\n{line}\nFN:Kari\nEND:VCARD\n".encode())
        assert read
        assert read.cards[0].name == "Kari"
    many = "".join(f"EMAIL:a{n}@example.org\nTEL:{n}\n" for n in range(6_000))
    read = mime.read_cards(f"BEGIN:VCARD\nFN:Kari\n{many}END:VCARD\n".encode())
    assert read
    assert [len(read.cards[0].emails), len(read.cards[0].phones)] == [MAX_OF_EACH, MAX_OF_EACH]

"""Charsets: what labels mean, what can be told without one, and what a reader may choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime import CHARSETS, decode_text, parse_header
from webmail.mime.charsets import codec, decode_octets, html_charset


@pytest.mark.parametrize("label", [label for label, _ in CHARSETS])
def test_each_charset_of_the_menu_gives_back_what_was_written_in_it(label: str) -> None:
    name = codec(label)
    assert name is not None
    sample = "Hei 123"
    assert decode_text(sample.encode(name), "koi8-r", "text/plain", label) == sample


def test_the_menu_names_each_charset_once() -> None:
    assert len({codec(label) for label, _ in CHARSETS}) == len({name for _, name in CHARSETS}) == len(CHARSETS)


def test_what_the_reader_chose_counts_more_than_anything() -> None:
    octets = "blåbær".encode()
    assert decode_text(octets, "utf-8", "text/plain", "windows-1252") == "blÃ¥bÃ¦r"
    assert decode_text(b"\xef\xbb\xbf<meta charset=utf-8>\xe5", "utf-8", "text/html", "windows-1252")[-1] == "å"


@pytest.mark.parametrize("label", ["x-unknown", "../etc", "rot13", "hex", "us-ascii", "idna"])
def test_what_is_no_charset_cannot_be_chosen(label: str) -> None:
    with pytest.raises(ValueError, match="not a charset"):
        decode_text(b"hei", "", "text/plain", label)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("latin1", "cp1252"), ("ISO-8859-1", "cp1252"), ("iso_8859-1:1987", "cp1252"), ("cp819", "cp1252"),
        ("iso8859-9", "cp1254"), ("gb2312", "gb18030"), ("GB_2312-80", "gb18030"), ("x-gbk", "gb18030"),
        ("ks_c_5601-1987", "cp949"), ("korean", "cp949"), ("windows-949", "cp949"), ("x-sjis", "cp932"),
        ("ms_kanji", "cp932"), ("big5", "big5hkscs"), ("csbig5", "big5hkscs"), ("utf8", "utf-8"), ("utf-16", "utf-16"),
        ("unicode-1-1-utf-7", "utf-7"), ("iso-2022-jp", "iso2022_jp_ext"), ("tis-620", "cp874"), ("koi8_r", "koi8-r"),
        ("us-ascii", None), ("x-unknown", None), ("", None), ("base64", None), ("zlib", None), ("unicode-escape", None),
    ],
)  # fmt: skip
def test_a_label_means_what_senders_mean_by_it(label: str, name: str | None) -> None:
    assert codec(label) == name


SAMPLES = {
    "cp1251": "Здравствуйте! Как дела? Мы получили ваше письмо.",
    "koi8-r": "Здравствуйте! Как дела? Мы получили ваше письмо.",
    "iso8859-5": "Здравствуйте! Как дела? Мы получили ваше письмо.",
    "gb2312": "您好，谢谢你的来信。我们明天发货。",
    "big5": "您好，謝謝你的來信。我們明天發貨。",
    "euc_jp": "こんにちは。お世話になっております。",
    "cp932": "こんにちは。お世話になっております。",
    "euc_kr": "안녕하세요. 내일 회의는 취소되었습니다.",
    "cp1252": "Blåbærsyltetøy på søndag, naïve café, Straße, señor.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "iso8859-2": "Zażółć gęślą jaźń, proszę państwa.",
    "cp1253": "Καλημέρα σας, ευχαριστούμε για το μήνυμα.",
    "cp1254": "Günaydın, mesajınızı dün aldık. Teşekkürler.",
    "cp1255": "שלום רב, קיבלנו את ההודעה שלך",
    "cp1256": "مرحبا، لقد تلقينا رسالتك أمس",
    "cp1257": "Labas rytas, ačiū už jūsų laišką. Šiandien gražus oras.",
    "cp874": "สวัสดีครับ เราได้รับข้อความของคุณ",
}


@pytest.mark.parametrize(("name", "text"), SAMPLES.items())
def test_a_sentence_is_told_by_its_letters(name: str, text: str) -> None:
    assert decode_octets(text.encode(name)) == text
    assert decode_octets((text + "\n").encode(name) * 200) == (text + "\n") * 200


@pytest.mark.parametrize(("name", "text"), SAMPLES.items())
def test_the_charset_of_the_text_tells_that_of_a_short_subject(name: str, text: str) -> None:
    word = max(text.replace("，", " ").replace("、", " ").split(), key=lambda one: len(one.encode(name)))[:6]
    raw = b"Subject: " + word.encode(name) + b"\r\n\r\n"
    assert parse_header(raw, name).subject == word
    assert parse_header(raw.strip() + f"\r\nContent-Type: text/plain; charset={name}\r\n\r\n".encode()).subject == word


@pytest.mark.parametrize(
    ("octets", "label"),
    [
        (b"<meta charset=koi8-r>", "koi8-r"),
        (b'<META http-equiv=Content-Type content="text/html; charset=BIG5">', "BIG5"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?><p>", "iso-8859-2"),
        (b"<meta charset=utf-16>", ""),
        (b"<meta charset=nonsense>", "nonsense"),
        (b" " * 5000 + b"<meta charset=koi8-r>", ""),
        (b"<p>charset=koi8-r", ""),
    ],
)
def test_html_may_name_its_charset_in_its_beginning(octets: bytes, label: str) -> None:
    assert html_charset(octets) == label


@given(st.text(min_size=1))
def test_utf_8_is_never_taken_for_anything_else(text: str) -> None:
    if "\x1b" in text or text.startswith(("\ufeff", "\ufffe")):
        return
    octets = text.encode()
    for label in ("utf-8", "", "us-ascii", "x-unknown", "iso-8859-1"):
        assert decode_octets(octets, label) == text

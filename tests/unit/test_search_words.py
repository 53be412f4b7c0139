"""Words are found whatever their script, and however they are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.search import words

# What stands in a message; what is typed; whether it finds it.
CASES = [
    # Norwegian, Danish, Swedish
    ("Søppel og avfall", "soppel", True), ("Søppel og avfall", "SØPPEL", True), ("soppel", "søppel", True),
    ("Møtet på fredag", "motet pa", True), ("Ærlig talt", "aerlig", True), ("Åse Ødegård", "ase odegard", True),
    ("rødgrød med fløde", "rodgrod", True), ("Räksmörgås", "raksmorgas", True), ("ete is", "etais", False),
    # German
    ("Straße", "strasse", True), ("STRASSE", "straße", True), ("Müller", "muller", True), ("Über", "ueber", False),
    ("Fußball", "fussball", True), ("Größe", "grosse", True),
    # French, Spanish, Portuguese, Polish, Czech, Vietnamese
    ("Château", "chateau", True), ("œuvre", "oeuvre", True), ("señor", "senor", True), ("coração", "coracao", True),
    ("Łódź", "lodz", True), ("příliš žluťoučký", "prilis zlutoucky", True), ("Việt Nam", "viet nam", True),
    ("l’été", "ete", True),
    # Turkish
    ("İstanbul", "istanbul", True), ("ISPARTA", "ısparta", True), ("ılık", "ilik", True), ("çağrı", "cagri", True),
    ("şöför", "sofor", True),
    # Greek, Cyrillic
    ("Αθήνα", "αθηνα", True), ("ΑΘΗΝΑΣ", "αθηνας", True), ("Ёлка", "елка", True), ("Київ", "київ", True),
    ("Москва", "МОСКВА", True), ("Москва", "Минск", False),
    # Arabic, Persian
    ("العَرَبِيَّة", "العربية", True), ("أحمد", "احمد", True), ("إسلام", "اسلام", True), ("كتـــاب", "كتاب", True),
    ("می\u200cروم", "میروم", True), ("محمد", "أحمد", False),
    # Hebrew
    ("שָׁלוֹם", "שלום", True), ("ירושלים", "ירושלים", True), ("בְּרֵאשִׁית", "בראשית", True), ("שלום", "עולם", False),
    # Hindi and others of India: signs are as much as letters
    ("हिन्दी में खोज", "हिन्दी", True), ("हिन्दी में खोज", "खोज", True), ("दिल्ली।", "दिल्ली", True), ("किताब", "कताब", False),
    ("தமிழ் மொழி", "மொழி", True), ("বাংলা ভাষা", "ভাষা", True),
    # Thai, Lao, Khmer: no spaces
    ("สวัสดีครับ", "สวัสดี", True), ("สวัสดีครับ", "ครับ", True), ("กรุงเทพมหานคร", "เทพ", True), ("ภาษาไทย", "ไทย", True),
    ("ภาษาไทย", "ลาว", False), ("ພາສາລາວ", "ລາວ", True), ("ភាសាខ្មែរ", "ខ្មែរ", True),
    # Chinese
    ("北京大学的学生", "北京", True), ("北京大学的学生", "大学", True), ("北京大学的学生", "京大", True),
    ("北京大学的学生", "学生", True), ("北京大学的学生", "北大", False), ("北京", "京", True), ("會議記錄", "會議", True),
    ("买iPhone手机", "iphone", True), ("买iPhone手机", "手机", True), ("东京都", "京东", False),
    # Japanese
    ("東京都の天気", "東京都", True), ("東京都の天気", "天気", True), ("東京都の天気", "京都", True),
    ("カタカナ", "ｶﾀｶﾅ", True), ("ガス代", "カス", False), ("メールを送る", "送る", True), ("ひらがな", "らがな", True),
    ("ﾊﾟｿｺﾝ", "パソコン", True),
    # Korean
    ("한국어를 공부합니다", "한국어", True), ("한국어를 공부합니다", "공부", True), ("서울특별시", "특별", True),
    ("서울", "부산", False), ("김철수에게", "김철수", True),
    # Mixed, figures, signs, width
    ("ola.nordmann@example.org", "nordmann", True), ("ola.nordmann@example.org", "ola.nordmann@example.org", True),
    ("foo_bar", "bar", True), ("２０２６年", "2026", True), ("ﬁnance", "finance", True), ("COVID-19", "covid 19", True),
    ("don’t", "don't", True), ("Zusam\u00admen", "zusammen", True), ("e\u0301te\u0301", "été", True),
    ("Gratulerer 🎂", "🎂", True), ("Gratulerer 🎂", "🎉", False), ("Привет world 世界", "world 世界", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "typed", "found"), CASES)
def test_a_text_is_found_by_what_people_type_for_it(text: str, typed: str, found: bool) -> None:
    sequence = words.wanted(typed)
    assert sequence
    assert words.holds(words.terms(text), sequence, words.begins_alone(sequence[-1])) is found


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 80


texts = st.text(st.sampled_from("abæøåßœİé–“ .,_\u00ad\u200b\u0301東京한국ᄀहि😀ﬁ²"), max_size=20)


@given(texts)
def test_the_short_way_gives_the_same_words_as_the_long_one(text: str) -> None:
    assert list(words._words(text)) == words._WORD.findall(words._folded(text))


@given(texts, st.sampled_from(["ae", "b", "oe", "ss", "a", "2", "fi"]))
def test_where_a_word_is_said_to_be_it_is(text: str, letters: str) -> None:
    for start, end in words.places(text, re.compile(letters), [letters]) or ():
        assert letters in words.fold(text[start:end])


@given(texts)
def test_no_term_can_be_anything_else_in_an_expression(text: str) -> None:
    for term in words.terms(text):
        assert term
        assert not set(term) & set(" :\"'\\*()&|!\0")


@given(texts)
def test_the_often_met_letters_become_what_a_look_at_each_would_make_of_them(text: str) -> None:
    assert words._in_latin(text) == text.translate(words._latin())


def test_a_word_is_found_where_it_is_behind_hundreds_of_letters_that_vanish() -> None:
    text = "\u200c\u034f " * 300 + "På taket, e\u0301t hull i taket."
    found = [text[start:end] for start, end in words.places(text, re.compile("taket"), ["taket"]) or ()]
    assert found == ["taket", "taket"]

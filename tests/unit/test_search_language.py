"""What people type into the search box, in two languages, in a hurry, and with bad intentions."""

from __future__ import annotations

from datetime import date

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from webmail.search.completion import MOST, completions
from webmail.search.language import (
    MAX_LENGTH,
    MAX_TERMS,
    MAX_TROUBLES,
    And,
    In,
    Is,
    Keyword,
    Node,
    Not,
    OfAccount,
    OfThread,
    Or,
    Query,
    Received,
    Size,
    Words,
    octets_of,
    parse,
    quoted,
    words_of,
)
from webmail.search.operators import BY_NAME, EXAMPLES, OPERATORS, Operator

TODAY = date(2026, 11, 24)  # a Tuesday


def tree(text: str) -> Node | None:
    return parse(text, TODAY).tree


def w(text: str, field: str = "", **more: bool) -> Words:
    return Words(text, field, **more)


def phrase(text: str, field: str = "") -> Words:
    return Words(text, field, exact=True)


def all_of(*nodes: Node) -> And:
    return And(nodes)


def any_of(*nodes: Node) -> Or:
    return Or(nodes)


def since(*day: int) -> Received:
    return Received(date(*day), None)


def until(*day: int) -> Received:
    return Received(None, date(*day))


# Each with a space at its end, which finishes the last word.
WITHOUT_TROUBLE: list[tuple[str, Node | None]] = [
    ("", None),
    ("()", None),
    ('""', None),
    ("- , . ! *", None),
    ("faktura", w("faktura")),
    ("annual report", all_of(w("annual"), w("report"))),
    ('"annual  report"', phrase("annual report")),
    ("“annual report”", phrase("annual report")),
    ("«årlig rapport»", phrase("årlig rapport")),
    ("„årlig rapport“ »møte«", all_of(phrase("årlig rapport"), phrase("møte"))),
    ('"she said «no»"', phrase("she said «no»")),
    ("fisk*", w("fisk", prefix=True)),
    ("fisk* -sild*", all_of(w("fisk", prefix=True), Not(w("sild", prefix=True)))),
    ("-sild", Not(w("sild"))),
    ('-"no thanks"', Not(phrase("no thanks"))),
    ("-(a b)", Not(all_of(w("a"), w("b")))),
    ("-(-a)", w("a")),
    ("not -from:a", w("a", "from")),
    ("-()", None),
    ("e-post", w("e-post")),
    ("--force", w("--force")),
    ("a - b", all_of(w("a"), w("b"))),
    # or
    ("a or b", any_of(w("a"), w("b"))),
    ("a OR b", any_of(w("a"), w("b"))),
    ("a eller b", any_of(w("a"), w("b"))),
    ("a | b", any_of(w("a"), w("b"))),
    ("a|b||c", any_of(w("a"), w("b"), w("c"))),
    ("a b or c d", all_of(w("a"), any_of(w("b"), w("c")), w("d"))),
    ("(a b) or c", any_of(all_of(w("a"), w("b")), w("c"))),
    ("(a or b) or (c or d)", any_of(w("a"), w("b"), w("c"), w("d"))),
    ("(a (b (c)))", all_of(w("a"), w("b"), w("c"))),
    ("a or -b", any_of(w("a"), Not(w("b")))),
    ("a or or b", any_of(w("a"), w("b"))),
    ("or", w("or")),
    ("eller", w("eller")),
    ("or a", all_of(w("or"), w("a"))),
    ("a (or) b", all_of(w("a"), w("or"), w("b"))),
    ("a or () b", all_of(w("a"), w("b"))),
    ("x () or b", all_of(w("x"), w("b"))),
    ("subject:or -or", all_of(w("or", "subject"), Not(w("or")))),
    ("a AND b OG c", all_of(w("a"), w("b"), w("c"))),
    ("salt og pepper and oil", all_of(w("salt"), w("og"), w("pepper"), w("and"), w("oil"))),
    # not
    ("do not reply", all_of(w("do"), w("not"), w("reply"))),
    ("ikke svar", all_of(w("ikke"), w("svar"))),
    ("a ikke", all_of(w("a"), w("ikke"))),
    ("not from:ola", Not(w("ola", "from"))),
    ("ikke er:lest", Not(Is("read"))),
    ("ikke (a eller b)", Not(any_of(w("a"), w("b")))),
    ("not not (a)", w("a")),
    ("not -a", all_of(w("not"), Not(w("a")))),
    # values
    ('from:"Ola Nordmann"', phrase("Ola Nordmann", "from")),
    ("FROM:ola", w("ola", "from")),
    ("from: ola", w("ola", "from")),
    ("from:ola@example.org", w("ola@example.org", "from")),
    ("from:(ola kari)", all_of(w("ola", "from"), w("kari", "from"))),
    ("from:(ola or kari)", any_of(w("ola", "from"), w("kari", "from"))),
    ("fra:(ola ikke (per))", all_of(w("ola", "from"), Not(w("per", "from")))),
    ("from:(ola subject:x) y", all_of(w("ola", "from"), w("x", "subject"), w("y"))),
    ("from:a from:b", all_of(w("a", "from"), w("b", "from"))),
    ("subject:to:ola", w("to:ola", "subject")),
    ("subject:re:møte", w("re:møte", "subject")),
    ("is:(unread starred)", all_of(Is("unread"), Is("starred"))),
    ("in:(inbox or archive)", any_of(In("inbox"), In("archive"))),
    ("-in:spam", Not(In("junk"))),
    ("in:Prosjekter/2026", In("Prosjekter/2026")),
    ('i:"Mine ting"', In("Mine ting")),
    ("filename:rapport*", w("rapport", "filename", prefix=True)),
    ("account:example.org", OfAccount("example.org")),
    ("keyword:$Label1", Keyword("$Label1")),
    ("thread:42", OfThread(42)),
    ("larger:1,5MB smaller:2GB", all_of(Size(1_500_000, None), Size(None, 2_000_000_000))),
    ("on:2026-11", Received(date(2026, 11, 1), date(2026, 12, 1))),
    ("on:i går", Received(date(2026, 11, 23), date(2026, 11, 24))),
    ("before:2026-11-24 after:2026", all_of(until(2026, 11, 24), since(2026, 1, 1))),
    ("older_than:3d newer_than:2w", all_of(until(2026, 11, 21), since(2026, 11, 10))),
    # no operators
    ("12:30", w("12:30")),
    ("https://example.org/a?b=c", w("https://example.org/a?b=c")),
    ("to://x", w("to://x")),
    ("for:alle", w("for:alle")),
    ("re:faktura foo:bar", all_of(w("re:faktura"), w("foo:bar"))),
    ("C++ 100% 🎉", all_of(w("C++"), w("100%"), w("🎉"))),
    ("a\x00b\x1fc", all_of(w("a"), w("b"), w("c"))),
    ('NEAR("a" b, 5)', all_of(w("NEAR"), phrase("a"), w("b,"), w("5"))),
    ("{subject body}: x^2", all_of(w("{subject"), w("body}:"), w("x^2"))),
]


@pytest.mark.parametrize(("text", "expected"), WITHOUT_TROUBLE)
def test_an_expression_means_what_its_writer_expects(text: str, expected: Node | None) -> None:
    query = parse(text + " ", TODAY)
    assert query.tree == expected
    assert query.troubles == ()


IN_BOTH = [
    *(("from:a", "fra:a"), ("to:a", "til:a"), ("cc:a", "kopi:a"), ("subject:a", "emne:a"), ("body:a", "tekst:a")),
    *(("filename:a", "fil:a"), ("list:a", "liste:a"), ("keyword:a", "nøkkelord:a"), ("thread:7", "samtale:7")),
    *(("has:attachment", "har:vedlegg"), ("has:picture", "har:bilde"), ("has:pdf", "har:pdf")),
    *(("has:invitation", "har:invitasjon"), ("has:link", "har:lenke")),
    *(("is:unread", "er:ulest"), ("is:read", "er:lest"), ("is:starred", "er:stjernet"), ("is:answered", "er:besvart")),
    *(("is:forwarded", "er:videresendt"), ("is:draft", "er:utkast"), ("is:muted", "er:dempet")),
    *(("in:inbox", "i:innboks"), ("in:drafts", "i:kladder"), ("in:sent", "i:sendt"), ("in:archive", "i:arkiv")),
    *(("in:junk", "i:søppelpost"), ("in:trash", "i:papirkurv"), ("in:anywhere", "i:overalt"), ("account:a", "konto:a")),
    *(("before:today", "før:idag"), ("before:2026", "foer:2026"), ("after:yesterday", "etter:igår")),
    *(("on:monday", "den:mandag"), ("on:december", "den:desember"), ('on:"last week"', 'den:"forrige uke"')),
    *(("older_than:1y", "eldre_enn:1år"), ("newer_than:2w", "nyere_enn:2u"), ("newer_than:6m", "nyere-enn:6mnd")),
    *(("larger:5M", "større:5M"), ("larger:5M", "storre:5MB"), ("smaller:5k", "mindre:5k")),
]


@pytest.mark.parametrize(("english", "norwegian"), IN_BOTH)
@pytest.mark.parametrize("language", ["en", "nb"])
def test_both_languages_mean_the_same_whatever_the_page_speaks(english: str, norwegian: str, language: str) -> None:
    with translation.override(language):
        assert tree(english) == tree(norwegian)
        assert parse(english, TODAY).troubles == parse(norwegian, TODAY).troubles == ()


DATES = [
    *(("2026-11-24", (2026, 11, 24)), ("24.11.2026", (2026, 11, 24)), ("24.11.26", (2026, 11, 24))),
    *(("24.11.", (2026, 11, 24)), ("24/11/2026", (2026, 11, 24)), ("25.11.", (2025, 11, 25)), ("29.2.", (2024, 2, 29))),
    *(("2026-11", (2026, 11, 1)), ("11.2026", (2026, 11, 1)), ("2026", (2026, 1, 1)), ("i_dag", (2026, 11, 24))),
    *(("idag", (2026, 11, 24)), ("IGÅR", (2026, 11, 23)), ("tuesday", (2026, 11, 24)), ("wed", (2026, 11, 18))),
    *(("lørdag", (2026, 11, 21)), ("lor", (2026, 11, 21)), ("november", (2026, 11, 1)), ("des", (2025, 12, 1))),
    *(('"24. november 2026"', (2026, 11, 24)), ('"November 24, 2026"', (2026, 11, 24)), ("24.nov", (2026, 11, 24))),
    *(('"i dag"', (2026, 11, 24)), ("i går", (2026, 11, 23)), ("i fjor", (2025, 1, 1)), ("last-week", (2026, 11, 16))),
    *(('"last 7 days"', (2026, 11, 17)), ('"siste 2 uker"', (2026, 11, 10))),
]


@pytest.mark.parametrize(("typed", "day"), DATES)
def test_a_date_is_read_as_it_is_written_in_either_country(typed: str, day: tuple[int, int, int]) -> None:
    assert tree(f"after:{typed} ") == since(*day)
    assert tree(f"before:{typed} ") == until(*day)


def test_a_month_has_as_many_days_as_it_has_when_time_is_counted_back() -> None:
    assert parse("older_than:1m", date(2026, 3, 31)).tree == until(2026, 2, 28)
    assert parse("older_than:1y", date(2024, 2, 29)).tree == until(2023, 2, 28)
    assert tree("newer_than:9999y") == since(1900, 1, 1)


@pytest.mark.parametrize("today", [date.min, date.max])
@pytest.mark.parametrize(
    "value", ["today", "yesterday", "lastweek", '"last month"', "december", "sunday", "9999y", "0m", "29.2."]
)
def test_a_clock_that_is_wrong_by_millennia_is_no_error(today: date, value: str) -> None:
    for operator in ("before", "on", "newer_than"):
        assert parse(f"{operator}:{value}", today).text == f"{operator}:{value}"


@pytest.mark.parametrize(
    ("text", "octets"),
    [("500", 500), ("500k", 500_000), ("1,5MB", 1_500_000), ("1.5 m", 1_500_000), ("2GB", 2 * 10**9), ("0.001k", 1)],
)
def test_a_size_is_in_thousands(text: str, octets: int) -> None:
    assert octets_of(text) == octets


WRONG = [
    ("before:someday ", 7, 14, w("someday"), "date"),
    ("on:31.6. ", 3, 8, w("31.6."), "date"),
    ('on:"some day"', 3, 13, phrase("some day"), "date"),
    ("newer_than:x ", 11, 12, w("x"), "time"),
    ("larger:big ", 7, 10, w("big"), "size"),
    ("is:foo ", 3, 6, w("foo"), "unread"),
    ("-has:foo ", 5, 8, Not(w("foo")), "attachment"),
    ("thread:x ", 7, 8, w("x"), "number"),
    ("thread:0 ", 7, 8, w("0"), "number"),
    ("thread:9999999999999999999 ", 7, 26, w("9999999999999999999"), "number"),
    ("a from:", 2, 7, w("a"), "name"),
    ('a from:"" ', 2, 7, w("a"), "name"),
    ("a from:() ", 2, 7, w("a"), "name"),
    ("from: to:ola ", 0, 5, w("ola", "to"), "name"),
    ('a "b c', 2, 3, all_of(w("a"), phrase("b c")), "quotes"),
    ("a (b or c ", 2, 3, all_of(w("a"), any_of(w("b"), w("c"))), "closed"),
    ("a) b ", 1, 2, all_of(w("a"), w("b")), "closes nothing"),
    ("a OR ", 2, 4, all_of(w("a"), w("OR")), "both sides"),
    ("| a ", 0, 1, w("a"), "both sides"),
    ("fa*ra ", 0, 5, w("fa*ra"), "end of a word"),
    ("*tura ", 0, 5, w("tura"), "end of a word"),
]


@pytest.mark.parametrize(("text", "start", "end", "expected", "says"), WRONG)
def test_what_is_wrong_is_told_at_its_place_and_still_searched(
    text: str, start: int, end: int, expected: Node, says: str
) -> None:
    query = parse(text, TODAY)
    assert query.tree == expected
    (trouble,) = query.troubles
    assert (trouble.start, trouble.end) == (start, end)
    assert says in trouble.message


def test_a_choice_that_is_wrong_is_answered_with_the_names_of_the_page() -> None:
    with translation.override("nb"):
        assert "ulest" in parse("er:noe ", TODAY).troubles[0].message


PREFIXES = [
    ("fak", w("fak", prefix=True)),
    ("fak ", w("fak")),
    ("fak.", w("fak.")),
    ('"fak"', phrase("fak")),
    ("from:ol", w("ol", "from", prefix=True)),
    ("from:(ola kar", all_of(w("ola", "from"), w("kar", "from", prefix=True))),
    ("-fak", Not(w("fak"))),
    ("-(a fak", Not(all_of(w("a"), w("fak")))),
    ("-(-fak", w("fak", prefix=True)),
    ("-fak*", Not(w("fak", prefix=True))),
    ("a b", all_of(w("a"), w("b", prefix=True))),
]


@pytest.mark.parametrize(("text", "expected"), PREFIXES)
def test_the_word_that_is_being_typed_is_the_beginning_of_one(text: str, expected: Node) -> None:
    assert tree(text) == expected


def test_each_thing_that_is_asked_is_a_chip_that_can_be_taken_away() -> None:
    query = parse("fra:kari  faktura or kvittering -er:lest  ( a  b )", TODAY)
    assert [chip.label for chip in query.chips] == ["fra:kari", "faktura or kvittering", "-er:lest", "( a b )"]
    assert query.chips[1].without == "fra:kari -er:lest ( a  b )"
    assert [query.text[chip.start : chip.end].split() for chip in query.chips] == [c.label.split() for c in query.chips]


def test_taking_the_last_chip_leaves_the_word_before_it_finished() -> None:
    assert parse("ola kari", TODAY).chips[1].without == "ola "
    assert parse("ola kari", TODAY).chips[0].without == "kari"
    assert parse("ola", TODAY).chips[0].without == ""


def test_a_not_that_was_a_word_stays_one_when_its_neighbour_is_taken_away() -> None:
    assert parse("ikke svar fra:ola", TODAY).chips[1].without == "(ikke) fra:ola"
    assert parse("not not svar (a)", TODAY).chips[2].without == "(not) (not) (a)"


def test_what_was_found_is_marked_by_the_words_that_were_looked_for() -> None:
    query = parse('a -b "c d" from:(e or f) -(-g) is:read', TODAY)
    assert words_of(query.tree) == (w("a"), phrase("c d"), w("e", "from"), w("f", "from"), w("g"))


@pytest.mark.parametrize(
    "name", ["ola", "Ola Nordmann", 'Ola "Olsen" Nordmann', "«Ola»", "a(b)", "or", "to:x", "fisk*", "a|b"]
)
def test_a_value_that_was_chosen_is_read_as_it_was(name: str) -> None:
    words = tree(f"from:{quoted(name)} ")
    assert isinstance(words, Words)
    assert words.text.split() == name.replace('"', " ").split()
    assert not words.prefix


def test_every_operator_and_example_of_the_help_page_works() -> None:
    shown = [example for operator in OPERATORS for example in operator.examples]
    shown += [text for example in EXAMPLES for text in (example.english, example.norwegian)]
    for text in shown:
        assert parse(text, TODAY).troubles == (), text
    for operator in OPERATORS:
        assert operator.meaning
        assert operator.takes
        for example, names in zip(operator.examples, (operator.english, operator.norwegian), strict=True):
            assert example.split(":")[0] == names[0]
            assert BY_NAME[names[0].replace("_", " ")] is operator
            assert not isinstance(parse(example, TODAY).tree, Words) or operator.kind in (
                *("person", "text", "filename", "list"),
            )


# Pieces that mean something, so that they meet more often than among all characters there are.
PIECES = st.sampled_from(
    [
        *(
            "a",
            "ola",
            "or",
            "OR",
            "eller",
            "|",
            "||",
            "not",
            "ikke",
            "NOT",
            "AND",
            "OG",
            "-",
            "--",
            "(",
            ")",
            "()",
            " ",
            "  ",
        ),
        *(
            '"',
            "“",
            "”",
            "«",
            "»",
            "*",
            ":",
            "from:",
            "fra:",
            "is:",
            "er:",
            "unread",
            "før:",
            "i dag",
            "2026",
            "24.11.",
            "on:",
        ),
        *(
            "\x00",
            "\ud800",
            "\u200b",
            "🎉",
            "ø",
            "o\u0338",
            ",",
            "larger:",
            "5M",
            "foo:",
            "thread:",
            "in:",
            "subject:(",
            "\n",
        ),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join), st.lists(PIECES, max_size=25).map(" ".join))


def nodes_in(node: Node | None) -> int:
    count, left = 0, [node] if node else []
    while left:
        count += 1
        at = left.pop()
        left.extend(at.children if isinstance(at, And | Or) else [at.child] if isinstance(at, Not) else [])
    return count


def flat(node: Node | None) -> bool:
    """No And in an And, no Or in an Or, no Not in a Not, none of a single child."""
    left = [node] if node else []
    while left:
        at = left.pop()
        children = at.children if isinstance(at, And | Or) else (at.child,) if isinstance(at, Not) else ()
        if any(type(child) is type(at) for child in children) or (isinstance(at, And | Or) and len(children) < 2):
            return False
        left.extend(children)
    return True


def sound(query: Query, length: int) -> None:
    assert len(query.text) == length
    query.text.encode()
    assert len(query.troubles) <= MAX_TROUBLES + 1
    assert all(0 <= trouble.start < trouble.end <= length and trouble.message for trouble in query.troubles)
    assert all(0 <= chip.start < chip.end <= length for chip in query.chips)
    assert nodes_in(query.tree) <= 5 * MAX_TERMS
    assert flat(query.tree)


@given(TEXTS)
def test_any_text_gives_a_sound_answer(text: str) -> None:
    sound(parse(text, TODAY), len(text))


def top(tree: Node | None) -> list[Node]:
    return list(tree.children) if isinstance(tree, And) else [tree] if tree else []


@given(TEXTS)
def test_taking_a_chip_away_takes_away_just_what_it_says(text: str) -> None:
    query = parse(text, TODAY)
    children = top(query.tree)
    if len(children) != len(query.chips):  # "(a b) c": two chips, three things
        return
    for at, chip in enumerate(query.chips):
        assert top(parse(chip.without, TODAY).tree) == children[:at] + children[at + 1 :], chip


@given(TEXTS)
def test_a_parenthesis_around_a_query_changes_nothing(text: str) -> None:
    query = parse(text + " ", TODAY)
    if not query.troubles:
        assert tree(f"({text} ) ") == query.tree


HOSTILE = {
    "parentheses": "(" * 10_000,
    "closing parentheses": ")" * 10_000,
    "nots": "-(" * 5_000,
    "not words": "not " * 2_500 + "(a)",
    "hyphens": "-" * 10_000,
    "quotes": '"' * 10_000,
    "spaces": " " * 10_000,
    "bars": "a|" * 5_000,
    "ors": "or " * 3_333,
    "stars": "a*" * 5_000,
    "operators": "from:" * 2_000,
    "groups": "from:(" * 1_666,
    "unknown operators": "a" * 20 + ":" * 10_000,
    "figures": "on:" + "9" * 10_000,
    "sizes": "larger:" + "9" * 10_000,
    "spans": "newer_than:" + "1" * 10_000 + "d",
    "words": "a " * 5_000,
    "NUL": "\x00" * 10_000,
    "full-text syntax": 'NEAR(a b) AND {x y}: ^"z" + ' * 400,
    "every operator": " ".join(f"{name}:x" for name in BY_NAME) * 10,
    "combining marks": "a" + "\u0301" * 10_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_query_is_bounded(text: str) -> None:
    text = text.ljust(10_000)[:10_000]
    query = parse(text, TODAY)
    sound(query, 10_000)
    assert query.troubles[-1].start == MAX_LENGTH


def test_nesting_is_followed_twenty_deep_and_what_is_deeper_is_still_searched() -> None:
    query = parse("-(" * 25 + "a" + ")" * 25 + " b ", TODAY)
    assert len(query.troubles) == 1
    assert words_of(query.tree)[-1] == w("b")
    assert nodes_in(query.tree) <= 4


def test_the_fifty_first_word_is_where_it_is_told_that_there_are_too_many() -> None:
    query = parse("word " * 60, TODAY)
    assert len(top(query.tree)) == MAX_TERMS
    assert [trouble.start for trouble in query.troubles] == [MAX_TERMS * 5]


COMPLETIONS = [
    ("fr|", "en", "word", "fr", ("from:", "fra:")),
    ("fr|", "nb", "word", "fr", ("fra:", "from:")),
    ("ola -su|", "en", "word", "su", ("subject:",)),
    ("storr|", "nb", "word", "storr", ("større:",)),
    ("fr|om:ola", "en", "word", "fr", ("from:", "fra:")),
    ("|", "en", "word", "", ()),
    ("from:ol|", "en", "person", "ol", ()),
    ("from: |", "en", "person", "", ()),
    ("from: ol|a kari", "en", "person", "ol", ()),
    ("from:ola |", "en", "word", "", ()),
    ("to:(ola or ka|", "en", "person", "ka", ()),
    ("to:(ola is:(unr|", "en", "is", "unr", ("unread",)),
    ("to:(ola) ka|", "en", "word", "ka", ()),
    ('from:"Ola No|', "en", "person", "Ola No", ()),
    ('"ola no|', "en", "none", "ola no", ()),
    ('from:"Ola"|', "en", "none", "", ()),
    ("er:|", "nb", "is", "", ("ulest", "lest", "stjernet", "besvart", "videresendt", "utkast", "dempet")),
    ("er:unr|", "nb", "is", "unr", ("unread",)),
    ("has:p|", "en", "has", "p", ("picture", "pdf")),
    ("i:pa|", "nb", "folder", "pa", ("papirkurv",)),
    ("konto:|", "nb", "account", "", ()),
    ("list:a|", "en", "list", "a", ()),
    ("on:nov|", "en", "date", "nov", ("november",)),
    ("den:la|", "nb", "date", "la", ()),
    ("den:ma|", "nb", "date", "ma", ("mars", "mai", "mandag")),
    ("on:last|", "en", "date", "last", ('"last week"', '"last 7 days"', '"last month"', '"last year"')),
    ("den:24.1|", "nb", "date", "24.1", ("24.11.2026", "24.10.2026", "24.1.2026")),
    ("on:31.|", "en", "date", "31.", ("31.10.2026", "31.8.2026", "31.7.2026")),
    ("on:2026-1|", "en", "date", "2026-1", ("2026-11", "2026-10")),
    ("older_than:3|", "en", "span", "3", ("3d", "3w", "3m", "3y")),
    ("eldre_enn:|", "nb", "span", "", ("1d", "7d", "2u", "1mnd", "6mnd", "1år")),
    ("larger:2|", "en", "size", "2", ("2k", "2M", "2G", "25M")),
]


@pytest.mark.parametrize(("typed", "language", "kind", "part", "choices"), COMPLETIONS)
def test_what_the_cursor_stands_in_is_known_and_completed(
    typed: str, language: str, kind: str, part: str, choices: tuple[str, ...]
) -> None:
    text, cursor = typed.replace("|", ""), typed.index("|")
    found = completions(text, cursor, TODAY, language)
    assert (found.kind, found.typed, found.choices) == (kind, part, choices)
    assert text[found.start : cursor].removeprefix('"') == part


@pytest.mark.parametrize("language", ["en", "nb"])
@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.name)
def test_whatever_is_offered_is_understood(operator: Operator, language: str) -> None:
    for name in (operator.shown(norwegian=False), operator.shown(norwegian=True)):
        for begun in ("", "1", "2", "20", "l", "m", "s"):
            for choice in completions(f"{name}:{begun}", len(name) + 1 + len(begun), TODAY, language).choices:
                assert parse(f"{name}:{choice} ", TODAY).troubles == (), choice


@given(TEXTS, st.integers(-5, 300), st.sampled_from(["en", "nb"]))
def test_any_cursor_in_any_text_can_be_completed(text: str, cursor: int, language: str) -> None:
    found = completions(text, cursor, TODAY, language)
    assert 0 <= found.start <= found.end <= len(text)
    assert len(found.choices) <= MOST
    assert len(found.typed) <= found.end - found.start


def test_what_turns_the_direction_of_text_is_not_shown() -> None:
    query = parse("\u202egnp.exe\u202c faktura", date(2026, 11, 24))
    assert [chip.label for chip in query.chips] == ["gnp.exe", "faktura"]
    assert "\u202e" not in query.text

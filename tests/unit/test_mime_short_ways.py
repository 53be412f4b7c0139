"""What most mail looks like is read by shorter ways; they give what the thorough ones give, for any octets."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from webmail.mime import addresses, header

LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "Subject: hello",
                    "Subject:",
                    "From : Kari <a@b>",
                    " folded",
                    "\tfolded",
                    "",
                    "no colon",
                    "X: \x0b",
                    " ",
                ),
                *("To: a@b,", "Subject \t:x", ": nameless", "Date: Mon, 1 Jan 2024 10:00:00 +0100", "Å: 8-bit", "æ"),
            ]
        ),
        st.text(st.characters(codec="latin-1"), max_size=12),
    ),
    max_size=8,
)


@given(LINES, st.sampled_from(["\r\n", "\n", "\r", "\r\r\n"]), st.sampled_from(["", "\r\n", "\r\n\r\nbody: x\r\n"]))
def test_fields_are_the_same_by_both_ways(lines: list[str], end: str, rest: str) -> None:
    raw = (end.join(lines) + rest).encode("latin-1")
    assert header.raw_fields(raw) == header._odd_fields(raw)


NAMES = st.sampled_from(
    [
        *(
            "Kari Nordmann",
            '"Hansen, Per"',
            "=?utf-8?Q?J=C3=B8rgen?=",
            "=?UTF-8?B?w4VzZQ==?= =?utf-8?q?x?=",
            '"=?utf-8?Q?a?="',
        ),
        *(
            "'Support'",
            '"a@b.no"',
            "a@b.no",
            '""',
            '" "',
            "O'Brien",
            "Dr. No.",
            "Doe, John",
            '"A \\"B\\" C"',
            "x  y",
            "",
        ),
    ]
)
EMAILS = st.sampled_from(
    ["a@b.no", "kari.n+x@example.org", "a@b@c", "a b@c", '"q"@c', "mailto:a@b", "@", "a@", "=?x?=@b"]
)
ONE = st.builds(
    lambda name, gap, opening, email, closing: f"{name}{gap}{opening}{email}{closing}",
    *(
        NAMES,
        st.sampled_from([" ", "", "  "]),
        st.sampled_from(["<", "", "<<"]),
        EMAILS,
        st.sampled_from([">", "", " (x)"]),
    ),
)


@given(st.lists(st.one_of(ONE, st.text(max_size=6)), max_size=4), st.sampled_from([", ", ",", "; ", " "]))
@example(["Kari <a@b.no>", "c@d.no"], ", ")
def test_addresses_are_the_same_by_both_ways(several: list[str], gap: str) -> None:
    value = gap.join(several)
    assert addresses.address_field(value) == addresses.parse_address_field(value)


@given(
    st.sampled_from(["Mon, ", "mon, ", "", "Mon,", "Foo, "]),
    st.integers(0, 40),
    st.sampled_from(["Jan", "Feb", "jan", "Foo"]),
    st.sampled_from(["2024", "1899", "99", "2100", "0024"]),
    st.tuples(st.integers(0, 25), st.integers(0, 61), st.integers(0, 99)),
    st.sampled_from(["+0000", "-0000", "+0530", "-0930", "+1459", "+9999", "GMT", "EST", "", "+1", "+0099"]),
    st.sampled_from(["", " (CET)", " (a b)", " ", "x"]),
)
def test_dates_are_the_same_by_both_ways(
    day: str, number: int, month: str, year: str, time: tuple[int, int, int], zone: str, rest: str
) -> None:
    value = f"{day}{number} {month} {year} {time[0]:02}:{time[1]:02}:{time[2]:02} {zone}{rest}"
    assert header.parse_date(value) == header._odd_date(value)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["<a@b>", "<a@b>", " ", "<c d@e>", "x@y", "<", ">", "(c@d)", "<æ@b>", "<>"]),
            st.text(max_size=3),
        )
    )
)
def test_message_ids_are_the_same_by_both_ways(words: list[str]) -> None:
    value = "".join(words)
    assert header.message_ids(value) == tuple(dict.fromkeys(header._odd_ids(value)))


def test_fields_are_decoded_when_asked_for() -> None:
    fields = header.parse_header(b"X-Thing: =?utf-8?Q?=C3=A5?=\r\nX-Thing: b\r\n\r\n").fields
    assert "x-thing" in fields
    assert fields == {"x-thing": ["å", "b"]}

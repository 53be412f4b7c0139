"""Colours for the dark, as numbers; tests/unit/test_html_chromium.py asks a browser what comes of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.html import colours
from webmail.html.css import clean_style

channel = st.floats(0, 1)
colour = st.tuples(channel, channel, channel)


def luminance(rgb: colours.Rgb) -> float:
    """WCAG 2.2, relative luminance."""
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: colours.Rgb, other: colours.Rgb) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@given(colour)
def test_every_ground_becomes_dark_and_every_text_light(rgb: colours.Rgb) -> None:
    assert luminance(colours.adapted(rgb, colours.GROUND)) < 0.25
    assert luminance(colours.adapted(rgb, colours.INK)) > 0.3


@given(colour, colour)
def test_no_pair_of_colours_becomes_dark_on_dark_or_light_on_light(ground: colours.Rgb, ink: colours.Rgb) -> None:
    there = colours.adapted(ground, colours.GROUND)
    written = colours.adapted(ink, colours.INK)
    assert luminance(written) > luminance(there)
    if contrast(ground, ink) >= 7 and luminance(ink) < luminance(ground):
        assert contrast(there, written) > 3.5


@given(colour)
def test_any_text_is_readable_on_what_white_and_light_grey_become(ink: colours.Rgb) -> None:
    for light in (1.0, 0.95):
        ground = colours.adapted((light, light, light), colours.GROUND)
        assert contrast(ground, colours.adapted(ink, colours.INK)) > 4.5


@pytest.mark.parametrize("rgb", [(0.04, 0.34, 0.82), (0, 0, 0), (0.1, 0.1, 0.1), (0.5, 0, 0.1)])
def test_grounds_for_white_text_stay_as_they_are(rgb: colours.Rgb) -> None:
    assert colours.adapted(rgb, colours.GROUND) == rgb


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("color:black", "color:light-dark(#000,#"),
        ("color:rgb(0 0 0 / 50%)", "color:light-dark(#00000080,#"),
        ("color:RGBA(0,0,0,.5)", "color:light-dark(#00000080,#"),
        ("background:hsl(0, 0%, 100%)", "background-color:light-dark(#fff,#181818)"),
        ("border:1px solid #EEEEEE", "border:1px solid light-dark(#eee,#"),
        ("color:white", "color:#fff"),
        ("color:inherit", "color:inherit"),
        ("color:windowtext", "color:windowtext"),
        ("font-family:Tan,Navy", "font-family:Tan,Navy"),
        ("color:light-dark(#000,#000)", "color:light-dark(#000,#e"),
        ("color:light-dark(light-dark(#000,#111),#222)", "color:light-dark(#000,#e"),
        ("color:light-dark(url(x),#000)", ""),
        ("color:rgb(var(--x),0,0)", ""),
        ("color:oklch(0.5 0.1 20)", ""),
        ("color:rgb(0,0,0,0,0,0,0)", ""),
        ("color:light-dark()", ""),
    ],
)
def test_each_colour_is_written_for_both_rooms(theirs: str, ours: str) -> None:
    found = clean_style(theirs)
    assert found.startswith(ours)
    assert bool(found) == bool(ours)
    assert clean_style(found) == found


@pytest.mark.parametrize(
    ("value", "colour"),
    [("#FFF", "#fff"), ("ffffff", "#ffffff"), (" Red ", "red"), ("#c0ffee", "#c0ffee"), ("chucknorris", "#c00000"),
     ("", ""), ("transparent", ""), ("#xyz", "#000000"), ("red;background:url(x)", "#ed0000"), ("0" * 500, "#000000")],
)  # fmt: skip
def test_colours_of_attributes_are_read_as_browsers_do(value: str, colour: str) -> None:
    assert colours.legacy(value) == colour


@given(st.text())
def test_no_attribute_becomes_more_than_a_colour(value: str) -> None:
    assert re.fullmatch(r"#[0-9a-f]{3}|#[0-9a-f]{6}|[a-z]+|", colours.legacy(value))


@given(st.text(alphabet="rgbahsl()0123456789.,%/ -+e#lightdark\\\"'nonecalc", max_size=40))
def test_no_colour_raises(value: str) -> None:
    once = clean_style(f"color:{value};border:1px solid {value}")
    assert clean_style(once) == once

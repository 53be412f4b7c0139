"""Colours for dark rooms: ``light-dark(theirs, ours)`` in place of each colour, so that one cleaned body serves a light
and a dark page and the document alone says which (CSS Color 5 §8; every browser since the spring of 2024).

Text, grounds and lines are each mapped by a rule of their own, whatever they stand on: a ground ends dark, a text ends
light, so neither dark on dark nor light on light can come of any combination. What is made for the dark already (light
text, dark or strong grounds: a brand's button) stays as it is, and so do pictures, which a filter over the page would
turn into negatives of themselves. Lightness is OKLab's (CSS Color 4 §9.2), in which equal steps look equal."""

from __future__ import annotations

import re
from functools import lru_cache

from tinycss2 import color4

Rgb = tuple[float, float, float]
INK, GROUND, LINE = "ink", "ground", "line"
_LIGHT_INK = 0.72  # text at least as light as this is readable on any ground that comes out of here
_DARK_GROUND = 0.55  # white text is readable on it
_PAPER = 0.21  # what white paper becomes; the document's own paper in the dark is the same
_FORMS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_HEX = re.compile(r"[0-9a-fA-F]")


def role_of(name: str) -> str | None:
    """What a property colours; None if it has no colour."""
    if name == "color" or name.startswith("text-decoration"):
        return INK
    if name.startswith("background"):
        return GROUND
    return LINE if name.startswith("border") and not name.endswith("radius") else None


def value_of(token, role: str) -> str:
    """A colour by hash, name or function (CSS Color 4 §4) for both rooms; "" for anything else. What we wrote
    ourselves is read as its first half, so nobody else's second half counts."""
    if token.type == "function":
        if token.lower_name == "light-dark":
            return next((value_of(part, role) for part in token.arguments if part.type != "whitespace"), "")
        if token.lower_name not in _FORMS or len(token.arguments) > 20:
            return ""
    elif token.type not in ("hash", "ident"):
        return ""
    return _both(token.serialize(), role)


@lru_cache(maxsize=8192)
def _both(text: str, role: str) -> str:
    try:
        colour = color4.parse_color(text)
    except (NotImplementedError, ValueError, ZeroDivisionError):
        return ""
    if colour is None or isinstance(colour, str):
        return ""
    red, green, blue = (min(max(part or 0.0, 0.0), 1.0) for part in colour.to("srgb").coordinates)
    alpha = min(max(colour.alpha, 0.0), 1.0)
    light = _written((red, green, blue), alpha)
    dark = _written(adapted((red, green, blue), role), alpha)
    return light if light == dark or not alpha else f"light-dark({light},{dark})"


def adapted(rgb: Rgb, role: str) -> Rgb:
    """The colour for a dark room: of the same hue, its lightness where its role needs it."""
    lightness, a, b = _oklab(rgb)
    if role == INK:
        wanted = lightness if lightness >= _LIGHT_INK else 0.92 - (0.92 - _LIGHT_INK) / _LIGHT_INK * lightness
    elif role == GROUND:
        above = lightness - _DARK_GROUND
        wanted = lightness if above <= 0 else _DARK_GROUND - above * (_DARK_GROUND - _PAPER) / (1 - _DARK_GROUND)
    else:
        wanted = 0.85 - 0.58 * lightness
    return rgb if wanted == lightness else _within(wanted, a, b)


def _within(lightness: float, a: float, b: float) -> Rgb:
    """The most colourful one of this lightness and hue that a screen has."""
    for part in (1.0, 0.8, 0.6, 0.4, 0.2, 0.0):
        red, green, blue = _srgb(lightness, a * part, b * part)
        if all(-0.003 <= channel <= 1.003 for channel in (red, green, blue)):
            break
    return min(max(red, 0.0), 1.0), min(max(green, 0.0), 1.0), min(max(blue, 0.0), 1.0)


def _oklab(rgb: Rgb) -> tuple[float, float, float]:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _srgb(lightness: float, a: float, b: float) -> Rgb:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in linear)
    return red, green, blue


def _written(rgb: Rgb, alpha: float) -> str:
    """``#rgb``, ``#rrggbb`` or ``#rrggbbaa``."""
    pairs = [f"{round(part * 255):02x}" for part in ((*rgb, alpha) if alpha < 1 else rgb)]
    return "#" + "".join(pair[0] for pair in pairs if pair[0] == pair[1]) if _short(pairs) else "#" + "".join(pairs)


def _short(pairs: list[str]) -> bool:
    return all(pair[0] == pair[1] for pair in pairs)


def legacy(value: str) -> str:
    """The colour that a bgcolor, color or text attribute means (HTML §2.3.6), as CSS; "" for none."""
    value = value.strip()
    if not value or value.lower() == "transparent":
        return ""
    if value.isalpha() and _both(value, INK):
        return value.lower()
    if value[0] == "#" and len(value) == 4 and all(map(_HEX.match, value[1:])):
        return value.lower()
    digits = "".join(char if _HEX.match(char) else "0" for char in value[:128].removeprefix("#")) or "0"
    digits += "0" * (-len(digits) % 3)
    size = len(digits) // 3
    parts = [digits[start : start + size][-8:] for start in (0, size, 2 * size)]
    while size > 2 and all(part[0] == "0" for part in parts) and len(parts[0]) > 2:
        parts = [part[1:] for part in parts]
    return "#" + "".join(part[:2].rjust(2, "0") for part in parts).lower()

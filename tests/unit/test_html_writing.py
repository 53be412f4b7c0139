"""What a person writes in rich text, and quotes in it, goes out as HTML that loads and runs nothing."""

import pytest

from webmail.html import writing

LOADS = [
    'background:image-set("http://evil.test/x" 1x)',
    "background:image('//evil.test')",
    "background:-webkit-cross-fade(url(//evil.test/x), red)",
    "background:u\\72l(//evil.test/x)",
    "background:url/**/(//evil.test/x)",
    "background-color:var(--x)",
    "width:expression(alert(1))",
    "list-style:src('//evil.test/x')",
    "color:attr(x)",
    "background:paint(x)",
    "background:element(#x)",
]


@pytest.mark.parametrize("style", LOADS)
def test_a_style_that_could_load_something_is_left_out(style: str) -> None:
    quoted = style.replace('"', "&quot;")
    for source in (f'<p style="{quoted}">x</p>', f"<style>p{{{style}}}</style><p>x"):
        assert writing.written(source) == "<p>x</p>"


def test_the_declarations_beside_it_stay() -> None:
    assert writing.written('<p style="color:#123456;background:url(//evil.test);font-weight:bold">x</p>') in (
        '<p style="color:#123456;font-weight:bold">x</p>',
        '<p style="color: #123456; font-weight: bold">x</p>',
    )


@pytest.mark.parametrize("style", ["font-size:999999px", "line-height:99999999", "width:1e9px", "height:1E+9em"])
def test_nothing_is_blown_up_beyond_what_a_browser_can_draw(style: str) -> None:
    assert writing.written(f'<p style="{style}">x</p>') == "<p>x</p>"


@pytest.mark.parametrize(
    "style",
    [
        "color:#123456",
        "color:rgb(1, 2, 3)",
        "background-color:hsl(120deg 50% 50%)",
        "margin:0 0 0 0.8ex",
        "width:600px",
    ],
)
def test_what_editors_write_stays(style: str) -> None:
    name, _, value = style.partition(":")
    (kept,) = (part.split(":") for part in writing.written(f'<p style="{style}">x</p>').split('"')[1].split(";"))
    assert (kept[0].strip(), kept[1].strip()) == (name, value)

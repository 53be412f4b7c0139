"""Messages on paper: one document of cleaned HTML, with what stands at the head of each as text.

It is a body document as webmail.html.document makes them, and served with the same policy; script would be of no use to
it. The head of a message lies above its text, so that no margin of a hostile one covers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from webmail.html.document import shell_of

FEW_LINKS = 12  # a letter has no more, and their addresses can be read; a newsletter's are of no use on paper

_PAPER = """
html{background:#fff}body{margin:0 auto;padding:24px;max-width:52rem;font-size:15px}
.bar{display:flex;flex-wrap:wrap;gap:4px 16px;padding:8px 12px;margin-bottom:24px;background:#eef1f4;border-radius:8px;font-size:14px}
.bar b{font-weight:600;flex:1 1 12rem}
h1{font-size:22px;line-height:1.3;margin:0 0 12px}
.letter+.letter{margin-top:28px;padding-top:20px;border-top:2px solid #888}
.head{position:relative;z-index:1;background:#fff;margin-bottom:16px;padding-bottom:12px;border-bottom:1px solid #bbb;
break-inside:avoid;break-after:avoid}
.head dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:0;font-size:14px;line-height:1.45}
.head dt{color:#555}.head dd{margin:0;overflow-wrap:anywhere}
.message{position:relative;z-index:0;max-width:100%;overflow-x:auto}
.message.plain{white-space:pre-wrap}
.message.links a[href^="http"]::after{content:" <" attr(href) ">";font-size:.8em;color:#555;overflow-wrap:anywhere;text-decoration:none}
.message.links a[href^="http"]:has(img)::after{content:none}
.quote>summary{display:none}
@page{margin:16mm 15mm}
@media print{
body{padding:0;max-width:none;font-size:11pt}.bar{display:none}
h1{font-size:16pt;break-after:avoid}.head dl{font-size:10pt}
.message{overflow:visible;orphans:3;widows:3}
.message :is(table,tbody,tr,td,th,div,p,img,pre){max-width:100%!important;min-width:0!important}
.message :is(div,table,td,section){overflow:visible!important;max-height:none!important}
img,tr{break-inside:avoid}a{color:inherit}
:is(h1,h2,h3,h4){break-after:avoid}
}
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """``head`` is (title, text) for each line above ``fragment``, which clean() or text_to_html() made."""

    head: Sequence[tuple[str, str]]
    fragment: str
    plain: bool


def paper(subject: str, letters: Sequence[Letter], bar: Sequence[tuple[str, str]], *, lang: str, links: bool) -> str:
    """``bar`` is what stands above on a screen: words, and where they lead, "" for nowhere. ``links`` shows the addresses of
    all links, and not only of those in letters."""
    words = "".join(
        f'<a href="{escape(url)}">{escape(text)}</a>' if url else f"<b>{escape(text)}</b>" for text, url in bar
    )
    return (
        f'<!doctype html><html lang="{escape(lang)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(subject)}</title><style>:root{{color-scheme:only light}}{shell_of('.message')}{_PAPER}</style></head>"
        f'<body><nav class="bar">{words}</nav><main><h1 dir="auto">{escape(subject)}</h1>'
        f"{''.join(_written(letter, links) for letter in letters)}</main></body></html>"
    )


def _written(letter: Letter, links: bool) -> str:
    rows = "".join(f'<dt>{escape(title)}</dt><dd dir="auto">{escape(text)}</dd>' for title, text in letter.head)
    shown = links or (not letter.plain and letter.fragment.count("<a ") <= FEW_LINKS)
    kind = "message" + (" plain" if letter.plain else "") + (" links" if shown and not letter.plain else "")
    # Only we write this element (webmail.html.rules), and a quote mark in an attribute is never written as one.
    unfolded = letter.fragment.replace('<details class="quote">', '<details class="quote" open>')
    return f'<article class="letter"><div class="head"><dl>{rows}</dl></div><div class="{kind}" dir="auto">{unfolded}</div></article>'

"""The body document: the page of its own that a message is shown in (its policy is set where it is served).

Cleaned HTML carries each colour twice, ``light-dark(theirs, ours)``: which of them counts is decided here alone, by the
``color-scheme`` of the page."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Literal
from zlib import crc32

from django.utils.translation import get_language
from django.utils.translation import gettext as _

Theme = Literal["system", "light", "dark"]
_SCHEMES: dict[str, str] = {"system": "light dark", "light": "only light", "dark": "only dark"}

# Colours of quotes have 4.5:1 on their ground in both schemes (WCAG 2.2 §1.4.3). The paper in the dark is what white
# becomes in webmail.html.colours, so that a white table on it has no edge.
_SHELL = """
html{background:light-dark(#fff,#181818);color:light-dark(#1a1a1a,#e3e3e3)}
body{margin:0;padding:16px;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif;
overflow-wrap:anywhere;-webkit-text-size-adjust:100%;text-size-adjust:100%}
#message{max-width:100%;overflow:auto hidden;position:relative}
#message .body{padding:16px!important;width:auto!important;max-width:none!important;height:auto!important}
#message:has(>.body){margin:-16px;max-width:none}
img{max-width:100%;height:auto}
img:not([src]){min-width:1em;min-height:1em;outline:1px dashed #8888;outline-offset:-1px;color:light-dark(#666,#aaa);font-size:12px}
table{overflow-wrap:break-word;max-width:100%}
td,th{overflow-wrap:break-word}
pre{white-space:pre-wrap}
hr{border:0;border-top:1px solid light-dark(#ccc,#444)}
blockquote{margin:0 0 0 4px;padding-inline-start:12px;border-inline-start:2px solid light-dark(#bbb,#555)}
a{color:light-dark(#0b57d0,#9bb9ec)}
.quote>summary{display:inline-block;margin:8px 0;padding:2px 10px;border-radius:10px;cursor:pointer;list-style:none;
font:13px/20px system-ui,sans-serif;background:light-dark(#e8eaed,#333);color:light-dark(#3c4043,#d5d5d5)}
.quote>summary::-webkit-details-marker{display:none}
.quote>summary:focus-visible{outline:2px solid;outline-offset:2px}
.quote>summary:empty::before{content:"SHOW"}
.quote[open]>summary:empty::before{content:"HIDE"}
::highlight(hit){background-color:light-dark(#ffe69a,#6b5200);color:light-dark(#1a1a1a,#fff)}
::highlight(hit-here){background-color:light-dark(#ff9d3d,#c96a00);color:light-dark(#1a1a1a,#fff)}
@media(max-width:640px){
body{padding:12px}
#message:has(>.body){margin:-12px}
#message .body{padding:12px!important}
#message :is(table,tbody,thead,tr,td,th,div,p,center,img){min-width:0!important;max-width:100%!important}
#message :is(table,td,th)[width],#message :is(table,td,th,div)[style*="width"]{box-sizing:border-box}
#message table{table-layout:auto!important}
#message table:is([width],[style*="width:"]):not([width$="%"],[style*="width:100%"]){width:auto!important}
#message td,#message th{white-space:normal!important}
}
@media(max-width:480px){
#message div[style*="inline-block"]:is([style*="width:50%"],[style*="width:33"],[style*="width:66"],[style*="width:25%"],
[style*="width:75%"],[style*="width:40%"],[style*="width:60%"]){width:100%!important;max-width:100%!important}
}
@media print{
:root{color-scheme:only light!important}body{padding:0}.quote>summary{display:none}
.quote::details-content{content-visibility:visible;display:block}
}
"""

_PLAIN = """
:root{--q1:light-dark(#1f5fa8,#8ab4f8);--q2:light-dark(#0b6b4f,#7bd6b0);--q3:light-dark(#8a4b00,#f2b36b);
--q4:light-dark(#6b3fa0,#c9a7f5);--soft:light-dark(#5f6368,#9aa0a6)}
#message{white-space:pre-wrap;max-width:80ch}
blockquote{margin:0;border-color:currentColor}
.q1{color:var(--q1)}.q2{color:var(--q2)}.q3{color:var(--q3)}.q4{color:var(--q4)}
.sig{color:var(--soft)}
a{color:inherit;text-decoration:underline}
"""

# Dark lettering on a transparent ground, as logos are, gets a rim of light; a photograph does not show it.
_RIM = "img[src]{filter:drop-shadow(0 0 .5px #fff) drop-shadow(0 0 1px #fff9)}"

SHELLS = crc32("".join((_SHELL, _PLAIN, _RIM)).encode())  # changes when one of them does


def document(fragment: str, *, lang: str = "", plain: bool, theme: Theme = "light", original: bool = False) -> str:
    """A whole document around a fragment that clean() or text_to_html() made; it goes in untouched.

    ``theme`` is the reader's. In the dark, colours are adapted, unless the message says that it is made for light only
    or the reader wants the ``original`` ones; one made for the dark alone stays dark."""
    if original or (not plain and fragment.startswith('<div class="body light"')):
        theme = "light"
    elif not plain and fragment.startswith('<div class="body dark"'):
        theme = "dark"
    rim = {"light": "", "dark": _RIM, "system": f"@media(prefers-color-scheme:dark){{{_RIM}}}"}[theme]
    style = f":root{{color-scheme:{_SCHEMES[theme]}}}{_labelled(_SHELL)}{_PLAIN if plain else rim}"
    language = f' lang="{escape(lang)}"' if lang else ""
    return (
        f'<!doctype html><html{language}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="referrer" content="no-referrer"><title></title><style>{style}</style></head>'
        f'<body><div id="message" dir="auto">{fragment}</div></body></html>'
    )


def shell_of(selector: str) -> str:
    """The style of documents of ours that have another element, or several, around what clean() made."""
    return _labelled(_SHELL).replace("#message", selector)


def _labelled(style: str) -> str:
    """With the words for what is folded, in the reader's language. The message was cleaned for readers of any."""
    return _labelled_in(get_language(), style)


@lru_cache(maxsize=100)
def _labelled_in(_language: str | None, style: str) -> str:
    for name, text in (("SHOW", _("Show quoted text")), ("HIDE", _("Hide quoted text"))):
        style = style.replace(f'"{name}"', '"' + "".join(f"\\{ord(char):x} " for char in text) + '"')
    return style

"""The body document: the page of its own that a message is shown in (its policy is set where it is served)."""

from __future__ import annotations

from html import escape

# Colours of quotes have 4.5:1 on their ground in both schemes (WCAG 2.2 §1.4.3).
_SHELL = """
:root{color-scheme:only light}
html{background:#fff;color:#1a1a1a}
body{margin:0;padding:16px;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",Arial,sans-serif;
overflow-wrap:anywhere;-webkit-text-size-adjust:100%;text-size-adjust:100%}
#message{max-width:100%;overflow-x:auto}
img{max-width:100%;height:auto}
img:not([src]){min-width:1em;min-height:1em;outline:1px dashed #aaa;outline-offset:-1px;color:#666;font-size:12px}
table{overflow-wrap:normal}
pre{white-space:pre-wrap}
blockquote{margin:0 0 0 4px;padding-inline-start:12px;border-inline-start:2px solid #bbb}
a{color:#0b57d0}
@media print{body{padding:0}}
"""

_PLAIN = """
:root{color-scheme:only light;--q1:#1f5fa8;--q2:#0b6b4f;--q3:#8a4b00;--q4:#6b3fa0;
--ink:#1a1a1a;--paper:#fff;--soft:#5f6368}
html{background:var(--paper);color:var(--ink)}
#message{white-space:pre-wrap;max-width:80ch}
blockquote{margin:0;border-color:currentColor}
.q1{color:var(--q1)}.q2{color:var(--q2)}.q3{color:var(--q3)}.q4{color:var(--q4)}
.sig{color:var(--soft)}
a{color:inherit;text-decoration:underline}
"""

_DARK = """:root{color-scheme:dark;--q1:#8ab4f8;--q2:#7bd6b0;--q3:#f2b36b;--q4:#c9a7f5;
--ink:#e8e6e3;--paper:#17181b;--soft:#9aa0a6}"""


def document(fragment: str, *, lang: str = "", plain: bool, dark: bool = False) -> str:
    """A whole document around a fragment that clean() or text_to_html() made; it goes in untouched. HTML mail is on
    white paper whatever the theme, because its colours were chosen for that; ``dark`` applies to ``plain`` alone."""
    style = _SHELL + (_PLAIN + (_DARK if dark else "") if plain else "")
    language = f' lang="{escape(lang)}"' if lang else ""
    return (
        f'<!doctype html><html{language}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="referrer" content="no-referrer"><title></title><style>{style}</style></head>'
        f'<body><div id="message" dir="auto">{fragment}</div></body></html>'
    )

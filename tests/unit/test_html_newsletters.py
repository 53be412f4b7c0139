# ruff: noqa: E501  (mail is not broken into lines)
"""Mail as shops, newspapers and word processors write it, 100 kB each: it keeps its looks, and most of it comes again."""

from __future__ import annotations

import re

import pytest

from webmail.html import Cleaned, clean, sheet
from webmail.html.tidy import Tidy
from webmail.html.tokens import tokens_of

COLOURS = ("#1a1a1a", "#0b57d0", "#e60023", "#00a650", "#ff6600", "#666666", "#ffcc00", "rgb(51, 51, 51)")


def mjml() -> str:
    """Columns in conditional comments for Outlook, classes for widths, a style block with media queries."""
    head = """<!doctype html><html lang="nb" xmlns:v="urn:schemas-microsoft-com:vml"><head><title>Høstnytt</title>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8"><meta name="viewport" content="width=device-width">
<!--[if mso]><noscript><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml></noscript><![endif]-->
<style type="text/css">#outlook a{padding:0} body{margin:0;padding:0;-webkit-text-size-adjust:100%;background-color:#f4f4f4}
table,td{border-collapse:collapse;mso-table-lspace:0pt} img{border:0;height:auto;line-height:100%;outline:none}
p{display:block;margin:13px 0} .card{background:#ffffff;border-radius:6px} .card h2{color:#1a1a1a;font-size:20px!important}
.price{color:#e60023;font-weight:bold} .btn{background:#0b57d0!important;color:#ffffff} td > .old{text-decoration:line-through;color:#999}
.tag + .price{margin-left:4px} .card p:first-child{margin-top:0}</style>
<style type="text/css">@media only screen and (min-width:480px){.col-50{width:50%!important;max-width:50%}}
@media (prefers-color-scheme: dark){body{background:#000!important} .card{background:#222!important}}
@media print{.noprint{display:none}} @import url(https://fonts.example/css?family=Lato); @font-face{font-family:Lato;src:url(https://fonts.example/l.woff)}</style>
</head><body style="word-spacing:normal;background-color:#f4f4f4"><div style="display:none;max-height:0;overflow:hidden">Forhåndsvisning</div>
<div style="background-color:#f4f4f4;">"""
    row = """<!--[if mso | IE]><table align="center" border="0" cellpadding="0" cellspacing="0" class="" style="width:600px;" width="600"><tr><td style="line-height:0px;"><![endif]-->
<div class="card" style="margin:0px auto;max-width:600px;"><table align="center" border="0" cellpadding="0" cellspacing="0" role="presentation" style="width:100%;"><tbody><tr>
<td style="direction:ltr;font-size:0px;padding:{pad}px 0;text-align:center;"><div class="col-50" style="font-size:0px;text-align:left;direction:ltr;display:inline-block;vertical-align:top;width:100%;">
<table border="0" cellpadding="0" cellspacing="0" role="presentation" style="vertical-align:top;" width="100%"><tbody><tr><td align="center" style="font-size:0px;padding:10px 25px;word-break:break-word;">
<img alt="Vare {n}" height="auto" src="https://cdn.shop.example/{n}/bilde.jpg?w=550" style="border:0;display:block;outline:none;text-decoration:none;height:auto;width:100%;font-size:13px;" width="275"></td></tr>
<tr><td align="left" style="font-size:0px;padding:10px 25px;word-break:break-word;"><div style="font-family:Lato,Helvetica,Arial,sans-serif;font-size:{size}px;line-height:1.5;text-align:left;color:{colour};"><h2>Vare &amp; tilbehør nr. {n}</h2><p><span class="tag">Nyhet</span> <span class="price">kr {n}9,&ndash;</span> <s class="old">kr {n}99</s></p></div></td></tr>
<tr><td align="center" style="padding:10px 25px"><a class="btn" href="https://klikk.shop.example/ls/click?upn={n}&amp;utm_source=nyhetsbrev&amp;utm_medium=email" style="display:inline-block;padding:10px 25px;border-radius:3px;font-size:14px;text-decoration:none" target="_blank">Kjøp n&aring;</a></td></tr></tbody></table></div></td></tr></tbody></table></div>
<!--[if mso | IE]></td></tr></table><![endif]-->"""  # fmt: skip
    rows = (row.format(n=n, pad=10 + n % 7, size=13 + n % 5, colour=COLOURS[n % 8]) for n in range(57))
    pixel = '<img src="https://klikk.shop.example/wf/open?upn=abc" alt="" width="1" height="1" border="0">'
    return head + "".join(rows) + pixel + "</div></body></html>"


def nested() -> str:
    """Tables in tables in tables, every cell with a style of its own, attributes of the last century."""
    cell = """<tr><td bgcolor="{ground}" style="padding:{a}px {b}px {a}px {b}px;border-left:{c}px solid {colour}"><table width="100%" border=0 cellspacing=0 cellpadding=0><tr>
<td width="{w}" valign="top" style="width:{w}px;font-family:Georgia,'Times New Roman',serif;font-size:{size}px;line-height:{line}px;color:{colour}"><table border="0" cellpadding="{c}"><tr><td><a href="https://avis.example/sak/{n}?mc_cid=1&mc_eid=2"><img src="https://img.avis.example/{n}.jpg" width="{w}" height="{b}0" style="display:block;width:{w}px;max-width:{w}px" border="0"></a></td></tr></table></td>
<td style="padding-left:{b}px;font:normal {size}px/{line}px Arial,Helvetica,sans-serif;color:#{n:03d}{n:03d}"><font face="Arial" size="2" color="#333333"><b>Sak {n}: det som skjedde</b><br>En ingress p&aring; et par linjer om det som skjedde, skrevet for &aring; leses.&nbsp;<a href="https://avis.example/sak/{n}" style="color:{colour};text-decoration:underline">Les mer&nbsp;&raquo;</a></font></td></tr></table></td></tr>
"""  # fmt: skip
    rows = (
        cell.format(
            n=n,
            a=4 + n % 9,
            b=8 + n % 11,
            c=n % 4,
            w=120 + n % 40,
            size=12 + n % 6,
            line=18 + n % 8,
            colour=COLOURS[n % 8],
            ground=("#ffffff", "#f7f7f7", "white", "eeeeee")[n % 4],
        )
        for n in range(105)
    )
    return (
        '<html><body bgcolor="#dddddd" text="#222222"><center><table width="700" bgcolor="#ffffff">'
        + "".join(rows)
        + "</table></center></body></html>"
    )


def word() -> str:
    """What Outlook makes of a letter, with the letter that it answers."""
    head = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta name="Generator" content="Microsoft Word 15"><style><!--
@font-face {font-family:"Cambria Math";panose-1:2 4 5 3 5 4 6 3 2 4;}
p.MsoNormal, li.MsoNormal, div.MsoNormal {margin:0cm;font-size:11.0pt;font-family:"Calibri",sans-serif;mso-fareast-language:EN-US;}
a:link, span.MsoHyperlink {mso-style-priority:99;color:#0563C1;text-decoration:underline;}
span.EmailStyle17 {mso-style-type:personal-compose;font-family:"Calibri",sans-serif;color:windowtext;}
@page WordSection1 {size:612.0pt 792.0pt;margin:72.0pt 72.0pt 72.0pt 72.0pt;} div.WordSection1 {page:WordSection1;}
--></style><!--[if gte mso 9]><xml><o:shapedefaults v:ext="edit" spidmax="1026" /></xml><![endif]--></head>
<body lang="NO-BOK" link="#0563C1" vlink="#954F72" style="word-wrap:break-word"><div class="WordSection1">"""
    para = """<p class="MsoNormal"><span lang="EN-GB" style="font-size:{size}.0pt;font-family:&quot;Segoe UI&quot;,sans-serif;color:{colour};mso-fareast-language:NO-BOK">Avsnitt {n} av et langt brev, der hvert avsnitt har en stil for seg, slik bare tekstbehandlere skriver.</span><o:p></o:p></p>
<p class="MsoNormal"><o:p>&nbsp;</o:p></p>
<table class="MsoTableGrid" border="1" cellspacing="0" cellpadding="0" style="border-collapse:collapse;border:none"><tr><td width="{w}" valign="top" style="width:{w}.75pt;border:solid windowtext 1.0pt;padding:0cm 5.4pt 0cm 5.4pt"><p class="MsoNormal"><b>Felt {n}</b><o:p></o:p></p></td></tr></table>
"""  # fmt: skip
    header = """<div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>Fra:</b> Ola &lt;ola@example.no&gt; <br><b>Sendt:</b> mandag<br><b>Til:</b> Kari<br><b>Emne:</b> Sak</p></div></div>"""
    paras = [para.format(n=n, size=9 + n % 5, w=100 + n, colour=COLOURS[n % 8]) for n in range(158)]
    return head + "".join(paras[:40]) + header + "".join(paras[40:]) + "</div></body></html>"


LETTERS = {"mjml": mjml, "nested": nested, "word": word}


def cleaned(name: str) -> Cleaned:
    return clean(LETTERS[name](), cid=lambda _cid: None)


@pytest.mark.parametrize("name", LETTERS)
def test_a_newsletter_is_cleaned_the_short_way(name: str) -> None:
    """The form that tidy and css-inline write is the one that webmail.html.tokens reads; else cleaning takes thrice as long."""
    tidy = Tidy(LETTERS[name]())
    assert sum(1 for _token in tokens_of(tidy.html)) > 1_000
    body, html = sheet.inlined(tidy.css, tidy.body, tidy.html, tidy.elements, tidy.depth)
    assert sum(1 for _token in tokens_of(f"<div{body}>{html}</div>")) > 1_000


def test_columns_and_rules_of_a_style_sheet_are_kept() -> None:
    found = cleaned("mjml")
    assert found.html.count("display:inline-block;vertical-align:top;width:50%") == 57
    assert found.html.count("border-radius:6px") == 57
    assert found.html.startswith('<div class="body" style="margin:0;padding:0;')
    assert found.html.count("font-weight:bold;margin-left:4px") == 57  # .tag + .price
    assert "#outlook" not in found.html
    assert "OfficeDocumentSettings" not in found.html
    assert (len(found.remote), found.trackers) == (58, 1)  # no font, no style sheet
    assert "utm_" not in found.html


def test_attributes_of_the_last_century_colour_too() -> None:
    html = cleaned("nested").html
    assert "bgcolor" not in html
    assert "background-color:light-dark(#ddd,#" in html
    assert html.count("color:light-dark(#333,#") >= 105


def test_what_outlook_writes_is_read_and_its_quote_folded() -> None:
    found = cleaned("word")
    before, fold, inside = found.html.partition('<details class="quote">')
    assert fold
    assert "Avsnitt 39" in before
    assert "Avsnitt 40" not in before
    assert inside.count("Avsnitt") == 118
    assert re.search(r"o:p|mso-|MsoNormal|shapedefaults", found.html) is None
    assert "solid windowtext 1pt" in found.html

"""A PDF is shown only if it is certain that opening it does nothing."""

from __future__ import annotations

import random
import zlib

import pytest

from webmail.mime import pdf

PAGES = (
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\n"
)
SCRIPT = b"<</S/JavaScript/JS(app.alert(1))>>"


def file(catalog: bytes = b"", more: bytes = b"") -> bytes:
    return b"%%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R%s>>endobj\n%s%strailer<</Root 1 0 R>>\n%%%%EOF" % (
        catalog, PAGES, more,
    )  # fmt: skip


def packed(
    *objects: tuple[int, bytes], dictionary: bytes = b"/Type/ObjStm/N %d/First %d/Length %d/Filter/FlateDecode"
) -> bytes:
    header, body = b"", b""
    for number, text in objects:
        header += b"%d %d " % (number, len(body))
        body += text + b" "
    content = zlib.compress(header + body)
    values = (len(objects), len(header), len(content))[: dictionary.count(b"%d")]
    return b"9 0 obj<<%s>>stream\n%s\nendstream endobj\n" % (dictionary % values, content)


STILL = {
    "pages": file(),
    "a destination to open at": file(b"/OpenAction[3 0 R/Fit]"),
    "an action that goes to a page": file(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]>>"),
    "that, elsewhere": file(b"/OpenAction 7 0 R", b"7 0 obj<</Type/Action/S/GoTo/D[3 0 R/Fit]>>endobj\n"),
    "that, packed": file(b"/OpenAction 7 0 R", packed((7, b"<</S/GoTo/D[3 0 R/Fit]>>"), (8, b"[1 2]"))),
    "links": file(more=b"5 0 obj<</Type/Annot/Subtype/Link/A<</S/URI/URI(http://a.example/)>>>>endobj\n"),
    "words about script": file(more=b"5 0 obj<</Title(JavaScript and JS)/JSON 1/Launcher 2>>endobj\n"),
    "packed objects": file(more=packed((7, b"<</Type/Annot/Subtype/Text>>"))),
    "a structure": file(more=b"5 0 obj<</Type/StructElem/S/P>>endobj\n"),
}
MOVES = {
    "objects in a stream as they are": file(
        more=b"9 0 obj<</Type/ObjStm/N 1/First 4/Length 9>>stream\n7 0 [1 2]\nendstream endobj\n"
    ),
    "script on opening": file(b"/OpenAction" + SCRIPT),
    "script elsewhere": file(b"/OpenAction 7 0 R", b"7 0 obj" + SCRIPT + b"endobj\n"),
    "script in the tree of names": file(b"/Names<</JavaScript<</Names[(a)7 0 R]>>>>"),
    "script of a page": file(more=b"4 0 obj<</Type/Page/AA<</O" + SCRIPT + b">>>>endobj\n"),
    "an escaped name": file(b"/OpenAction<</S/J#61vaScript/#4a#53(app.alert(1))>>"),
    "the action escaped": file(b"/Open#41ction<</S/URI/URI(http://attack.test/)>>"),
    "space in odd places": file(b"/OpenAction\n<<\t/S\0/JavaScript\f/JS\r(app.alert(1))>>"),
    "a comment between": file(b"/OpenAction%x\n<</S/URI/URI(http://attack.test/)>>"),
    "an action written as text": file(b"/OpenAction<</S(Launch)/F(a.exe)>>"),
    "an action written in digits": file(b"/OpenAction<</S<4C61756E6368>/F(a.exe)>>"),
    "an action named elsewhere": file(b"/OpenAction<</S 8 0 R/F(a.exe)>>", b"8 0 obj/GoTo endobj\n"),
    "a place on the web": file(b"/OpenAction<</S/URI/URI(http://attack.test/)>>"),
    "a place on the web, elsewhere": file(b"/OpenAction 7 0 R", b"7 0 obj<</S/URI/URI(http://attack.test/)>>endobj\n"),
    "a page, and then the web": file(b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next<</S/URI/URI(http://attack.test/)>>>>"),
    "two objects of one number": file(
        b"/OpenAction 7 0 R", b"7 0 obj[3 0 R/Fit]endobj\n7 0 obj<</S/URI/URI(http://attack.test/)>>endobj\n"
    ),
    "one of them packed": file(
        b"/OpenAction 7 0 R", b"7 0 obj[3 0 R/Fit]endobj\n" + packed((7, b"<</S/URI/URI(http://attack.test/)>>"))
    ),
    "nowhere": file(b"/OpenAction 7 0 R"),
    "a form sent": file(b"/OpenAction<</S/SubmitForm/F(http://attack.test/)>>"),
    "a program": file(b"/OpenAction<</S/Launch/F(a.exe)>>"),
    "a form of XML": file(b"/AcroForm<</XFA 7 0 R>>"),
    "packed script": file(b"/OpenAction 7 0 R", packed((7, SCRIPT))),
    "packed and escaped": file(b"/OpenAction 7 0 R", packed((7, b"<</S/J#61vaScript/J#53(a)>>"))),
    "locked": file(more=b"trailer<</Encrypt 8 0 R>>\n"),
    "cut off": file(more=packed((7, b"<</A 1>>"))[:-40]),
    "packed in two ways": file(
        more=packed((7, SCRIPT), dictionary=b"/Type/ObjStm/N %d/First %d/Length %d/Filter[/ASCIIHexDecode/FlateDecode]")
    ),
    "packed with a predictor": file(
        more=packed((7, b"1"), dictionary=b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode/DecodeParms 8 0 R")
    ),
    "packed in a way told elsewhere": file(
        more=packed((7, b"1"), dictionary=b"/Type/ObjStm/N %d/First %d/Filter 8 0 R")
    ),
    "a type told elsewhere": file(
        more=b"8 0 obj/ObjStm endobj\n" + packed((7, SCRIPT), dictionary=b"/Type 8 0 R/N %d")
    ),
    "an escaped type": file(more=packed((7, SCRIPT), dictionary=b"/Type/Obj#53tm/N %d/First %d/Filter/FlateDecode")),
    "a filter named twice": file(
        more=packed((7, b"1"), dictionary=b"/Type/ObjStm/N %d/First %d/Filter/FlateDecode/Filter/LZWDecode")
    ),
    "a comment in the dictionary": file(
        more=packed((7, SCRIPT), dictionary=b"/Type/ObjStm%%\n/N %d/First %d/Filter/FlateDecode")
    ),
    "no line before the stream": file(more=packed((7, SCRIPT)).replace(b"stream\n", b"stream \n", 1)),
    "a space that only Chromium takes for one": file(b"/OpenAction\x80<</S/JavaScript/JS\xff(app.alert(1))>>"),
    "digits that are none": file(b"/OpenAction<</S/JavaScript/J#3Z(app.alert(1))>>"),
    "an action with two kinds": file(
        b"/OpenAction<</S/GoTo/S/URI/URI 8 0 R>>", b"8 0 obj(http://attack.test/)endobj\n"
    ),
    "a kind that is not the action's": file(b"/OpenAction<</X/S/GoTo/S/URI/URI<68>>>"),
    "a number behind a comment": file(
        b"/OpenAction 7 0 R", b"7 0 obj[3 0 R/Fit]endobj\n7 %x\n0 obj<</S/URI/URI(http://attack.test/)>>endobj\n"
    ),
    "no type": file(more=packed((7, SCRIPT), dictionary=b"/N %d/First %d/Length %d/Filter/FlateDecode")),
    "another type": file(more=packed((7, SCRIPT), dictionary=b"/Type/X/N %d/First %d/Length %d/Filter/FlateDecode")),
    "a stream within": file(more=packed((7, b"<</Length 3>>stream\nabc\nendstream"))),
    "one within another": file(more=packed((7, b"<</Type/ObjStm>>"))),
}


@pytest.mark.parametrize("seed", range(4))
def test_pictures_in_it_are_no_reason_for_alarm(seed: int) -> None:
    noise = random.Random(seed).randbytes(300_000)
    assert pdf.is_still(
        file(more=b"5 0 obj<</Subtype/Image/Length %d>>stream\n%s\nendstream endobj\n" % (len(noise), noise))
    )


@pytest.mark.parametrize("name", STILL)
def test_what_only_shows_pages_is_still(name: str) -> None:
    assert pdf.is_still(STILL[name])


@pytest.mark.parametrize("name", MOVES)
def test_what_does_more_or_may_do_more_is_not(name: str) -> None:
    assert not pdf.is_still(MOVES[name])


def test_what_is_too_large_to_be_searched_is_not_still(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = file(more=packed((7, b" " * 1_000_000)))
    assert pdf.is_still(bomb)
    monkeypatch.setattr(pdf, "MAX_INFLATED", 900_000)
    assert not pdf.is_still(bomb)
    monkeypatch.setattr(pdf, "MAX_OCTETS", 100)
    assert not pdf.is_still(file())

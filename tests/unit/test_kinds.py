"""What a file is, and what of it is a reason to be careful."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime import kinds

EXE = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
LNK = b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"


def zipped(*names: str, encrypted: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for name in names:
            writer.writestr(name, b"x")
    octets = bytearray(out.getvalue())
    if encrypted:  # bit 0 of the flags, as a program that encrypts sets it
        octets[6] |= 1
    return bytes(octets)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (PNG, "image/png"), (b"\xff\xd8\xff\xe0", "image/jpeg"), (b"GIF89a", "image/gif"), (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"), (b"\0\0\0\x1cftypavif", "image/avif"), (b"\0\0\0\x1cftypisom", "video/mp4"),
        (b"\0\0\0\x1cftypM4A ", "audio/mp4"), (b"\x1aE\xdf\xa3\x01\0\0\0webm", "video/webm"), (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"), (b"OggS\0\x02", "audio/ogg"), (b"fLaC", "audio/flac"), (PDF, "application/pdf"),
        (b"PK\x03\x04", "application/zip"), (EXE, "application/vnd.microsoft.portable-executable"), (b"\x7fELF", "application/x-elf"),
        (b"<html><body>", "text/html"), (b"\xef\xbb\xbf \n<!-- x --><!DOCTYPE html>", "text/html"), (b"<svg onload=x>", "text/html"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "text/html"), (b"<\0h\0t\0m\0l\0>\0", "text/html"), (b"#!/bin/sh\n", "text/x-script"),
        (b"Hello\r\n", "text/plain"), (b"BM is not a bitmap by itself", "text/plain"), (b"MZ is not a program", "text/plain"),
        (b"<header>", "text/plain"), (b"\xff\xfeH\0e\0", "text/plain"), (b"\0\1\2\3", ""), (b"", ""),
    ],
)  # fmt: skip
def test_the_first_octets_say_what_it_is(head: bytes, expected: str) -> None:
    assert kinds.type_of(head) == expected


@pytest.mark.parametrize(
    ("name", "declared", "head", "dangers"),
    [
        ("photo.jpg", "image/jpeg", EXE, ("disguised", "program")),
        ("photo.jpg", "image/jpeg", b"<html><script>", ("disguised",)),
        ("photo.jpg", "image/jpeg", zipped("a.txt"), ("disguised",)),
        ("photo.jpg", "image/jpeg", PNG, ()),
        ("photo.jpg", "image/jpeg", b"Not found", ("other",)),
        ("invoice.pdf.exe", "application/pdf", EXE, ("disguised", "double", "program")),
        ("invoice.pdf.html", "text/html", b"<html>", ("double", "page")),
        ("invoice.pdf", "application/pdf", PDF, ()),
        ("invoice.pdf", "application/pdf", LNK, ("disguised", "shortcut")),
        ("report.docm", "application/octet-stream", zipped("word/document.xml", "word/vbaProject.bin"), ("macros",)),
        ("report.docx", "application/octet-stream", zipped("word/document.xml", "word/vbaProject.bin"), ("macros",)),
        ("report.docx", "application/octet-stream", zipped("word/document.xml"), ()),
        ("files.zip", "application/zip", zipped("a.txt", encrypted=True), ("encrypted",)),
        ("files.zip", "application/zip", zipped("a.txt"), ()),
        ("notes", "application/octet-stream", EXE, ("program",)),
        ("notes", "application/octet-stream", b"<!doctype html><html>", ("page",)),
        ("notes.md", "text/markdown", b"<div align=center>", ()),
        ("drawing.svg", "image/svg+xml", b"<svg>", ("page",)),
        ("setup.js", "text/javascript", b"alert(1)", ("script",)),
        ("go.lnk", "application/octet-stream", LNK, ("shortcut",)),
        ("card.iso", "application/octet-stream", b"\0" * 64, ("disk",)),
        ("notes.one", "application/onenote", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", ("opener",)),
        ("letter.doc", "application/msword", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ()),
        ("data.csv", "text/csv", b"a;b\n", ()),
    ],
)  # fmt: skip
def test_name_type_and_content_are_held_against_each_other(
    name: str, declared: str, head: bytes, dangers: tuple[str, ...]
) -> None:
    assert kinds.judge(name, declared, head, head if head[:2] == b"PK" else b"").dangers == dangers


def test_macros_in_an_old_document_are_found_in_its_directory() -> None:
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 22 + (9).to_bytes(2, "little") + b"\0" * 16
    head += (41).to_bytes(4, "little")
    assert kinds.ole_directory(head) == 42 * 512
    directory = "Root Entry".encode("utf-16-le") + b"\0" * 100 + "_VBA_PROJECT_CUR".encode("utf-16-le")
    assert kinds.judge("a.xls", "application/vnd.ms-excel", head, directory).dangers == ("macros",)
    assert kinds.ole_directory(head[:40]) is None


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [
        ("a.jpg", "application/octet-stream", "image"), ("a", "image/png", "image"), ("a.xlsx", "", "sheet"), ("a.pdf", "", "pdf"),
        ("a.docx", "", "doc"), ("a.odp", "", "slides"), ("a.7z", "", "archive"), ("a.mp3", "", "audio"), ("a.mov", "", "video"),
        ("a.ics", "", "calendar"), ("a.vcf", "", "contact"), ("", "message/rfc822", "mail"), ("a.log", "", "text"), ("a.py", "", "code"),
        ("", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "doc"), ("x", "a/b", "file"),
    ],
)  # fmt: skip
def test_people_have_a_name_for_it(name: str, declared: str, kind: str) -> None:
    assert kinds.kind_of(name, declared) == kind


def test_markup_is_shown_as_text_and_a_picture_only_if_it_is_one() -> None:
    assert kinds.shown_as("text/html", "text/html", "a.html") == "text"
    assert kinds.shown_as("image/png", "text/html", "a.html") == "image"
    assert kinds.shown_as("", "image/png", "a.png") == ""
    assert kinds.shown_as("application/zip", "message/rfc822", "a.eml") == ""


@given(st.text(max_size=60), st.text(max_size=40), st.binary(max_size=200), st.binary(max_size=200))
def test_nothing_raises_whatever_comes(name: str, declared: str, head: bytes, end: bytes) -> None:
    verdict = kinds.judge(name, declared, head, end)
    assert set(verdict.dangers) <= {*kinds.DANGERS, *kinds.CAUTIONS}
    kinds.shown_as(verdict.type, declared, name)
    kinds.may_be_shown(name, declared)
    kinds.ole_directory(head)

"""Every string that people see has its Norwegian words, with the same placeholders, and the pages use them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import LazySettings
from django.test import Client

from accounts.models import User

ROOT = Path(__file__).resolve().parent.parent
COMMITTED = ROOT / "locale" / "nb" / "LC_MESSAGES" / "django.po"
SOURCES = ("accounts", "webmail", "templates")
# %(name)s and %(n)d, a doubled %, {name}; elements too, so that a translation cannot lose or add one.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%\w?|%[a-z]\b|\{\w*\}|</?\w+[^>]*>")
SPOKEN = ("aria-label", "title", "placeholder", "alt", "data-tip", "data-one", "data-many", "data-failed")
MARKS = {"_", "gettext", "gettext_lazy", "ngettext", "pgettext"}
PAGES = {
    "/settings/": "Innstillinger",
    "/settings/accounts/creation/": "Legg til konto",
    "/folders/": "Mapper",
    "/drafts/": "Kladder",
    "/outbox/": "Utboks",
    "/operations/": "Historikk",
    "/search/?q=brev": "Ingen treff",
    "/nowhere/": "Det er ingenting her.",
}


def catalog(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale="nb")


def entries(path: Path) -> list[Message]:
    return [message for message in catalog(path) if message.id]


def forms(text: str | Sequence[str] | None) -> list[str]:
    """The singular, and the plural where there is one."""
    return [text or ""] if text is None or isinstance(text, str) else list(text)


def name(message: Message) -> tuple[str, ...]:
    return (message.context or "", *forms(message.id))


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, ...]]:
    """What makemessages finds in the templates and the code as they are now."""
    missing = [tool for tool in ("xgettext", "msguniq", "msgmerge", "msgattrib") if not shutil.which(tool)]
    if missing:
        pytest.skip(f"GNU gettext is not installed: {', '.join(missing)} not found")
    copy = tmp_path_factory.mktemp("sources")
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "locale").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "django", "makemessages", "--locale", "nb"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "DJANGO_SETTINGS_MODULE": "webmail.settings"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name(message) for message in entries(copy / "locale" / "nb" / "LC_MESSAGES" / "django.po")}


def test_the_committed_file_has_what_the_sources_have(collected: set[tuple[str, ...]]) -> None:
    committed = {name(message) for message in entries(COMMITTED)}
    assert len(collected) > 300
    assert sorted(collected - committed) == [], "not collected yet: run `make translations`, then translate"
    assert sorted(committed - collected) == [], "no longer in the sources: run `make translations`"


def test_every_string_is_translated() -> None:
    found = entries(COMMITTED)
    assert [message.id for message in found if not all(forms(message.string))] == []
    assert [message.id for message in found if message.fuzzy] == []
    assert [message.id for message in found if message.pluralizable and len(forms(message.string)) != 2] == []
    assert catalog(COMMITTED).plural_expr == "(n != 1)"


def test_placeholders_agree() -> None:
    disagreeing = []
    for message in entries(COMMITTED):
        originals = forms(message.id)
        for number, translated in enumerate(forms(message.string)):
            original = originals[min(number, len(originals) - 1)]
            if sorted(PLACEHOLDER.findall(translated)) != sorted(PLACEHOLDER.findall(original)):
                disagreeing.append((original, translated))
    assert disagreeing == []


def test_quotes_are_norwegian() -> None:
    assert [text for message in entries(COMMITTED) for text in forms(message.string) if set("“”") & set(text)] == []


class Spoken(HTMLParser):
    """Every piece of text of a page that is shown or read aloud."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.pieces |= {value for key, value in attributes if key in SPOKEN and value}

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.pieces.add(data.strip())


@pytest.fixture
def norwegian(settings: LazySettings, tmp_path: Path) -> set[str]:
    """The committed words in use, whatever was compiled before; gives the English ones that have others."""
    folder = tmp_path / "nb" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "django.mo").open("wb") as file:
        write_mo(file, catalog(COMMITTED))
    settings.LOCALE_PATHS = [tmp_path]  # Django forgets what it had loaded
    return {
        original
        for message in entries(COMMITTED)
        for original in forms(message.id)
        if original not in forms(message.string)
    }


def test_the_sign_in_page_follows_the_browser(db: None, client: Client, norwegian: set[str]) -> None:
    page = client.get("/sign-in/", headers={"accept-language": "nb-NO,nb;q=0.9,en;q=0.5"}).content.decode()
    assert '<html lang="nb"' in page
    assert "Logg inn med e-postadressen du allerede har" in page
    assert not Spoken(page).pieces & norwegian
    english = client.get("/sign-in/", headers={"accept-language": "en"}).content.decode()
    assert "Sign in with the mail address you already have" in english


def test_a_refused_form_speaks_norwegian(db: None, client: Client, norwegian: set[str]) -> None:
    answer = client.post("/sign-in/", {"address": "kari", "password": ""}, headers={"accept-language": "nb"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Skriv inn en e-postadresse" in page
    assert not Spoken(page).pieces & norwegian


@pytest.mark.parametrize("path", PAGES)
def test_pages_follow_the_person(db: None, client: Client, norwegian: set[str], path: str) -> None:
    client.force_login(User.objects.create_user("kari@example.org", language="nb"))
    page = client.get(path, headers={"accept-language": "en"}).content.decode()
    assert '<html lang="nb"' in page
    assert PAGES[path] in page
    assert not Spoken(page).pieces & norwegian


def test_no_string_is_marked_where_gettext_does_not_find_it() -> None:
    """In the middle of an f-string."""
    hidden = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for source in ("accounts", "webmail")
        for path in (ROOT / source).rglob("*.py")
        for joined in ast.walk(ast.parse(path.read_text()))
        if isinstance(joined, ast.JoinedStr)
        for call in ast.walk(joined)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in MARKS
    ]
    assert hidden == []

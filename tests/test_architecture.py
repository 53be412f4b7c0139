"""Rules of the code that no single test of behaviour would notice: who may import whom, and what must not be in it."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("webmail", "accounts")
LEAVES = (
    "webmail.protocols",
    "webmail.mime",
    "webmail.html",
    "webmail.threads",
    "webmail.afterwards",
    "webmail.pool",
    "webmail.prepared",
    "accounts.secrets",
)
# Lower layers stand below: a module may import what is in its own layer or below it.
LAYERS = (
    LEAVES,
    ("accounts",),
    ("webmail.models", "webmail.migrations"),
    (
        *(
            "webmail.compose",
            "webmail.sync",
            "webmail.operations",
            "webmail.outbox",
            "webmail.search",
            "webmail.searches",
            "webmail.server_search",
            "webmail.trust",
            "webmail.correspondents",
            "webmail.outside",
            "webmail.selection",
            "webmail.conversations",
            "webmail.pictures",
            "webmail.events",
            "webmail.contacts",
            "webmail.suggestions",
            "webmail.books",
            "webmail.invitations",
            "webmail.notices",
            "webmail.files",
            "webmail.inspection",
            "webmail.thumbnails",
            "webmail.archive",
        ),
        *("webmail.bodies", "webmail.connections", "webmail.leases", "webmail.watching"),
    ),
    (
        *("webmail.views", "webmail.tasks", "webmail.management", "webmail.urls", "webmail.asgi", "webmail.celery"),
        *("webmail.settings", "webmail.welcome", "webmail.context", "webmail.middleware", "webmail.templatetags"),
        *("webmail.demo",),
    ),
)
TIES = ("webmail.apps",)  # tells the layers of each other, so it may import any
# Each third-party library has one home. What is not named here may be imported anywhere.
HOMES = {
    "imapclient": ("webmail.protocols.imap",),
    "imaplib": ("webmail.protocols.imap", "webmail.demo"),
    "poplib": ("webmail.protocols.pop3",),
    "smtplib": ("webmail.protocols.smtp",),
    "bleach": ("webmail.html",),
    "nh3": ("webmail.html",),
    "css_inline": ("webmail.html",),
    "tinycss2": ("webmail.html",),
    "confusable_homoglyphs": ("webmail.trust",),
    "icalendar": ("webmail.mime",),
    "PIL": ("webmail.thumbnails",),
    "redis": ("webmail.events", "webmail.tasks"),
    "celery": ("webmail.celery", "webmail.tasks"),
    "kombu": ("webmail.celery", "webmail.tasks"),
    "cryptography": ("accounts.secrets", "webmail.settings"),
    "dns": ("accounts.discovery",),
    "aiosmtpd": ("webmail.demo",),
    "pymap": ("webmail.demo",),
}
EXCEPTIONS_ONLY = {"redis": ("webmail.views.stream",)}  # may know what Redis raises, not talk to it


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """Every module it imports, wherever in the file; ``from a import b`` counts as ``a.b`` where that is a module."""
    path = SOURCES[module]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in SOURCES else base


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)


def layer_of(module: str) -> int | None:
    """The most specific place decides: accounts.secrets is a leaf although accounts is not."""
    found = [(len(place), level) for level, places in enumerate(LAYERS) for place in places if within(module, (place,))]
    return max(found)[1] if found else None


@pytest.mark.parametrize("module", [m for m in SOURCES if m not in (*PACKAGES, *TIES)])
def test_a_module_imports_only_its_own_layer_and_those_below(module: str) -> None:
    layer = layer_of(module)
    assert layer is not None, f"{module} is in no layer; give it one"
    for imported in imports(module):
        if imported.split(".")[0] in PACKAGES and imported not in PACKAGES:
            below = layer_of(imported)
            assert below is not None, f"{module} imports {imported}, which is in no layer"
            assert below <= layer, f"{module} imports {imported} from above"


@pytest.mark.parametrize("module", [m for m in SOURCES if within(m, LEAVES)])
def test_a_leaf_imports_no_module_of_the_project_but_its_own(module: str) -> None:
    own = next(leaf for leaf in LEAVES if within(module, (leaf,)))
    foreign = [i for i in imports(module) if i.split(".")[0] in PACKAGES and not within(i, (own,))]
    if own == "webmail.mime":  # a server's BODYSTRUCTURE comes as a value of the seam
        foreign = [i for i in foreign if i != "webmail.protocols.base"]
    assert foreign == []


@pytest.mark.parametrize("module", [m for m in SOURCES if within(m, ("webmail.protocols",))])
def test_the_protocols_know_no_django(module: str) -> None:
    assert [i for i in imports(module) if i.split(".")[0] == "django"] == []


@pytest.mark.parametrize("module", [m for m in SOURCES if within(m, ("accounts",))])
def test_accounts_import_nothing_of_webmail_but_the_protocols_and_prepared_queries(module: str) -> None:
    allowed = ("webmail.protocols", "webmail.prepared")
    assert [i for i in imports(module) if within(i, ("webmail",)) and not within(i, allowed)] == []


@pytest.mark.parametrize("module", list(SOURCES))
def test_a_third_party_library_is_imported_at_its_home_only(module: str) -> None:
    for imported in imports(module):
        library = imported.split(".")[0]
        if library not in HOMES or within(module, HOMES[library]):
            continue
        allowed = imported == f"{library}.exceptions" and within(module, EXCEPTIONS_ONLY.get(library, ()))
        assert allowed, f"{module} imports {imported}; its home is {', '.join(HOMES[library])}"


@pytest.mark.parametrize("library", list(HOMES))
def test_every_home_is_lived_in(library: str) -> None:
    """Else the rule above protects nothing."""
    assert any(imported.split(".")[0] == library for module in SOURCES for imported in imports(module))


def test_only_the_sanitiser_marks_anything_as_safe_html() -> None:
    marks = re.compile(r"\b(mark_safe|SafeString|SafeText|html_safe|format_html\w*)\b|__html__")
    found = {m for m, path in SOURCES.items() if marks.search(path.read_text())}
    assert found
    assert {module for module in found if not within(module, ("webmail.html",))} == set()


def test_no_template_turns_escaping_off() -> None:
    off = re.compile(r"\|\s*safe(seq)?\b|\{%\s*autoescape\s+off")
    templates = [*(ROOT / "templates").rglob("*.html")]
    assert templates
    assert [str(path.relative_to(ROOT)) for path in templates if off.search(path.read_text())] == []


def test_no_page_has_script_or_style_of_its_own() -> None:
    """The content security policy would block it."""
    inline = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle=|\son[a-z]+=\"|javascript:")
    assert [
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in (ROOT / "templates").rglob("*.html")
        for found in [inline.search(path.read_text())]
        if found
    ] == []


def test_every_environment_variable_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    names: set[str] = set()
    for module in SOURCES:
        if not within(module, ("webmail.demo",)):
            names |= set(
                re.findall(r"[\"'](WEBMAIL_[A-Z_]+|DATABASE_URL|REDIS_URL|TZ)[\"']", SOURCES[module].read_text())
            )
    assert {"WEBMAIL_DATA", "WEBMAIL_SERVERS", "REDIS_URL"} <= names
    assert {name for name in names if not re.search(rf"\b{name}\b", readme)} == set()


def test_the_repository_names_no_place_on_anybodys_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    place = re.compile(r"(?<![\w.])/(?:home|Users|root|work|mnt|media)/[\w.-]+|[A-Z]:\\\\Users")
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.is_file() or path == Path(__file__):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match[0]}" for match in place.finditer(text)]
    assert found == []

"""Nobody sees or changes what is not theirs, at any address of the site, those still to be added included."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import Identity
from tests.letters import PIXEL, letter
from tests.views.conftest import Person, snapshot
from webmail import compose, contacts, operations, outbox, pictures, searches, thumbnails
from webmail.models import AddressBook, Contact, Draft, HeldForm, Operation, ServerSearch, Template

SECRET = "Hemmelig"
PUBLIC = {"accounts:sign-in", "accounts:sign-out", "health", "events"}  # asked for by those who have not signed in too


def addresses() -> Iterator[tuple[str, URLPattern]]:
    """Every named address of ours, as ``name`` or ``namespace:name``."""

    def walk(patterns: list[Any], namespace: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                if pattern.namespace != "admin":
                    below = f"{pattern.namespace}:" if pattern.namespace else ""
                    yield from walk(pattern.url_patterns, namespace + below)
            else:
                assert pattern.name, f"{pattern.pattern} has no name"
                yield namespace + pattern.name, pattern

    return walk(get_resolver().url_patterns, "")


NAMES = [name for name, _pattern in addresses()]
WITH_ID = [name for name, pattern in addresses() if pattern.pattern.converters]


@pytest.fixture
def belongings(alice: Person) -> dict[str, list[Any]]:
    """For each address that takes one, an id of something that is alice's. A new address needs an entry here."""
    alice.receive(letter(f"{SECRET} vedlegg", files={f"{SECRET}.png": ("image/png", PIXEL)}, to=alice.address))
    message = alice.message(f"{SECRET} vedlegg")
    folder = operations.create_mailbox(alice.account, f"{SECRET} mappe")
    draft = compose.new(alice.user, to="someone@example.org", subject=f"{SECRET} utkast", text=SECRET)
    compose.save(draft)
    leaving = compose.new(alice.user, to="someone@example.org", subject=f"{SECRET} sending", text=SECRET)
    submission = outbox.submit(alice.user, compose.save(leaving))
    batch, _number = operations.change_keywords(alice.user, [message.pk], add=["$flagged"])
    operation = Operation.objects.get(batch=batch)
    identity = Identity.objects.get(account=alice.account)
    Identity.objects.filter(pk=identity.pk).update(name=f"{SECRET} navn")
    Identity.objects.create(account=alice.account, name=SECRET, address=alice.address)
    token = pictures.proxy_url(alice.account.pk, "http://127.0.0.1/a.png").split("/")[-2]
    ids: dict[str, list[Any]] = {"part": [message.pk, "2"], "undo": [batch], "told": [operation.pk], "picture": [token]}
    for name in ("message", "conversation", "body", "pictures", "charset", "unsubscription", "source", "message-file"):
        ids[name] = [message.pk]
    thumbnails.make_all(message)
    ids |= {"preview": [message.pk, "2"], "thumbnail": [message.pk, "2"], "files": [message.pk]}
    for name in ("answer", "message-card", "print", "headers"):
        ids[name] = [message.pk]
    contact = contacts.add(alice.user, Contact(name=f"{SECRET} kontakt"), [("someone@example.org", "")])
    for name in ("contact", "contact-change", "contact-destruction"):
        ids[name] = [contact.pk]
    group = contacts.create_group(alice.user, f"{SECRET} gruppe")
    for name in ("contact-group", "contact-group-name", "contact-group-letter", "contact-group-destruction"):
        ids[name] = [group.pk]
    sent = ContentFile(f"BEGIN:VCARD\nFN:{SECRET} fil\nEND:VCARD".encode())
    ids["contacts-import-file"] = [contacts.exchange.put_by(alice.user, sent)]
    book = AddressBook.objects.create(
        user=alice.user, name=f"{SECRET} bok", url="https://dav.invalid/", credentials="x"
    )
    for name in ("book-sync", "book-read", "book-destruction"):
        ids[name] = [book.pk]
    ids["contacts-undo"] = [contacts.remember(alice.user.pk, f"{SECRET} slettet", [contact])]
    for name in ("folder", "folder-name", "folder-subscription", "folder-emptying", "folder-destruction"):
        ids[name] = [folder.pk]
    for name in ("draft", "draft-destruction", "draft-submission", "draft-merge", "uploads"):
        ids[name] = [draft.pk]
    file = compose.attach(draft, SimpleUploadedFile(f"{SECRET}.png", PIXEL), cid=f"{SECRET}@inline")
    compose.begin_upload(draft, "key", f"{SECRET}.txt", 10)
    ids |= {"upload": [draft.pk, "key"], "upload-destruction": [draft.pk, "key"]}
    ids["draft-picture"] = [draft.pk, f"{SECRET}@inline"]
    ids["attachment-destruction"] = [draft.pk, file.pk]
    ids["server-search-end"] = [ServerSearch.objects.create(user=alice.user, text=f"{SECRET} tekst").pk]
    template = Template.objects.create(user=alice.user, name=f"{SECRET} mal")
    ids |= {"template": [template.pk], "template-destruction": [template.pk]}
    ids["resumption"] = [HeldForm.objects.create(user=alice.user, path="/compose/", fields=[["text", SECRET]]).key]
    for name in ("cancellation", "retry", "time", "settlement", "dismissal"):
        ids[f"submission-{name}"] = [submission.pk]
    kept = searches.save(alice.user, f"{SECRET} søk")
    assert kept
    for name in ("search-name", "search-destruction", "search-return"):
        ids[name] = [kept.pk]
    for name in ("account", "account-destruction", "identity-creation"):
        ids[f"accounts:{name}"] = [alice.account.pk]
    for name in ("state", "pause", "sync", "capabilities"):
        ids[f"account-{name}"] = [alice.account.pk]
    for name in ("identity", "identity-destruction"):
        ids[f"accounts:{name}"] = [identity.pk]
    return ids


def url_of(name: str, belongings: dict[str, list[Any]]) -> str:
    if name in WITH_ID:
        assert name in belongings, f"{name} takes an id: say in the fixture belongings what one is"
    return reverse(name, args=belongings.get(name))


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


# Where nothing may change, one mailbox is enough for all addresses: each is asked for in turn.


def test_what_is_alices_is_not_there_for_bob(alice: Person, bob: Person, belongings: dict[str, list[Any]]) -> None:
    before = snapshot()
    for name in WITH_ID:
        if name == "picture":
            continue
        url = url_of(name, belongings)
        for response in (bob.get(url), bob.post(url)):
            elsewhere = (302, 303) if name in ("undo", "told", "contacts-undo") else ()
            assert response.status_code in (*elsewhere, 404, 405), url
            assert SECRET.encode() not in content(response), url
        assert snapshot() == before, url


@pytest.mark.parametrize("name", [name for name in WITH_ID if name != "picture"])
def test_alice_gets_at_it(name: str, alice: Person, belongings: dict[str, list[Any]]) -> None:
    """Else the test above would pass for an id that is nobody's."""
    url = url_of(name, belongings)
    response = alice.get(url)
    if response.status_code == 405:
        response = alice.post(url)
    assert response.status_code in (200, 302, 303, 409, 422)
    content(response)


def test_who_has_not_signed_in_is_asked_to(alice: Person, charlie: Client, belongings: dict[str, list[Any]]) -> None:
    before = snapshot()
    for name in NAMES:
        if name in PUBLIC:
            continue
        url = url_of(name, belongings)
        for response in (charlie.get(url), charlie.post(url)):
            # A form that somebody wrote in while signed in answers with what they wrote.
            kept = name in ("compose", "draft", "draft-merge") and response.request["REQUEST_METHOD"] == "POST"
            assert response.status_code in ((401, 403) if kept else (302, 405)), url
            if response.status_code == 302:
                assert response["Location"].startswith("/sign-in/?next="), url
            assert SECRET.encode() not in content(response), url
        assert snapshot() == before, url


def test_looking_changes_nothing(alice: Person, belongings: dict[str, list[Any]]) -> None:
    before = snapshot()
    for name in NAMES:
        if name in (*PUBLIC, "picture"):
            continue
        url = url_of(name, belongings)
        for query in ("", "?do=send&set=read&role=trash&only=1&allow=1&subscribed=0&pictures=1"):
            response = alice.get(url + query)
            assert response.status_code in (200, 302, 405), url
            content(response)
        assert snapshot() == before, url


def test_a_form_without_its_token_changes_nothing(alice: Person, belongings: dict[str, list[Any]]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.user)
    before = snapshot()
    for name in NAMES:
        if name in ("events", "health"):
            continue
        url = url_of(name, belongings)
        assert strict.post(url, {"text": "typed"}).status_code == 403, url
        assert snapshot() == before, url
        assert strict.get("/").status_code == 200, url  # still signed in


@pytest.mark.parametrize(
    "path",
    [
        *(f"/messages/keywords/?set={what}" for what in ("read", "unread", "star", "unstar")),
        *(f"/messages/mailbox/?role={role}" for role in ("archive", "junk", "trash", "inbox")),
        "/messages/destruction/",
    ],
)
def test_bob_cannot_act_on_alices_messages(path: str, alice: Person, bob: Person) -> None:
    message = alice.message("Hemmelig hilsen")
    before = snapshot()
    bob.post(path, {"id": [message.pk], "next": "/"})
    joint = "&" if "?" in path else "?"
    bob.post(f"{path}{joint}only={message.pk}", {"next": "/"})
    bob.post(path, {"all": f"folder-{message.mailbox_id}"})
    assert snapshot() == before


@pytest.mark.parametrize("path", ["/messages/mailbox/", "/messages/copies/"])
def test_nothing_moves_between_alice_and_bob(path: str, alice: Person, bob: Person, new_person: Any) -> None:
    bob.receive(letter("Bob's own"))
    hers, his = alice.message("Hemmelig hilsen"), bob.message("Bob's own")
    before = snapshot()
    assert bob.post(path, {"id": [his.pk], "to": alice.mailbox("archive").pk}).status_code == 404
    bob.post(path, {"id": [hers.pk], "to": bob.mailbox("archive").pk})
    assert snapshot() == before


@pytest.mark.parametrize("how", ["reply", "replyall", "forward", "edit"])
def test_bob_cannot_write_from_alices_message(how: str, alice: Person, bob: Person) -> None:
    response = bob.get(f"/compose/?{how}={alice.message('Hemmelig hilsen').pk}")
    assert response.status_code == 404
    assert SECRET.encode() not in response.content


def test_bob_cannot_write_as_alice(alice: Person, bob: Person) -> None:
    identity = Identity.objects.get(account=alice.account)
    bob.post("/compose/", {"identity": identity.pk, "to": "x@example.org", "text": "As her", "do": "save"})
    draft = Draft.objects.get(text__contains="As her")
    assert draft.account == bob.account
    assert draft.identity is None or draft.identity.account == bob.account


def test_bob_cannot_make_folders_in_alices_account(alice: Person, bob: Person) -> None:
    before = snapshot()
    assert bob.post("/folders/creation/", {"account": alice.account.pk, "name": "Mine now"}).status_code == 404
    data = {"account": bob.account.pk, "name": "Below hers", "parent": alice.mailbox("archive").pk}
    assert bob.post("/folders/creation/", data).status_code == 404
    assert snapshot() == before


def test_bob_does_not_find_alices_mail(alice: Person, bob: Person) -> None:
    assert b"<mark>Hemmelig</mark> hilsen" in alice.get("/search/?q=hemmelig").content
    for path in ("/search/?q=hemmelig", "/", "/unread/", "/starred/", "/drafts/", "/outbox/", "/operations/"):
        response = bob.get(path)
        assert response.status_code == 200
        assert b"hilsen" not in response.content


def test_an_id_of_nothing_is_not_found(alice: Person) -> None:
    for name, pattern in addresses():
        converters = pattern.pattern.converters
        if converters and name not in ("picture", "told", "undo", "contacts-undo"):
            values: list[Any] = [
                {"pk": 987654321, "attachment": 987654321, "part_id": "9"}.get(key, uuid.uuid4()) for key in converters
            ]
            url = reverse(name, args=values)
            response = alice.get(url)
            assert response.status_code in (404, 405), url
            assert alice.post(url).status_code in (404, 405), url


def test_the_operators_pages_are_for_operators(alice: Person, charlie: Client) -> None:
    for client in (alice.client, charlie):
        response = client.get("/admin/accounts/account/")
        assert response.status_code == 302
        assert response["Location"].startswith("/admin/login/")


def test_an_event_stream_is_only_for_those_signed_in(charlie: Client) -> None:
    assert charlie.get("/events/").status_code == 204


def test_where_a_form_leads_is_always_one_of_our_pages(alice: Person) -> None:
    for target in ("https://evil.invalid/", "//evil.invalid/", "/\\evil.invalid/", "javascript:alert(1)"):
        response = alice.post("/check/", {"next": target})
        assert response["Location"] == "/"
    message = alice.message("Hemmelig hilsen")
    for target in ("https://evil.invalid/", "//evil.invalid/"):
        response = alice.post(f"/messages/{message.pk}/pictures/", {"next": target})
        assert "evil" not in response["Location"]
        data = {"to": "a@example.org", "subject": "S", "do": "send", "next": target}
        assert "evil" not in alice.post("/compose/", data)["Location"]
    assert "evil" not in alice.client.get("/sign-in/?next=https://evil.invalid/")["Location"]

"""What a draft starts from, whom it is written as, what is warned of, and the message that it becomes."""

from __future__ import annotations

import io
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone, translation

from accounts.models import Identity
from tests.letters import PIXEL, letter
from tests.views.conftest import Person
from webmail import compose, html
from webmail.models import Draft, DraftAttachment, Submission, Template


def written(draft: Draft) -> EmailMessage:
    out = io.BytesIO()
    compose.write(draft, out)
    message = message_from_bytes(out.getvalue(), policy=policy.strict.clone(refold_source="none"))
    assert isinstance(message, EmailMessage)
    for part in message.walk():
        assert not part.defects
    return message


def opened(alice: Person, query: str) -> Any:
    response = alice.get(f"/compose/?{query}")
    assert response.status_code == 200
    return response.context


# --- whom one writes as -----------------------------------------------------------------------------------------


def identity(alice: Person, **fields: Any) -> Identity:
    Identity.objects.filter(account=alice.account).update(**fields)
    return Identity.objects.get(account=alice.account)


def received(alice: Person, to: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    alice.receive(letter("Hei", "Tekst", to=to, headers=named))
    return alice.message("Hei").pk


def chosen(context: Any) -> str:
    return next(shown for _value, shown, is_chosen, _colour in context["senders"] if is_chosen)


def test_an_answer_to_a_plus_address_is_written_as_that_one(alice: Person) -> None:
    local, _at, domain = alice.address.partition("@")
    pk = received(alice, f"{local}+butikk@{domain}")
    context = opened(alice, f"reply={pk}")
    assert f"{local}+butikk@{domain}" in chosen(context)
    alice.post(f"/compose/?reply={pk}", {"do": "save", "identity": context["senders"][1][0], "token": context["token"]})
    draft = Draft.objects.get()
    assert written_as(draft) == f"{local}+butikk@{domain}"


def written_as(draft: Draft) -> str:
    draft.to = "ola@example.org"
    return str(written(draft)["From"].addresses[0].addr_spec)


def test_a_pattern_catches_all_of_a_domain(alice: Person) -> None:
    identity(alice, patterns="*@hytte.example")
    context = opened(alice, f"reply={received(alice, 'faktura@hytte.example')}")
    assert "faktura@hytte.example" in chosen(context)


def test_the_address_a_server_delivered_to_tells_whom_to_write_as(alice: Person) -> None:
    identity(alice, patterns="*@hytte.example")
    pk = received(alice, "liste@example.org", Delivered_To="post@hytte.example")
    assert "post@hytte.example" in chosen(opened(alice, f"reply={pk}"))


def test_an_address_that_no_identity_answers_for_cannot_be_written_as(alice: Person) -> None:
    own = identity(alice)
    data = {"to": "ola@example.org", "do": "save", "identity": f"{own.pk}:boss@example.org"}
    alice.post("/compose/", data)
    assert written_as(Draft.objects.get()) == alice.address


def test_who_answers_as_somebody_else_is_warned(alice: Person) -> None:
    local, _at, domain = alice.address.partition("@")
    pk = received(alice, f"{local}+butikk@{domain}")
    other = Identity.objects.create(account=alice.account, address=f"annen-{alice.address}")
    data = {"to": "ola@example.org", "subject": "Hei", "text": "x", "do": "send", "identity": str(other.pk)}
    page = alice.post(f"/compose/?reply={pk}", data)
    assert page.status_code == 422
    assert f"{local}+butikk@{domain}" in page.content.decode()


def test_patterns_that_are_none_are_not_taken(alice: Person) -> None:
    own = identity(alice)
    for typed in ("hytte.example", "*@*", "***a*@b.example"):
        page = alice.post(f"/settings/identities/{own.pk}/", {"address": alice.address, "patterns": typed})
        assert page.status_code == 422, typed
    alice.post(f"/settings/identities/{own.pk}/", {"address": alice.address, "patterns": "*@a.example, b*@c.example"})
    own.refresh_from_db()
    assert own.answers_for("x@a.example")
    assert own.answers_for("BAB@c.example")
    assert not own.answers_for("x@evil@a.example")
    assert not own.answers_for("x@sub.a.example")


# --- what may be forgotten --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "text", "said"),
    [
        ("", "Hello", "no subject"),
        ("Kart", "Se vedlegget.", "attachment"),
        ("Map", "I have attached it.", "attachment"),
        ("Map", "I attach it.", "attachment"),
        ("Kart", "Eg legg ved kartet.", "attachment"),
        ("Kart", "Kartet ligger ved.", "attachment"),
        ("Map", "Nothing else.", ""),
        ("Re: Map attached", "Thanks!", ""),
        ("Map", "Yes\n> see the attached map", ""),
    ],
)
def test_what_may_be_forgotten_is_asked_about_once(alice: Person, subject: str, text: str, said: str) -> None:
    data = {"to": "ola@example.org", "subject": subject, "text": text, "do": "send"}
    page = alice.post("/compose/", data)
    if not said:
        assert page.status_code == 303
        return
    assert page.status_code == 422
    assert said in page.content.decode()
    draft = Draft.objects.get()
    assert alice.post(f"/drafts/{draft.pk}/", data | {"sure": "1", "revision": "1"}).status_code == 303


@pytest.mark.parametrize("language", ["en", "nb"])
def test_what_may_be_forgotten_is_said_in_the_language_of_the_page(alice: Person, language: str) -> None:
    data = {"to": "ola@example.org", "subject": "", "text": "Se vedlegget", "do": "send"}
    with translation.override("en"):  # so that what the request makes of it does not outlast it
        page = alice.post("/compose/", data, HTTP_ACCEPT_LANGUAGE=language).content.decode()
    words = {"en": ("There is no subject", "there is none"), "nb": ("emne", "vedlegg")}[language]
    said = page[page.index('role="alert"') :][:700]
    assert all(word in said for word in words)


def test_pictures_of_a_quote_are_no_attachment_that_was_spoken_of(alice: Person) -> None:
    source = '<p>Hi</p><img src="cid:logo@x" alt="">'
    alice.receive(letter("Logo", html=source, pictures={"logo@x": PIXEL}, to=alice.address))
    draft = compose.save(compose.reply(alice.user, alice.message("Logo"), everyone=False, rich=True))
    compose.bring_attachments(draft)
    assert draft.attachments.exists()
    draft.html = f"<div>See the attached file.</div>{draft.html}"
    draft.text = html.html_to_text(draft.html)
    assert compose.warnings(draft) == ["The text speaks of an attachment, but there is none."]


# --- beginnings -------------------------------------------------------------------------------------------------


def test_a_draft_of_another_program_is_written_as_whom_it_says(alice: Person) -> None:
    identity(alice)
    work = alice.address.replace("alice", "work")
    Identity.objects.create(account=alice.account, address=work)
    alice.receive(letter("To myself", sender=work, to=alice.address), folder="Drafts")
    draft = compose.edit(alice.user, alice.message("To myself"))
    assert compose.sender_of(draft) == work


def test_a_reply_to_all_leaves_out_ones_own_address_with_a_detail(alice: Person) -> None:
    own = alice.address.replace("@", "+club@")
    alice.receive(letter("Club", sender="ola@example.org", to=f"{alice.address}, {own}, kari@imap.test"))
    draft = compose.reply(alice.user, alice.message("Club"), everyone=True)
    assert (draft.to, draft.cc) == ("ola@example.org", "kari@imap.test")


def test_a_forwarded_message_names_who_else_had_it(alice: Person) -> None:
    alice.receive(letter("Copied", to=alice.address, headers={"Cc": "Ola Nordmann <ola@example.org>"}))
    with translation.override("en"):
        text = compose.forward(alice.user, alice.message("Copied")).text
    assert "\nCc: Ola Nordmann <ola@example.org>\n" in text


@pytest.mark.parametrize(
    "link",
    [
        "mailto:a%0D%0ABcc:%20evil@example.org@example.org?subject=a%0D%0ABcc:%20evil@example.org",
        "mailto:?bcc=blind%00@example.org&from=ceo@example.org&body=%ff%00%0D%0A.%0D%0A",
        "mailto:" + "a," * 30_000,
        "mailto:?" + "&" * 90_000,
        "javascript:alert(1)",
        "mailto:%",
        "MAILTO:ola@example.org?SUBJECT=<script>alert(1)</script>",
    ],
)
def test_a_hostile_mail_link_is_a_form_to_look_at_and_no_more(alice: Person, link: str) -> None:
    response = alice.client.get("/compose/", {"mailto": link})
    assert response.status_code == 200
    draft = response.context["draft"]
    assert draft.pk is None
    assert "\n" not in draft.subject
    assert "ceo@" not in response.content.decode()
    assert "<script>alert(1)" not in response.content.decode()
    form = {name: getattr(draft, name) for name in ("to", "cc", "bcc", "subject", "text")}
    answer = alice.post("/compose/", {**form, "do": "send", "sure": "1"})
    assert answer.status_code in (303, 413, 422)
    for submission in Submission.objects.all():
        assert not any("evil" in one or "ceo" in one for one in submission.recipients)


def test_a_mail_link_fills_the_form(alice: Person) -> None:
    link = "mailto:ola%40example.org?cc=kari@example.org&subject=Bl%C3%A5b%C3%A6r&body=En%0D%0Ato%20+%20tre&attach=/etc/passwd"
    draft = opened(alice, f"mailto={link.replace('%', '%25').replace('&', '%26').replace('+', '%2B')}")["draft"]
    assert (draft.to, draft.cc, draft.subject) == ("ola@example.org", "kari@example.org", "Blåbær")
    assert draft.text.startswith("En\nto + tre")


def test_a_message_goes_along_whole_as_a_file(alice: Person) -> None:
    raw = letter("Original", "Teksten", to=alice.address, files={"a.png": ("image/png", PIXEL)})
    alice.receive(raw)
    pk = alice.message("Original").pk
    page = opened(alice, f"attach={pk}")
    alice.post(f"/compose/?attach={pk}", {"do": "save", "to": "ola@example.org", "token": page["token"]})
    (part,) = written(Draft.objects.get()).iter_attachments()
    assert part.get_filename() == "Original.eml"
    content = part.get_content()
    octets = content if isinstance(content, bytes) else content.as_bytes()
    assert b"Subject: Original" in octets


def test_a_template_is_put_above_what_is_there(alice: Person) -> None:
    template = Template.objects.create(user=alice.user, name="Takk", subject="Takk for sist", text="Det var hyggelig.")
    identity(alice, signature="Alice")
    draft = opened(alice, f"template={template.pk}")["draft"]
    assert draft.subject == "Takk for sist"
    assert draft.text == "Det var hyggelig.\n\n-- \nAlice\n"


def test_the_signature_stands_where_the_identity_says(alice: Person) -> None:
    pk = received(alice, alice.address)
    identity(alice, signature="Alice")
    above = opened(alice, f"reply={pk}")["draft"].text
    identity(alice, signature_below=True)
    below = opened(alice, f"reply={pk}")["draft"].text
    assert above.index("-- \nAlice") < above.index("> Tekst")
    assert below.index("-- \nAlice") > below.index("> Tekst")


def test_files_of_a_message_go_into_one_that_is_being_written(alice: Person) -> None:
    alice.receive(letter("Kart", to=alice.address, files={"a.png": ("image/png", PIXEL)}))
    message = alice.message("Kart")
    draft = compose.save(compose.new(alice.user, to="ola@example.org", subject="Turen"))
    asked = alice.post(f"/messages/{message.pk}/files/", {"do": "into"})
    assert "Turen" in asked.content.decode()
    alice.post(f"/messages/{message.pk}/files/?do=into", {"draft": str(draft.pk)})
    draft.refresh_from_db()
    compose.bring_attachments(draft)
    (part,) = written(draft).iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("a.png", PIXEL)


# --- the message ------------------------------------------------------------------------------------------------


def test_rich_text_goes_out_as_text_and_html_with_its_pictures(alice: Person) -> None:
    draft = compose.new(alice.user, to="ola@example.org", subject="Kart", rich=True)
    draft.html = '<div>Se <b>kartet</b>:</div><img src="cid:kart@inline"><ul><li>En</li><li>To</li></ul>'
    compose.change(draft, {"html": draft.html})
    compose.save(draft)
    picture = DraftAttachment(draft=draft, name="kart.png", type="image/png", size=len(PIXEL), cid="kart@inline")
    picture.file.save("x", ContentFile(PIXEL))
    unused = DraftAttachment(draft=draft, name="borte.png", type="image/png", size=len(PIXEL), cid="borte@inline")
    unused.file.save("x", ContentFile(PIXEL))
    message = written(draft)
    assert message.get_content_type() == "multipart/alternative"
    text, related = message.iter_parts()
    assert text.get_content().split() == ["Se", "kartet:", "*", "En", "*", "To"]
    html, image = related.iter_parts()
    assert '<img src="cid:kart@inline">' in html.get_content()
    assert (image["Content-ID"], image.get_content()) == ("<kart@inline>", PIXEL)


def test_what_the_editor_shows_from_our_addresses_is_kept_by_content_id(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, rich=True))
    html = (
        f'<p>x</p><img src="/drafts/{draft.pk}/pictures/a%40b/"><img src="/settings/"><img src="//evil.example/x.png">'
    )
    alice.post(f"/drafts/{draft.pk}/", {"html": html, "revision": "1", "do": "save"})
    draft.refresh_from_db()
    assert draft.html == '<p>x</p><img src="cid:a@b"><img><img>'


def test_hostile_rich_text_is_harmless_before_it_is_kept(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, rich=True))
    html = (
        '<p onclick="x()">Hi<script>alert(1)</script><style>*{display:none}</style><svg onload=x()></svg>'
        '<a href="javascript:x()">a</a><form action="/x"><input></form><div style="position:fixed;color:red">b</div></p>'
    )
    alice.post(f"/drafts/{draft.pk}/", {"html": html, "revision": "1", "do": "save"})
    draft.refresh_from_db()
    for word in ("script", "onclick", "onload", "svg", "javascript", "form", "input", "fixed", "<style"):
        assert word not in draft.html
    assert "color:red" in draft.html


def test_quoted_rich_text_shows_its_pictures_and_takes_them_along(alice: Person) -> None:
    raw = letter("Bilde", "", to=alice.address, html='<p>Se <img src="cid:p@x"></p>', pictures={"p@x": PIXEL})
    alice.receive(raw)
    pk = alice.message("Bilde").pk
    page = opened(alice, f"reply={pk}&rich=1")
    assert f"/messages/{pk}/parts/" in page["written"]
    data = {"do": "save", "to": "ola@example.org", "html": page["written"], "token": page["token"]}
    alice.post(f"/compose/?reply={pk}&rich=1", data)
    message = written(Draft.objects.get())
    cids = [part["Content-ID"] for part in message.walk() if part["Content-ID"]]
    assert cids == ["<p@x>"]


def test_priority_receipt_and_reply_to_stand_in_the_header(alice: Person) -> None:
    data = {
        "to": "ola@example.org", "subject": "Kart", "reply_to": "svar@example.org", "priority": "high", "choices": "1",
        "wants_receipt": "1", "do": "save",
    }  # fmt: skip
    alice.post("/compose/", data)
    message = written(Draft.objects.get())
    assert message["Reply-To"] == "svar@example.org"
    assert message["Importance"] == "high"
    assert message["Disposition-Notification-To"] == alice.address


def test_a_message_says_nothing_of_the_program_or_the_machine(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, to="ola@example.org", subject="Kart", text="Her"))
    message = written(draft)
    assert set(message.keys()) == {
        "Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    }  # fmt: skip
    assert "postkasse" not in message.as_string().lower().replace("postkasse.test", "")


# --- two windows ------------------------------------------------------------------------------------------------


def test_of_two_versions_each_field_is_chosen(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, to="ola@example.org", subject="Kart", text="Begin"))
    path = f"/drafts/{draft.pk}/"
    first = {"to": "ola@example.org", "subject": "Kart 1", "text": "First", "revision": "1", "do": "save"}
    alice.post(path, first)
    page = alice.post(path, first | {"subject": "Kart 2", "text": "Second"})
    assert page.status_code == 409
    assert Draft.objects.count() == 2
    fields = dict(page.context["typed"])
    data = fields | {"choices": "1", "revision": "2", "copy": str(page.context["copy"].pk)}
    alice.post(f"{path}merge/", data | {"take-subject": "theirs", "take-text": "both"})
    merged = Draft.objects.get()
    assert merged.subject == "Kart 1"
    assert merged.text.startswith("Second\n")
    assert merged.text.endswith("\nFirst")


def test_a_third_change_meanwhile_is_asked_about_again(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, to="ola@example.org", text="Begin"))
    page = alice.post(f"/drafts/{draft.pk}/merge/", {"text": "Mine", "revision": "0", "take-text": "mine"})
    assert page.status_code == 409
    assert set(Draft.objects.values_list("text", flat=True)) == {"Begin\n", "Mine"}


# --- the form alone ---------------------------------------------------------------------------------------------


def test_a_window_asks_for_the_form_alone_and_its_ids_are_its_own(alice: Person) -> None:
    page = alice.get("/compose/", HTTP_X_COMPOSER="7").content.decode()
    assert page.lstrip().startswith("<form")
    assert 'id="d7-to"' in page
    assert "<html" not in page
    whole = alice.get("/compose/", HTTP_X_COMPOSER="0").content.decode()
    assert 'id="to"' in whole
    for other in ("", "x", "-1", "7 onload=x"):
        assert "<html" in alice.get("/compose/", HTTP_X_COMPOSER=other).content.decode()


def test_a_moment_that_is_offered_is_one_button(alice: Person) -> None:
    moments = [value for value, _words, _when in alice.get("/compose/").context["presets"]]
    assert len(moments) >= 1
    fields = {"to": "ola@example.org", "subject": "Hi", "text": "Hello"}
    alice.post("/compose/", {"do": f"later:{moments[0]}", **fields})
    (submission,) = Submission.objects.for_user(alice.user)
    assert f"{timezone.localtime(submission.not_before):%Y-%m-%dT%H:%M}" == moments[0]
    assert alice.post("/compose/", {"do": "later:nonsense", **fields}).status_code == 422


def test_the_frame_of_rich_text_runs_only_files_of_ours_and_asks_nobody(alice: Person) -> None:
    policy = alice.get("/compose/editor/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "frame-ancestors 'self'" in policy


def test_whom_one_writes_as_is_chosen_of_two_versions(alice: Person) -> None:
    own, other = identity(alice), Identity.objects.create(account=alice.account, address="annen@hytte.example")
    draft = compose.save(compose.new(alice.user, to="ola@example.org", text="Same"))
    path, form = f"/drafts/{draft.pk}/", {"text": "Same", "revision": "1", "do": "save"}
    alice.post(path, form | {"identity": str(own.pk), "subject": "Other"})
    page = alice.post(path, form | {"identity": str(other.pk), "subject": "Mine"})
    assert page.status_code == 409
    assert [name for name, *_rest in page.context["differences"]] == ["identity", "subject"]
    assert "annen@hytte.example" in page.content.decode()
    data = dict(page.context["typed"]) | {"choices": "1", "revision": "2", "copy": str(page.context["copy"].pk)}
    alice.post(f"{path}merge/", data | {"take-identity": "mine", "take-subject": "theirs"})
    merged = Draft.objects.get()
    assert (merged.identity, merged.subject, merged.text) == (other, "Other", "Same")
    alice.post(f"{path}merge/", data | {"revision": "3", "identity": str(own.pk), "take-identity": "theirs"})
    assert Draft.objects.get().identity == other


def test_recipients_that_differ_in_case_alone_are_one_and_no_conflict(alice: Person) -> None:
    draft = compose.save(compose.new(alice.user, to="Ola <Ola@Example.org>", cc="ola@example.ORG, kari@example.org"))
    assert compose.recipients(draft).addresses == ("Ola@Example.org", "kari@example.org")
    path, form = f"/drafts/{draft.pk}/", {"revision": "1", "do": "save"}
    alice.post(path, form | {"to": "ola@example.org"})
    page = alice.post(path, form | {"to": " ola@EXAMPLE.org; "})
    assert page.status_code == 303
    assert Draft.objects.count() == 1


@pytest.mark.parametrize("named", ["bl%C3%A5b%C3%A6r@x", "blåbær@x"])
@pytest.mark.parametrize("begin_with", ["reply", "forward", "edit"])
def test_pictures_with_content_ids_beyond_ascii_are_shown_and_go_along(
    alice: Person, named: str, begin_with: str
) -> None:
    raw = letter("Bilde", "", to=alice.address, html=f'<p>Se <img src="cid:{named}"></p>', pictures={"ID@x": PIXEL})
    alice.receive(raw.replace(b"<ID@x>", "<blåbær@x>".encode()))
    pk = alice.message("Bilde").pk
    page = opened(alice, f"{begin_with}={pk}&rich=1")
    assert f"/messages/{pk}/parts/" in page["written"]
    data = {"do": "save", "to": "ola@example.org", "html": page["written"], "token": page["token"]}
    alice.post(f"/compose/?{begin_with}={pk}&rich=1", data)
    draft = Draft.objects.get()
    assert "/pictures/" in alice.get(f"/drafts/{draft.pk}/").context["written"]
    message = written(draft)
    (cid,) = [part["Content-ID"] for part in message.walk() if part["Content-ID"]]
    body = message.get_body(("html",))
    assert body is not None
    assert f'src="cid:{cid.strip("<>")}"' in body.get_content()

"""The composer with script: windows in the page, chips, files in pieces, rich text, and nothing that is written gets lost."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.app import eventually
from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient, second_client
from tests.servers import PASSWORD

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFElEQVR4nGP8z8DwnwEPYMInOXwUAADfFgMB+mW5WQAAAABJRU5ErkJggg=="


def draft_of(world: World, subject: str) -> list[dict[str, object]]:
    return [dict(row) for row in world.app.rows("SELECT * FROM webmail_draft WHERE subject = ?", subject)]


def saved(world: World, subject: str, **fields: str) -> None:
    """Waits for the one draft of this subject to say this."""

    def there() -> bool:
        drafts = draft_of(world, subject)
        return len(drafts) == 1 and all(drafts[0][name] == value for name, value in fields.items())

    eventually(there, f"{subject} saved with {fields}, not {draft_of(world, subject)}")


def sign_out_elsewhere(world: World) -> None:
    world.app.change("DELETE FROM django_session")


def sign_in_again(page: Page, address: str) -> None:
    page.get_by_label("Mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def window(page: Page, title: str) -> Locator:
    return page.get_by_role("dialog", name=title)


def fill(window: Locator, to: str, subject: str, text: str) -> None:
    window.get_by_label("To", exact=True).fill(to)
    window.locator("textarea").fill(text)
    window.get_by_label("Subject").fill(subject)  # which becomes its title


def test_windows_stay_while_one_reads_on_and_each_keeps_its_own_text(
    visit: Visit, world: World, address: str, elsewhere: SecondClient, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    elsewhere.append(letter("First", "One.", minutes_ago=2))
    elsewhere.append(letter("Second", "Two.", minutes_ago=1))
    visit.enter(address)
    visit.send_at_once()
    page = visit.page
    fill(visit.new_message(), friend, "Kept open", "Written while")
    visit.open("First").get_by_role("link", name="Reply", exact=True).first.click()
    answer = window(page, "Re: First")
    expect(answer.locator("textarea")).to_have_value(re.compile("> One."))
    visit.open("Second")
    expect(window(page, "Kept open").locator("textarea")).to_have_value("Written while")
    answer.get_by_role("button", name="Minimise").click()
    expect(answer.locator("textarea")).not_to_be_visible()
    saved(world, "Kept open", text="Written while")

    page.goto(f"{visit.url}/unread/")  # another page, and they are back
    kept = window(page, "Kept open")
    expect(kept.locator("textarea")).to_have_value("Written while")
    expect(window(page, "Re: First")).to_be_visible()
    kept.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    expect(kept).to_have_count(0)
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("Kept open")
    window(page, "Re: First").get_by_role("button", name="Close and keep the draft").click()
    expect(page.locator(".float")).to_have_count(0)
    page.reload()
    expect(page.locator(".float")).to_have_count(0)
    assert len(world.smtp.received) == 1
    assert visit.errors == []


def test_people_are_chips_that_the_keyboard_adds_edits_and_removes(visit: Visit, world: World, address: str) -> None:
    def answer(route: Route) -> None:
        ola = {"name": "Ola Nordmann", "email": "ola@example.org", "contact": 1, "group": False}
        band = {"name": "Korpset", "email": "", "contact": 0, "group": True, "text": "a@example.org, b@example.org"}
        route.fulfill(json={"suggestions": [ola | {"text": "Ola Nordmann <ola@example.org>"}, band]})

    visit.context.route("**/contacts/suggestions/*", answer)
    visit.enter(address)
    page = visit.page
    page.goto(f"{visit.url}/compose/")
    to, handed_in = page.get_by_role("combobox", name="To", exact=True), page.locator("input[name=to]")
    chips = page.locator(".people-line").first.locator(".chip > .clip")
    to.press_sequentially("ol")
    expect(page.locator(".suggested [role=option]")).to_have_count(2)
    to.press("Enter")
    expect(chips).to_have_text(["Ola Nordmann"])
    to.press_sequentially("kor")
    expect(page.locator(".suggested [role=option]")).to_have_count(2 - 1)  # he is there already
    to.press("Tab")
    expect(chips).to_have_text(["Ola Nordmann", "a@example.org", "b@example.org"])
    visit.context.unroute("**/contacts/suggestions/*")
    to.fill('"Berg, Kari" <kari@example.org>; jonas@, post@example.org')
    to.press("Enter")
    expect(chips).to_have_text(
        ["Ola Nordmann", "a@example.org", "b@example.org", "Berg, Kari", "jonas@", "post@example.org"]
    )
    expect(page.locator(".chip.bad > .clip")).to_have_text("jonas@")
    to.press("Backspace")
    to.press("ArrowLeft")
    page.keyboard.press("Enter")  # on the last one: it is text again
    expect(to).to_have_value("jonas@")
    to.fill("jonas@example.org")
    to.press("Tab")
    page.locator(".chip", has_text="a@example.org").get_by_role("button").click()
    expected = 'Ola Nordmann <ola@example.org>, b@example.org, "Berg, Kari" <kari@example.org>, jonas@example.org'
    expect(handed_in).to_have_value(expected)
    page.get_by_label("Subject").fill("To many")
    saved(world, "To many", to=expected)


def test_files_go_out_once_although_the_sign_in_expired_meanwhile(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str], tmp_path: Path
) -> None:
    friend, files = new_address("imap.test"), {f"{name}.bin": os.urandom(300_000) for name in ("en", "to", "tre")}
    for name, octets in files.items():
        (tmp_path / name).write_bytes(octets)
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "All three", "See them.")
    page = visit.page
    page.locator("#files").set_input_files([tmp_path / name for name in files])
    expect(page.locator(".file[data-file]")).to_have_count(3)
    sign_out_elsewhere(world)
    page.get_by_role("button", name="Send", exact=True).click()
    sign_in_again(page, address)
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("All three")
    assert {part.get_filename(): part.get_content() for part in arrived.iter_attachments()} == files
    assert len(world.smtp.received) == 1


def test_saving_goes_on_after_signing_in_again_in_another_tab(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("", "Long thought", "The first half")
    page = visit.page
    saved(world, "Long thought", text="The first half")
    sign_out_elsewhere(world)
    page.locator("textarea#text").fill("The first half, and the second")
    with visit.context.expect_page() as opened:
        page.get_by_role("status").get_by_role("link", name="Sign in").click()
    again = opened.value
    sign_in_again(again, address)
    expect(again.locator("textarea#text")).to_have_value(re.compile("The first half"))
    again.close()
    page.bring_to_front()
    saved(world, "Long thought", text="The first half, and the second")
    expect(page.get_by_role("link", name="Sign in")).to_have_count(0)


def test_two_tabs_on_one_draft_show_both_versions_and_keep_both(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("", "Twice", "Begun")
    one = visit.page
    saved(world, "Twice", text="Begun")
    expect(one).to_have_url(re.compile("/drafts/"))
    other = visit.context.new_page()
    other.goto(one.url)
    other.locator("textarea#text").fill("From the other tab")
    saved(world, "Twice", text="From the other tab")
    one.locator("textarea#text").fill("From this tab")
    one.get_by_role("button", name="Show both versions").click()
    expect(one.locator(".version .text")).to_have_text(["From this tab", "From the other tab"])
    one.get_by_label("Both, one below the other").check()
    one.get_by_role("button", name="Save what is chosen").click()
    text = one.locator("textarea#text")
    expect(text).to_have_value(re.compile("From this tab.*From the other tab", re.DOTALL))


def test_a_tab_closed_in_mid_sentence_loses_no_word(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("", "Cut off", "In the middle of")
    expect(visit.page.locator("form.live")).to_be_visible()
    visit.page.close()
    saved(world, "Cut off", text="In the middle of")


def test_what_never_reached_the_server_is_restored_and_can_be_undone(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("", "Long ago", "Before")
    page = visit.page
    saved(world, "Long ago", text="Before")
    expect(page).to_have_url(re.compile("/drafts/"))
    url = page.url
    sign_out_elsewhere(world)
    page.locator("textarea#text").fill("And after")
    page.get_by_label("Cc").first.click()
    page.locator("#cc").fill("kari@example.org")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.close()  # and is opened again the next day
    visit.page = again = visit.context.new_page()
    visit.enter(address)
    again.goto(url)
    expect(again.locator("#composer .notes")).to_contain_text("Restored")
    expect(again.locator("textarea#text")).to_have_value("And after")
    saved(world, "Long ago", text="And after", cc="kari@example.org")
    again.get_by_role("button", name="Undo").click()
    expect(again.locator("textarea#text")).to_have_value("Before")
    saved(world, "Long ago", text="Before", cc="")


def test_a_question_before_sending_leaves_nothing_behind_for_the_next_message(
    visit: Visit, world: World, address: str
) -> None:
    visit.enter(address)
    page = visit.page
    page.goto(f"{visit.url}/compose/")
    page.get_by_label("To", exact=True).fill("kari@example.org")
    page.locator("textarea#text").fill("No subject yet")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("There is no subject")
    expect(page.locator("textarea#text")).to_have_value("No subject yet")
    page.goto(f"{visit.url}/compose/")
    expect(page.locator("textarea#text")).not_to_have_value(re.compile("No subject yet"))
    expect(page.locator("[data-notes]")).not_to_contain_text("Restored")


def test_a_pasted_picture_arrives_in_the_text(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "With a picture", "")
    page = visit.page
    page.get_by_role("button", name="Rich text").click()
    frame = page.frame_locator("iframe.rich")
    text = frame.locator("#text[contenteditable=true]")
    text.press_sequentially("A ")
    page.get_by_role("button", name="Bold").click()
    expect(page.get_by_role("button", name="Bold")).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("bold")
    page.keyboard.press("Control+b")
    page.keyboard.type(" word ")
    text.evaluate(
        """(text, png) => {
        const octets = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([octets], "image.png", { type: "image/png" }));
        text.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }""",
        PIXEL,
    )
    expect(frame.locator("img")).to_have_js_property("naturalWidth", 8)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("With a picture")
    body = arrived.get_body(("related", "html"))
    assert body is not None
    assert body.get_content_type() == "multipart/related"
    source = body.get_body(("html",))
    assert source is not None
    (cid,) = re.findall(r'src="cid:([^"]+)"', source.get_content())
    assert re.search(r"A.<b>bold</b>.word", source.get_content().replace("&nbsp;", " "))
    (picture,) = [part for part in arrived.walk() if part.get_content_type() == "image/png"]
    assert picture["Content-ID"] == f"<{cid}>"
    plain = arrived.get_body(("plain",))
    assert plain is not None
    assert "A bold word" in plain.get_content().replace("\xa0", " ")
    assert visit.errors == []


def test_what_is_pasted_or_quoted_runs_nothing_and_asks_nobody(
    visit: Visit, address: str, elsewhere: SecondClient
) -> None:
    evil = (
        "<p>Hello <b>there</b></p><img src=x onerror='top.ran=1'><script>top.ran=1</script>"
        "<a href='javascript:top.ran=1'>go</a><img src='https://tracker.invalid/a.png'>"
        "<iframe srcdoc='<script>top.ran=1</script>'></iframe><style>body { background: url(https://x.invalid/b.png) }"
        "</style><svg onload='top.ran=1'></svg><form action='https://x.invalid/'><input name=a autofocus onfocus='top.ran=1'>"
    )
    elsewhere.append(letter("Bait", "text", html=evil))
    visit.enter(address)
    number = visit.world.app.rows("SELECT id FROM webmail_message WHERE subject = 'Bait'")[-1]["id"]
    page = visit.page
    page.goto(f"{visit.url}/compose/?reply={number}&rich=1")
    frame = page.frame_locator("iframe.rich")
    expect(frame.locator("#text")).to_contain_text("Hello there")
    frame.locator("#text").evaluate(
        """(text, html) => {
        const data = new DataTransfer();
        data.setData("text/html", html + "<table><tr><td>From Excel</td></tr></table>");
        text.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }""",
        evil,
    )
    expect(frame.locator("table")).to_have_text("From Excel")
    expect(frame.locator("script:not([src]), svg, form, input, #text iframe, style")).to_have_count(0)
    expect(frame.locator("#text [onerror], #text a[href^=javascript]")).to_have_count(0)
    page.get_by_label("Subject").click()
    assert page.evaluate("window.ran") is None


def test_files_are_dropped_told_if_too_large_and_go_on_after_a_break(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str], tmp_path: Path
) -> None:
    friend, octets = new_address("imap.test"), os.urandom(9_000_000)
    (tmp_path / "big.bin").write_bytes(octets)
    (tmp_path / "huge.bin").write_bytes(bytes(40_000_000))
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "In pieces", "Here.")
    page = visit.page
    pieces: list[str] = []

    def break_the_second(route: Route) -> None:
        pieces.append(route.request.url)
        if len(pieces) == 2:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(re.compile(r"/uploads/[^/]+/\?offset="), break_the_second)
    page.locator("#files").set_input_files([tmp_path / "big.bin", tmp_path / "huge.bin"])
    huge = page.locator(".file", has_text="huge.bin")
    expect(huge).to_contain_text("is more than the")
    huge.get_by_role("button").click()
    expect(huge).to_have_count(0)
    page.evaluate("""() => {
        const data = new DataTransfer();
        data.items.add(new File(["dropped"], "dropped.txt", { type: "text/plain", lastModified: 1 }));
        const text = document.querySelector("textarea#text");
        for (const name of ["dragenter", "dragover", "drop"]) {
          text.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
          if (name === "dragover" && !document.querySelector(".composer.dropping")) throw new Error("no place to drop is shown");
        }
    }""")
    page.get_by_role("button", name="Send", exact=True).click()  # while a file is on its way
    expect(page.locator("#toast")).to_contain_text("Sending to")
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("In pieces")
    found = {part.get_filename(): part.get_content() for part in arrived.iter_attachments()}
    assert found == {"big.bin": octets, "dropped.txt": "dropped"}
    assert len(pieces) >= 5  # three of the large file, one of them twice, and the small one
    assert len(world.smtp.received) == 1


def test_a_message_for_later_leaves_once_when_its_time_has_come(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    page = visit.page
    fill(visit.new_message(), friend, "Tomorrow", "Good morning.")
    later = window(page, "Tomorrow")
    later.get_by_label("Send later").click()
    later.get_by_role("button", name="Tomorrow morning").click()
    expect(page.locator("#toast")).to_contain_text("To be sent to")
    assert world.smtp.received == []
    world.app.change("UPDATE webmail_submission SET not_before = '2026-01-01 00:00:00' WHERE subject = 'Tomorrow'")
    world.app.sweep()
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("Tomorrow")
    world.app.sweep()
    eventually(
        lambda: world.app.rows("SELECT * FROM webmail_submission WHERE subject = 'Tomorrow' AND filing = 'filed'"),
        "filed",
    )
    assert len(world.smtp.received) == 1


def test_a_window_says_what_may_be_forgotten_and_keys_send_and_discard(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    visit.send_at_once()
    page = visit.page
    expect(page.locator("html.live")).to_be_attached()
    page.keyboard.press("c")
    fill(window(page, "New message"), friend, "", "The drawing is attached.")
    page.keyboard.press("Control+Enter")
    alert = page.locator(".float").get_by_role("alert")
    expect(alert).to_contain_text("There is no subject.")
    expect(alert).to_contain_text("speaks of an attachment")
    expect(page.locator(".float textarea")).to_have_value("The drawing is attached.")
    alert.get_by_role("button", name="Send it as it is").click()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    eventually(lambda: world.smtp.received, "sent")
    expect(page.locator("html.live")).to_be_attached()
    page.keyboard.press("c")
    fill(window(page, "New message"), "", "Never mind", "Words")
    saved(world, "Never mind", text="Words")
    page.locator(".float textarea").press("Escape")
    expect(page.locator(".float.small")).to_be_visible()
    page.locator(".float.small").get_by_role("button", name="Never mind").click()
    page.locator(".float textarea").press("Control+Shift+D")
    expect(page.locator("#toast")).to_contain_text("Draft discarded.")
    eventually(lambda: draft_of(world, "Never mind") == [], "discarded")


def test_without_script_a_message_has_all_its_fields_files_and_templates(
    visit_with: Callable[..., Visit], world: World, address: str, new_address: Callable[[str], str], tmp_path: Path
) -> None:
    friend, other = new_address("imap.test"), new_address("imap.test")
    (tmp_path / "plan.txt").write_text("the plan")
    visit = visit_with(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    visit.enter(address)
    visit.send_at_once()
    page = visit.page
    page.goto(f"{visit.url}/templates/creation/")
    page.get_by_label("Name").fill("Greeting")
    page.get_by_label("Message").fill("With kind regards")
    page.get_by_role("button", name="Save").click()
    visit.write(friend, "By form", "")
    page.get_by_label("Cc Bcc").click()
    page.get_by_label("Bcc", exact=True).fill(other)
    page.get_by_label("More", exact=True).click()
    page.get_by_role("button", name="Greeting").click()
    expect(page.locator("textarea#text")).to_have_value(re.compile("With kind regards"))
    page.locator("#files").set_input_files(tmp_path / "plan.txt")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".files")).to_contain_text("plan.txt")
    page.get_by_label("More", exact=True).click()
    page.get_by_label("Priority").select_option("high")
    page.get_by_label("Ask for a read receipt").check()
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("By form")
    assert arrived["X-Priority"].startswith("1")
    assert arrived["Disposition-Notification-To"]
    assert not arrived["Bcc"]
    assert [part.get_content() for part in arrived.iter_attachments()] == ["the plan"]
    with second_client(world.dovecot, other) as theirs:
        theirs.await_message("By form")


def test_what_is_typed_on_in_a_draft_sent_from_another_tab_is_a_new_draft(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "Left already", "As sent")
    page = visit.page
    saved(world, "Left already", text="As sent")
    expect(page).to_have_url(re.compile("/drafts/"))
    draft, other = page.url, visit.context.new_page()
    other.goto(draft)
    other.get_by_role("button", name="Send", exact=True).click()
    expect(other.locator("#toast")).to_contain_text("Sending to")
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("Left already")
    page.locator("textarea#text").fill("As sent, and a second thought")
    expect(page.locator("[data-notes]")).to_contain_text("The message has left already")
    expect(page).not_to_have_url(draft)
    eventually(
        lambda: any(one["text"] == "As sent, and a second thought" for one in draft_of(world, "Left already")), "kept"
    )
    page.reload()
    expect(page.locator("textarea#text")).to_have_value("As sent, and a second thought")
    assert len(world.smtp.received) == 1


def test_a_window_of_its_own_keeps_and_sends_what_is_written(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    visit.send_at_once()
    page = visit.page
    docked = visit.new_message()
    fill(docked, friend, "On its own", "Begun in the page")
    with visit.context.expect_page() as opened:
        docked.get_by_role("button", name="Open in a window of its own").click()
    own = opened.value
    expect(page.locator(".float")).to_have_count(0)
    expect(own.locator("textarea#text")).to_have_value("Begun in the page")
    expect(own.locator("#nav")).to_have_count(0)
    own.locator("textarea#text").fill("Ended in a window of its own")
    saved(world, "On its own", text="Ended in a window of its own")
    expect(own).to_have_url(re.compile(r"/drafts/\d+/\?alone=1$"))
    own.get_by_role("button", name="Send", exact=True).click()
    expect(own.get_by_role("status")).to_contain_text("Sending to")
    expect(own.get_by_role("status")).to_contain_text("This window can be closed.")
    with second_client(world.dovecot, friend) as theirs:
        assert "Ended in a window" in theirs.await_message("On its own").get_content()
    assert len(world.smtp.received) == 1


def test_mail_links_of_other_pages_are_opened_in_the_composer(visit: Visit, address: str) -> None:
    # The browser would ask its person, who is not there.
    visit.context.add_init_script(
        "Navigator.prototype.registerProtocolHandler = (...given) => { window.given = given; }"
    )
    visit.enter(address)
    page = visit.page
    page.goto(f"{visit.url}/settings/")
    page.get_by_role("button", name="Use Postkasse for mail links").click()
    expect(page.locator("#mail-links").get_by_role("status")).to_contain_text("The browser asks now")
    scheme, opens = page.evaluate("window.given")
    assert scheme == "mailto"
    link = "mailto:ola@example.org?subject=Blåbær & bær&body=1 + 1\r\nis 2"
    page.goto(opens.replace("%s", page.evaluate("link => encodeURIComponent(encodeURI(link))", link)))
    expect(page.locator("input[name=to]")).to_have_value("ola@example.org")
    expect(page.get_by_label("Subject")).to_have_value("Blåbær")  # an "&" of the text would be written %26
    expect(page.locator("textarea#text")).to_have_value(re.compile(r"^1 \+ 1\nis 2\n"))


def test_a_file_that_is_cancelled_on_its_way_leaves_nothing_and_does_not_go_out(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str], tmp_path: Path
) -> None:
    friend = new_address("imap.test")
    (tmp_path / "big.bin").write_bytes(os.urandom(3_000_000))
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "Without it", "No file.")
    page = visit.page
    held: list[Route] = []

    def hold_the_second(route: Route) -> None:
        if "offset=0" in route.request.url:
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile(r"/uploads/[^/]+/\?offset="), hold_the_second)
    page.locator("#files").set_input_files(tmp_path / "big.bin")
    expect(page.locator(".file", has_text="big.bin")).to_contain_text("1.0 MB of 3.0 MB")
    assert world.app.rows("SELECT * FROM webmail_uploadpiece")
    page.get_by_role("button", name="Remove big.bin").click()
    expect(page.locator(".file")).to_have_count(0)
    eventually(lambda: not world.app.rows("SELECT * FROM webmail_upload"), "the upload is forgotten")
    assert not world.app.rows("SELECT * FROM webmail_uploadpiece")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    with second_client(world.dovecot, friend) as theirs:
        assert list(theirs.await_message("Without it").iter_attachments()) == []


def test_people_are_suggested_from_the_address_book_and_from_mail(
    visit: Visit, world: World, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("Hello", "Hi.", sender="Olga Strand <olga@example.org>"))
    visit.enter(address)
    page = visit.page
    page.goto(f"{visit.url}/contacts/creation/")
    page.get_by_label("Name", exact=True).fill("Ola Nordmann")
    page.get_by_label("Mail addresses").fill("ola@example.org")
    page.get_by_role("button", name="Save").click()
    page.goto(f"{visit.url}/compose/")
    to = page.get_by_role("combobox", name="To", exact=True)
    world.app.sweep()

    def suggested() -> bool:
        to.fill("")
        to.press_sequentially("ol")
        options = page.locator(".suggested [role=option]")
        expect(options.first).to_be_visible()
        return options.count() == 2

    eventually(suggested, "both are suggested")
    page.locator(".suggested [role=option]", has_text="Olga").click()
    to.press_sequentially("ola@")
    expect(page.locator(".suggested [role=option]")).to_have_count(1)
    to.press("Enter")
    expect(page.locator("input[name=to]")).to_have_value(
        "Olga Strand <olga@example.org>, Ola Nordmann <ola@example.org>"
    )


COVERED = """async () => {
    const hidden = [];
    for (const one of document.querySelectorAll("#main :is(a[href], button, input:not([type=hidden]), select, textarea)")) {
        if (!one.checkVisibility({ visibilityProperty: true }) || one.closest(".vh")) continue;
        const reached = ["start", "center", "end"].some((block) => {
            one.scrollIntoView({ block, behavior: "instant" });
            const { x, y, width, height } = one.getBoundingClientRect();
            const hit = document.elementFromPoint(x + width / 2, y + height / 2);
            return !hit?.closest("#windows");
        });
        if (!reached) hidden.push(one.outerHTML);
    }
    return hidden;
}"""


def test_a_window_covers_no_button_for_good(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    for number in range(3):
        elsewhere.append(letter(f"Letter {number}", "Text"))
    visit.enter(address)
    page = visit.page
    fill(visit.new_message(), "", "Docked", "Words")
    page.set_viewport_size({"width": 920, "height": 700})  # about the narrowest that has windows
    for path in (
        "/settings/",
        "/settings/accounts/creation/",
        "/contacts/",
        "/contacts/creation/",
        "/templates/",
        "/outbox/",
        "/",
    ):
        page.goto(f"{visit.url}{path}")
        expect(window(page, "Docked").locator("form.live")).to_be_visible()
        assert page.evaluate(COVERED) == [], path
        window(page, "Docked").get_by_role("button", name="Minimise").click()
        assert page.evaluate(COVERED) == [], path
        window(page, "Docked").locator("[data-window=shrink]").last.click()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{visit.url}/settings/")
    expect(page.locator(".float")).to_have_count(0)  # there is no room for both


def says(route: Route, button: str) -> bool:
    data = route.request.post_data_buffer or b""
    return route.request.method == "POST" and f'name="do"\r\n\r\n{button}\r\n'.encode() in data


@pytest.mark.parametrize("place", ["a window", "a page"])
def test_send_pressed_twice_while_a_save_is_under_way_hands_in_once(visit: Visit, address: str, place: str) -> None:
    saves: list[Route] = []
    sent: list[str] = []

    def pass_on(route: Route) -> None:
        if says(route, "save") and not saves:
            saves.append(route)
            return
        if says(route, "send"):
            sent.append(route.request.url)
        route.continue_()

    visit.enter(address)
    page = visit.page
    if place == "a page":
        page.goto(f"{visit.url}/compose/")
        form = page.locator("form.composer.live")
    else:
        form = visit.new_message()
    page.route(re.compile("/(compose|drafts)/"), pass_on)
    with page.expect_request(lambda request: request.method == "POST"):
        fill(form, "ola@example.org", "Pressed twice", "Text")
    form.get_by_role("button", name="Send", exact=True).dblclick()
    saves[0].continue_()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    page.locator("#toast").get_by_role(
        "button", name="Undo"
    ).click()  # which the answer to a second one would not offer
    expect(page.locator("[name=subject]")).to_have_value("Pressed twice")
    assert len(sent) == 1


def test_a_form_that_was_handed_in_before_the_script_had_come_is_left_alone(visit: Visit, address: str) -> None:
    """What it says is on its way; a save behind it would be told that it has left already."""
    scripts: list[Route] = []
    visit.enter(address)
    page = visit.page
    page.route("**/js/composer.js", lambda route: scripts.append(route))
    page.goto(f"{visit.url}/compose/", wait_until="commit")
    expect(page.locator("html.live")).to_be_attached()
    fill(page.locator("form.composer"), "ola@example.org", "Early", "Text")
    page.route("**/compose/", lambda route: route.fulfill(status=204))  # so that the page stays to be looked at
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Send", exact=True).click()
    for route in scripts:
        route.continue_()
    expect(page.locator("form.composer.live")).to_be_attached()
    assert page.evaluate("document.getElementById('composer').composer.leaving") is True

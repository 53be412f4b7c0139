"""Writing: to somebody, with a file; a reply; a refused recipient; taking back what was sent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.app import eventually
from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient, second_client


def test_a_message_with_a_file_arrives_and_is_filed_in_sent(
    visit: Visit, world: World, address: str, elsewhere: SecondClient, new_address: Callable[[str], str], tmp_path: Path
) -> None:
    friend = new_address("imap.test")
    octets = os.urandom(200_000)
    (tmp_path / "Kart over øya.bin").write_bytes(octets)
    visit.enter(address)
    visit.send_at_once()
    visit.write(friend, "Blåbær på fjellet", "Hei!\n\nDette er en prøve.\n.\nMed et punktum.\n")
    page = visit.page
    page.locator("#files").set_input_files(tmp_path / "Kart over øya.bin")
    expect(page.locator(".files")).to_contain_text("Kart over øya.bin")
    expect(page.get_by_label("Subject")).to_have_value("Blåbær på fjellet")
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("Blåbær på fjellet")
    filed = elsewhere.await_message("Blåbær på fjellet", "Sent")
    for message in (arrived, filed):
        text = message.get_body(("plain",))
        assert text is not None
        assert text.get_content().replace("\r\n", "\n").rstrip() == "Hei!\n\nDette er en prøve.\n.\nMed et punktum."
        (attachment,) = message.iter_attachments()
        assert attachment.get_filename() == "Kart over øya.bin"
        assert attachment.get_content() == octets
    assert arrived["Message-ID"] == filed["Message-ID"]
    assert elsewhere.flags("Blåbær på fjellet", "Sent") >= {"\\Seen"}
    assert len(world.smtp.received) == 1
    page.goto(f"{visit.url}/outbox/")
    expect(page.get_by_text("Nothing waits to be sent")).to_be_visible()
    page.goto(f"{visit.url}/drafts/")
    expect(page.get_by_text("No drafts")).to_be_visible()
    assert visit.errors == []


def test_a_reply_names_what_it_answers_and_marks_it_answered(
    visit: Visit, world: World, address: str, elsewhere: SecondClient, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    headers = {"Message-ID": "<third@example.org>", "References": "<first@example.org> <second@example.org>"}
    elsewhere.append(letter("Dinner?", "At seven?", sender=f"A friend <{friend}>", to=address, headers=headers))
    visit.enter(address)
    visit.send_at_once()
    visit.open("Dinner?").get_by_role("link", name="Reply", exact=True).first.click()
    window = visit.page.get_by_role("dialog", name="Re: Dinner?")
    expect(window.locator("input[name=to]")).to_have_value(f"A friend <{friend}>")
    expect(window.get_by_label("Subject")).to_have_value("Re: Dinner?")
    text = window.locator("textarea")
    assert "> At seven?" in text.input_value()
    text.fill("Gladly.\n" + text.input_value())
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("Re: Dinner?")
    assert arrived["In-Reply-To"] == "<third@example.org>"
    assert arrived["References"].split() == ["<first@example.org>", "<second@example.org>", "<third@example.org>"]
    elsewhere.await_flag("Dinner?", "\\Answered")


def test_a_message_can_be_taken_back_before_it_leaves(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    visit.enter(address)
    visit.write(new_address("imap.test"), "Too soon", "Half a thought")
    visit.press_send()
    page = visit.page
    page.goto(f"{visit.url}/outbox/")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Subject")).to_have_value("Too soon")
    expect(page.locator("textarea#text")).to_have_value("Half a thought")
    assert world.app.rows("SELECT * FROM webmail_submission WHERE subject = 'Too soon'") == []
    assert world.smtp.received == []


def test_a_refused_recipient_is_shown_in_the_servers_words_and_put_right(
    visit: Visit, world: World, address: str, elsewhere: SecondClient, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    world.smtp.refuse["nobdy@imap.test"] = "550 5.1.1 We have never heard of nobdy"
    visit.enter(address)
    visit.send_at_once()
    visit.write("nobdy@imap.test", "Invitation", "Come on Friday.")
    visit.press_send()
    page = visit.page
    page.goto(f"{visit.url}/outbox/")
    job = page.locator(".job", has_text="Invitation")
    expect(job).to_contain_text("Refused by the server")
    expect(job.locator("samp").first).to_contain_text("550 5.1.1 We have never heard of nobdy")
    job.get_by_role("button", name="Edit").click()
    expect(page.locator("textarea#text")).to_have_value("Come on Friday.")
    page.get_by_label("To", exact=True).fill(friend)
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("Invitation")
    elsewhere.await_message("Invitation", "Sent")
    assert [message.recipients for message in world.smtp.received] == [[friend]]


def test_what_is_written_is_saved_without_a_click_and_found_again(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("", "Unfinished", "The first half")
    page = visit.page
    expect(page.locator("[data-saved]")).to_contain_text("Saved")
    eventually(lambda: world.app.rows("SELECT * FROM webmail_draft WHERE text = 'The first half'"), "a draft saved")
    page.goto(f"{visit.url}/drafts/")
    page.get_by_role("link", name="Unfinished").click()
    expect(page.locator("textarea#text")).to_have_value("The first half")


def test_an_address_that_is_none_is_named_and_nothing_is_lost(visit: Visit, world: World, address: str) -> None:
    visit.enter(address)
    visit.write("kari at example", "A slip", "Every word stays.")
    visit.page.get_by_role("button", name="Send", exact=True).click()
    expect(visit.page.get_by_role("alert")).to_contain_text("Not a mail address: “kari at example”")
    expect(visit.page.locator("textarea#text")).to_have_value("Every word stays.")
    assert world.smtp.received == []

"""Files in a real browser: listed, shown in the page, heard from any place, saved one by one and together, warned about."""

from __future__ import annotations

import io
import os
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.app import eventually
from tests.browser.conftest import Visit
from tests.browser.test_accessibility import violations
from tests.letters import letter
from tests.second_client import SecondClient

EXE = b"MZ\x90\0\x03\0\0\0" + os.urandom(3000)
SCRIPT = b"<!doctype html><title>x</title><script>document.title = 'ran'</script>"


def picture() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((900, 600)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def sound(seconds: int = 60) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(os.urandom(2 * 16_000 * seconds))
    return out.getvalue()


def pdf() -> bytes:
    """One empty page (ISO 32000-1 §7.5)."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    at = len(out)
    return (
        out
        + b"xref\n0 4\n0000000000 65535 f \n"
        + table
        + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % at
    )


FILES = {
    "Photo.jpg": ("image/jpeg", picture()),
    "Plan.pdf": ("application/pdf", pdf()),
    "Notes.txt": ("text/plain", "Blåbær <b>ikke fet</b>\n".encode()),
    "Recording.wav": ("audio/wav", sound()),
    "Data.bin": ("application/octet-stream", os.urandom(200_000)),
}


def saved(page: Page, name: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return Path(download.value.path()).read_bytes()


def test_files_are_shown_one_after_the_other(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    elsewhere.append(letter("Many files", "See them.", files=FILES))
    visit.enter(address)
    read = visit.open("Many files")
    page = visit.page
    thumb = read.locator(".file", has_text="Photo.jpg").locator("img.thumb")
    expect(thumb).to_be_visible()
    assert thumb.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 240

    read.get_by_role("link", name="Photo.jpg", exact=True).click()
    image = page.locator(".stage img")
    expect(image).to_be_visible()
    assert image.evaluate("async image => { await image.decode(); return image.naturalWidth }") == 900
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("Plan.pdf")
    expect(page.locator("iframe.stage")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("pre.paper")).to_contain_text("Blåbær <b>ikke fet</b>")
    page.get_by_role("link", name="Next attachment").click()
    place = page.locator("audio").evaluate(
        """sound => new Promise((done, failed) => {
            sound.addEventListener("seeked", () => done([sound.currentTime, sound.duration]));
            sound.addEventListener("error", () => failed(sound.error.message));
            const go = () => { sound.currentTime = 55; };
            if (sound.readyState) go(); else sound.addEventListener("loadedmetadata", go);
        })"""
    )
    assert place == [55, 60]
    page.keyboard.press("ArrowRight")
    expect(page.locator("#main")).to_contain_text("It cannot be shown here")
    page.keyboard.press("Escape")
    expect(page.locator("#read h1")).to_have_text("Many files")
    assert visit.errors == []


RECORD = """() => new Promise((done) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const pen = canvas.getContext("2d");
    const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm" });
    const paint = () => { pen.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`; pen.fillRect(0, 0, 320, 180); };
    recorder.addEventListener("dataavailable", async ({ data }) => {
        clearInterval(painting);
        done([...new Uint8Array(await data.arrayBuffer())]);
    });
    recorder.start();
    const painting = setInterval(paint, 40);
    setTimeout(() => recorder.stop(), 500);
})"""


def test_a_film_plays_in_the_page(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    visit.page.goto(f"{visit.url}/sign-in/")
    film = bytes(visit.page.evaluate(RECORD))
    elsewhere.append(letter("A film", "See it.", files={"Film.webm": ("video/webm", film)}))
    visit.enter(address)
    visit.open("A film").get_by_role("link", name="Film.webm", exact=True).click()
    video = visit.page.locator("video")
    assert video.evaluate(
        """film => new Promise((done, failed) => {
            film.addEventListener("error", () => failed(film.error.message));
            film.addEventListener("timeupdate", () => { if (film.currentTime) done([film.videoWidth, film.videoHeight]); });
            film.muted = true;
            film.play();
        })"""
    ) == [320, 180]
    assert visit.errors == []


def test_files_are_saved_together_and_used_again(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    elsewhere.append(letter("Many files", "See them.", files=FILES))
    visit.enter(address)
    read = visit.open("Many files")
    with zipfile.ZipFile(io.BytesIO(saved(visit.page, "Download all"))) as found:
        assert {name: found.read(name) for name in found.namelist()} == {name: FILES[name][1] for name in FILES}
    read.get_by_role("checkbox", name="Choose Notes.txt").check()
    read.get_by_role("checkbox", name="Choose Data.bin").check()
    with zipfile.ZipFile(io.BytesIO(saved(visit.page, "Download the ticked ones"))) as found:
        assert found.namelist() == ["Notes.txt", "Data.bin"]
    read.get_by_role("button", name="Use the ticked ones in a new message").click()
    composer = visit.page.locator("#composer")
    expect(composer.locator(".files")).to_contain_text("Notes.txt")
    expect(composer.locator(".files")).to_contain_text("Data.bin")
    composer.get_by_label("To", exact=True).fill(address)
    composer.get_by_label("Subject").fill("Files again")
    visit.press_send()
    arrived = elsewhere.await_message("Files again")
    sent = {part.get_filename(): part.get_payload(decode=True) for part in arrived.iter_attachments()}
    assert sent == {name: FILES[name][1] for name in ("Notes.txt", "Data.bin")}
    assert visit.errors == []


def test_a_dangerous_file_is_asked_about_without_javascript_too(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient
) -> None:
    files = {"photo.jpg": ("image/jpeg", EXE), "page.html": ("text/html", SCRIPT), "ok.txt": ("text/plain", b"Fine\n")}
    elsewhere.append(letter("Careful", "Look.", files=files))
    visit = visit_with(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    visit.enter(address)
    read, page = visit.open("Careful"), visit.page

    def told() -> bool:
        page.reload()
        return "Not what it says" in read.locator(".file", has_text="photo.jpg").inner_text()

    eventually(told, "what a worker found out about the files")
    read.get_by_role("link", name="photo.jpg", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Its content is not what its name says.")
    assert saved(page, "Download anyway") == EXE
    page.get_by_role("link", name="Next attachment").click()
    expect(page.locator("pre.paper")).to_contain_text("<script>")
    expect(page).to_have_title("page.html · Postkasse")
    page.get_by_role("link", name="Back to the message").first.click()
    page.get_by_role("button", name="Download all").click()
    expect(page.get_by_role("alert")).to_contain_text("2 of these files can be dangerous")
    with zipfile.ZipFile(io.BytesIO(saved(page, "Download the other one"))) as found:
        assert found.namelist() == ["ok.txt"]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_pages_of_files_have_no_fault_that_axe_finds(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient, width: int, scheme: str
) -> None:
    inner = letter("Within", "Inner text.\n", files={"a.pdf": ("application/pdf", b"%PDF")})
    files = FILES | {"photo.exe": ("image/jpeg", EXE), "lie.jpg": ("image/jpeg", b"None\n"), "m.eml": ("a/b", inner)}
    elsewhere.append(letter("All kinds", "See them.", files=files))
    visit = visit_with(viewport={"width": width, "height": 844}, color_scheme=scheme)
    visit.enter(address)
    visit.open("All kinds")
    faults = {"list": violations(visit.page)}
    hrefs = [link.get_attribute("href") or "" for link in visit.page.locator("#read .file a.clip").all()]
    for href in [*(h for h in hrefs if h.endswith("preview/")), f"/messages/{hrefs[0].split('/')[2]}/files/"]:
        visit.page.goto(f"{visit.url}{href}")
        if not visit.page.locator("iframe.stage").count():  # the viewer of PDF is the browser's own
            faults[href] = violations(visit.page)
    assert len(faults) == len(files)
    assert {href: found for href, found in faults.items() if found} == {}

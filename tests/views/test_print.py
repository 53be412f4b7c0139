"""The page for paper."""

from __future__ import annotations

from tests.letters import letter
from tests.views.conftest import Person

QUOTED = "Hello there\n\nOn Monday Ola wrote:\n" + "".join(
    f"> all that was written in quoted line {n}\n" for n in range(60)
)


def paper(person: Person, subject: str, query: str = "") -> str:
    return person.get(f"/messages/{person.message(subject).pk}/print/{query}").content.decode()


def test_all_of_a_message_is_on_it(alice: Person) -> None:
    raw = letter(
        "Til <deg>", QUOTED, headers={"Cc": "Kari <kari@example.org>"}, files={"a.pdf": ("application/pdf", b"%PDF")}
    )
    alice.receive(raw)
    text = paper(alice, "Til <deg>")
    assert "<title>Til &lt;deg&gt;</title>" in text
    assert "Ola Nordmann &lt;ola@example.org&gt;" in text
    assert "Kari &lt;kari@example.org&gt;" in text
    assert "a.pdf (" in text
    assert "quoted line 59" in text
    assert "UTC" in text or "Europe/" in text


def test_quotes_are_unfolded_in_plain_text_and_html(alice: Person) -> None:
    alice.receive(
        letter("Plain", QUOTED),
        letter(
            "Rich",
            html=f"<p>Hi</p><p>On Monday Ola wrote:</p><blockquote type=cite>{'<p>Line of old text</p>' * 60}</blockquote>",
        ),
    )
    for subject in ("Plain", "Rich"):
        text = paper(alice, subject)
        assert '<details class="quote">' not in text
        assert '<details class="quote" open>' in text


def test_it_is_behind_the_same_wall_as_a_body(alice: Person) -> None:
    alice.receive(
        letter("Evil <script>", html="<script>alert(1)</script><img src='https://x.invalid/a.png'><p onclick=x>Hi")
    )
    response = alice.get(f"/messages/{alice.message('Evil <script>').pk}/print/")
    policy = response["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    text = response.content.decode()
    assert "<script" not in text
    assert "onclick" not in text
    assert "x.invalid" not in text


def test_pictures_show_where_they_are_allowed(alice: Person) -> None:
    alice.receive(letter("Pictures", html="<p>Hi <img src='https://x.invalid/a.png' width=100 height=100></p>"))
    assert "/pictures/" not in paper(alice, "Pictures")
    assert "/pictures/" in paper(alice, "Pictures", "?pictures=1")


def test_a_conversation_is_printed_from_its_beginning(alice: Person) -> None:
    first = letter("Turen", "Words one", headers={"Message-ID": "<one@example.org>"}, minutes_ago=9)
    answer = letter(
        "Re: Turen", "Words two", headers={"Message-ID": "<two@example.org>", "References": "<one@example.org>"}
    )
    alice.receive(first, answer)
    assert "Words one" not in paper(alice, "Re: Turen")
    whole = paper(alice, "Re: Turen", "?conversation=1")
    assert 0 < whole.index("Words one") < whole.index("Words two")


def test_addresses_of_links_are_on_paper_in_letters_and_not_in_newsletters(alice: Person) -> None:
    alice.receive(letter("Letter", html="<p><a href='https://a.example/'>here</a></p>"))
    alice.receive(letter("News", html="<p><a href='https://a.example/'>here</a></p>" * 40))
    assert 'class="message links"' in paper(alice, "Letter")
    assert 'class="message links"' not in paper(alice, "News")
    assert 'class="message links"' in paper(alice, "News", "?links=1")

"""HTML of mail: untrusted HTML -> safe HTML, plain text <-> HTML, and the document that shows them.

A leaf. The rules are in webmail.html.rules, the order of the passes in webmail.html.sanitise."""

from webmail.html.document import SHELLS, Theme, document
from webmail.html.paper import Letter, paper
from webmail.html.remote import Slots, put_in
from webmail.html.sanitise import Cleaned, clean
from webmail.html.text import Marked, html_to_text, marked, text_markup, text_to_html
from webmail.html.writing import TooMuch, cids, content_id, paragraphs, quoted, quoted_text, with_sources, written

__all__ = [
    "SHELLS", "Cleaned", "Letter", "Marked", "Slots", "Theme", "TooMuch", "cids", "clean", "content_id", "document", "html_to_text",
    "marked", "paper", "paragraphs", "put_in", "quoted", "quoted_text", "text_markup", "text_to_html", "with_sources", "written",
]  # fmt: skip

"""MIME: octets of RFC 5322 and 2045 <-> the values that Postkasse works with, in the words of RFC 8621 §4.

A leaf. Reading never raises on hostile octets, and all of it is bounded; writing raises ValueError rather than emit a
field that could be read as two."""

from webmail.mime.addresses import Address, format_address, is_email, parse_addresses, unicode_email
from webmail.mime.header import Header, message_ids, parse_header
from webmail.mime.parts import Bodies, BodyPart, from_structure, select_bodies
from webmail.mime.scan import parse_structure, part_octets
from webmail.mime.text import decode_text, decode_transfer, preview, unflow
from webmail.mime.words import clean, safe_name
from webmail.mime.write import Attachment, Outgoing, flow, new_message_id, write_message

__all__ = [
    "Address", "Attachment", "Bodies", "BodyPart", "Header", "Outgoing", "clean", "decode_text", "decode_transfer",
    "flow", "format_address", "from_structure", "is_email", "message_ids", "new_message_id", "parse_addresses",
    "parse_header", "parse_structure", "part_octets", "preview", "safe_name", "select_bodies", "unflow",
    "unicode_email", "write_message",
]  # fmt: skip

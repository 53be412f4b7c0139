"""MIME: octets of RFC 5322 and 2045 <-> the values that Postkasse works with, in the words of RFC 8621 §4.

A leaf. Reading never raises on hostile octets, and all of it is bounded; writing raises ValueError rather than emit a
field that could be read as two.

    header  addresses  words                 what lists need
    scan  parts  transfer  charsets  text    the parts of a message, and what they say
    contents  tnef  rtf  cms  embedded       what is inside of parts that MIME does not divide
    protection  reports                      what a message is besides: signed, encrypted, a report
    reading                                  all of that for one message
    write                                    the other way"""

from webmail.mime.addresses import Address, format_address, is_email, parse_addresses, unicode_email
from webmail.mime.charsets import MENU as CHARSETS
from webmail.mime.contents import look_inside, may_hold, octets_within
from webmail.mime.embedded import may_hold_files, without_files
from webmail.mime.header import Header, message_ids, parse_header
from webmail.mime.parts import Bodies, BodyPart, from_structure, select_bodies
from webmail.mime.protection import Protection, armour, protections, without_armour
from webmail.mime.reading import Reading, ReadText, facts, read_message
from webmail.mime.reports import Bounce, Complaint, Receipt, Recipient, Report, bounce_in_text, read_report, report_part
from webmail.mime.scan import parse_structure, part_octets
from webmail.mime.text import decode_text, preview, unflow
from webmail.mime.transfer import decode_transfer
from webmail.mime.words import clean, safe_name
from webmail.mime.write import Attachment, Outgoing, flow, new_message_id, write_message

__all__ = [
    "CHARSETS", "Address", "Attachment", "Bodies", "BodyPart", "Bounce", "Complaint", "Header", "Outgoing", "Protection",
    "ReadText", "Reading", "Receipt", "Recipient", "Report", "armour", "bounce_in_text", "clean", "decode_text", "decode_transfer", "facts",
    "flow",
    "format_address", "from_structure", "is_email", "look_inside", "may_hold", "may_hold_files", "message_ids",
    "new_message_id", "octets_within", "parse_addresses", "parse_header", "parse_structure", "part_octets", "preview",
    "protections", "read_message", "read_report", "report_part", "safe_name", "select_bodies", "unflow", "unicode_email",
    "without_armour", "without_files", "write_message",
]  # fmt: skip

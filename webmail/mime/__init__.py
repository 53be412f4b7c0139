"""MIME: octets of RFC 5322 and 2045 <-> the values that Postkasse works with, in the words of RFC 8621 §4.

A leaf. Reading never raises on hostile octets, and all of it is bounded; writing raises ValueError rather than emit a
field that could be read as two.

    header  addresses  words                 what lists need
    scan  parts  transfer  charsets  text    the parts of a message, and what they say
    contents  tnef  rtf  cms  embedded       what is inside of parts that MIME does not divide
    protection  reports                      what a message is besides: signed, encrypted, a report
    contentline  calendar  vcard  vcard_text invitations and cards of people
    reading                                  all of that for one message
    write                                    the other way"""

from webmail.mime.addresses import Address, format_address, is_email, parse_addresses, unicode_email
from webmail.mime.calendar import (
    MAX_UID,
    Calendar,
    Event,
    Guest,
    Moment,
    calendar_from_json,
    parse_rule,
    read_calendar,
    write_reply,
)
from webmail.mime.charsets import MENU as CHARSETS
from webmail.mime.contents import look_inside, may_hold, octets_within
from webmail.mime.embedded import may_hold_files, without_files
from webmail.mime.header import Header, message_ids, parse_date, parse_header, raw_fields
from webmail.mime.parts import Bodies, BodyPart, from_structure, select_bodies
from webmail.mime.protection import Protection, armour, protections, without_armour
from webmail.mime.reading import Reading, ReadText, facts, read_message
from webmail.mime.reports import Bounce, Complaint, Receipt, Recipient, Report, bounce_in_text, read_report, report_part
from webmail.mime.scan import parse_structure, part_octets
from webmail.mime.text import decode_text, preview, unflow
from webmail.mime.transfer import decode_transfer
from webmail.mime.vcard import Card, Cards, cards_from_json, each_card, read_cards
from webmail.mime.vcard_text import categories_of, is_group, read_card, uid_of, write_card
from webmail.mime.words import clean, decode_words, safe_name
from webmail.mime.write import Attachment, Invite, Outgoing, flow, new_message_id, write_message

__all__ = [
    "CHARSETS", "MAX_UID", "Address", "Attachment", "Bodies", "BodyPart", "Bounce", "Calendar", "Card", "Cards", "Complaint",
    "Event", "Guest", "Header", "Invite", "Moment", "Outgoing", "Protection", "ReadText", "Reading", "Receipt",
    "Recipient", "Report", "armour", "bounce_in_text", "calendar_from_json", "cards_from_json", "categories_of",
    "clean", "decode_text", "decode_transfer", "decode_words", "each_card", "facts", "flow", "format_address",
    "from_structure", "is_email", "is_group", "look_inside", "may_hold", "may_hold_files", "message_ids", "new_message_id", "octets_within",
    "parse_addresses", "parse_date", "parse_header", "parse_rule", "parse_structure", "part_octets", "preview", "protections",
    "raw_fields", "read_calendar", "read_card", "read_cards", "read_message", "read_report", "report_part", "safe_name",
    "select_bodies", "uid_of", "unflow", "unicode_email", "without_armour", "without_files", "write_card", "write_message",
    "write_reply",
]  # fmt: skip

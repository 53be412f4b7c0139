"""Writing: a new message, a reply, a forward or an opened draft becomes a Draft; a Draft becomes an RFC 5322 message.

beginning    what a draft starts from
identities   whom one writes as
drafts       saving over the revision one knows, never over another's; the name of a form
attachments  files, in one piece or in many; those of other messages
letter       recipients, and the message itself
"""

from __future__ import annotations

from webmail.compose.attachments import (
    ANSWER,
    BASE64_GROWTH,
    FILES,
    PIECE,
    Broken,
    attach,
    begin_upload,
    bring_attachments,
    brings,
    detach,
    encoded_size,
    forget_old_uploads,
    forget_upload,
    receive,
    size_limit,
    too_large,
    type_of,
    with_files,
)
from webmail.compose.beginning import (
    begin_with_files,
    draft_of,
    edit,
    forward,
    forward_as_file,
    from_mailto,
    new,
    put_in,
    quote,
    reply,
)
from webmail.compose.drafts import (
    CHOICES,
    FIELDS,
    Conflict,
    change,
    copy_of,
    differences,
    discard,
    discard_all,
    form_token,
    make_plain,
    make_rich,
    message_id_of,
    save,
    write_as,
)
from webmail.compose.identities import (
    default_identity,
    identity_for,
    sender_of,
    signature_block,
    written_to_another,
)
from webmail.compose.letter import Recipients, Unsendable, recipients, warnings, write, write_unfinished

__all__ = [
    "ANSWER", "BASE64_GROWTH", "CHOICES", "FIELDS", "FILES", "PIECE", "Broken", "Conflict", "Recipients", "Unsendable",
    "attach", "begin_upload", "begin_with_files", "bring_attachments", "brings", "change", "copy_of",
    "default_identity", "detach", "differences", "discard", "discard_all",
    "draft_of", "edit", "encoded_size", "forget_old_uploads", "forget_upload",
    "form_token", "forward", "forward_as_file", "from_mailto", "identity_for", "make_plain", "make_rich",
    "message_id_of", "new", "put_in", "quote", "receive", "recipients", "reply", "save", "sender_of", "signature_block",
    "size_limit", "too_large", "type_of", "warnings", "with_files", "write", "write_as", "write_unfinished",
    "written_to_another",
]  # fmt: skip

"""The local cache of mail, what the person did to it, and what waits to be sent."""

from webmail.models.actions import Operation, OperationQuerySet, OperationState
from webmail.models.blobs import forget_file, forget_files_of
from webmail.models.files import FileFinding
from webmail.models.invitations import Answer, AnswerQuerySet, Notice, Participation
from webmail.models.mail import (
    KEYWORD_COLUMNS,
    KEYWORD_FIELDS,
    NAME_LENGTH,
    ROLE_NAMES,
    ROLE_ORDER,
    Mailbox,
    MailboxQuerySet,
    Message,
    MessageBody,
    MessageQuerySet,
    PlainEncoder,
    Thread,
    ThreadId,
    blob_path,
)
from webmail.models.people import Contact, ContactAddress, ContactQuerySet, Correspondent, RemotePermission
from webmail.models.pictures import RemotePicture
from webmail.models.writing import (
    Draft,
    DraftAttachment,
    DraftQuerySet,
    FilingState,
    Submission,
    SubmissionQuerySet,
    SubmissionState,
    attachment_path,
    submission_path,
)

__all__ = [
    "KEYWORD_COLUMNS",
    "KEYWORD_FIELDS",
    "NAME_LENGTH",
    "ROLE_NAMES",
    "ROLE_ORDER",
    "Answer",
    "AnswerQuerySet",
    "Contact",
    "ContactAddress",
    "ContactQuerySet",
    "Correspondent",
    "Draft",
    "DraftAttachment",
    "DraftQuerySet",
    "FileFinding",
    "FilingState",
    "Mailbox",
    "MailboxQuerySet",
    "Message",
    "MessageBody",
    "MessageQuerySet",
    "Notice",
    "Operation",
    "OperationQuerySet",
    "OperationState",
    "Participation",
    "PlainEncoder",
    "RemotePermission",
    "RemotePicture",
    "Submission",
    "SubmissionQuerySet",
    "SubmissionState",
    "Thread",
    "ThreadId",
    "attachment_path",
    "blob_path",
    "forget_file",
    "forget_files_of",
    "submission_path",
]

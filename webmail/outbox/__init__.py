"""The way out: a draft becomes a submission row, a worker hands it to the server once, a copy is filed in Sent.

Sending is the one step that cannot be repeated (see models.Submission for the states). A row is claimed by a conditional
update; the state *sending* is committed before the server can have the last octet of the message, so that a crash tells
afterwards whether it may have gone out.

waiting    what goes in, what comes back out, what is due
sending    one worker at a time empties an account's outbox, over one connection (line)
filing     the copy in Sent, retried by itself
rates      how much may be sent; what is over it waits
evidence   what helps a person to decide about an uncertain one
"""

from __future__ import annotations

from webmail import compose
from webmail.outbox.evidence import Evidence, evidence
from webmail.outbox.sending import drain, process
from webmail.outbox.waiting import (
    AlreadySubmitted,
    attention,
    cancel,
    dismiss,
    due,
    forget_old,
    recover,
    reschedule,
    retry,
    settle_as_sent,
    soon,
    submission_of,
    submit,
)

__all__ = [
    "AlreadySubmitted",
    "Evidence",
    "attention",
    "cancel",
    "compose",
    "dismiss",
    "drain",
    "due",
    "evidence",
    "forget_old",
    "process",
    "recover",
    "reschedule",
    "retry",
    "settle_as_sent",
    "soon",
    "submission_of",
    "submit",
]

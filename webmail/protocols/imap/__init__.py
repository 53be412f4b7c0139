"""IMAP: RFC 9051 and 3501, with CONDSTORE, QRESYNC, UIDPLUS, MOVE, SPECIAL-USE, LIST-STATUS, ESEARCH, SORT, WITHIN, FUZZY, IDLE and QUOTA.

store      IMAPStore: the seam, one method per verb
changes    what differs, by QRESYNC, by CONDSTORE or by comparing flags
watch      IDLE
client     one connection: commands out, bounded responses in (the only user of imapclient and imaplib)
syntax     pure: tokens, sets of uids, mailbox names, flags
structure  pure: BODYSTRUCTURE
roles      pure: which mailbox is the archive
"""

from __future__ import annotations

from webmail.protocols.imap.store import IMAPStore

__all__ = ["IMAPStore"]

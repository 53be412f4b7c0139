"""Address books on servers (CardDAV), in step with contacts here.

merge       what becomes of a card that was changed here and there
sync        local changes to the server, then the server's to here
connecting  finding a person's books and taking them up
"""

from webmail.books.connecting import NoBooks, connect, leave
from webmail.books.sync import due, nudge_by, sync_book, sync_due

__all__ = ["NoBooks", "connect", "due", "leave", "nudge_by", "sync_book", "sync_due"]

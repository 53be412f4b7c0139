"""The person's address book.

book      who is in it, adding somebody, changing and removing them
groups    contacts put together under a name
before    how contacts were before something was done to them, to take that back
exchange  files of contacts: read, looked at before anything is written, written
doubles   contacts that are likely one person, and making one of them
"""

from webmail.contacts import exchange
from webmail.contacts.before import Undone, forget_old, remember, remove_all, undo
from webmail.contacts.book import (
    MAX_ADDRESSES,
    Invalid,
    Known,
    add,
    change,
    found,
    from_card,
    known,
    new_in,
    on_change,
    put,
    remove,
    touch,
)
from webmail.contacts.groups import BadGroup, create_group, gather, remove_group, rename_group, scatter

__all__ = [
    "MAX_ADDRESSES",
    "BadGroup",
    "Invalid",
    "Known",
    "Undone",
    "add",
    "change",
    "create_group",
    "exchange",
    "forget_old",
    "found",
    "from_card",
    "gather",
    "known",
    "new_in",
    "on_change",
    "put",
    "remember",
    "remove",
    "remove_all",
    "remove_group",
    "rename_group",
    "scatter",
    "touch",
    "undo",
]

"""Search as it is meant: every message is looked at, and all of it. What finds more quickly must find the same."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from accounts.models import User
from webmail.models import Mailbox, Message
from webmail.search.documents import Row, features, fields_of, rows_of
from webmail.search.language import And, Has, In, Is, Keyword, Node, Not, OfAccount, OfThread, Or, Received, Size, Words
from webmail.search.words import begins_alone, terms, wanted

FLAGS = {"starred": "flagged", "answered": "answered", "forwarded": "forwarded", "draft": "draft", "read": "seen"}


def find(user: User, tree: Node) -> list[int]:
    """Ids, newest first."""
    anywhere, named = _named(user, tree)
    messages = Message.objects.filter(account__user=user, mailbox__hidden=False).select_related(
        "mailbox", "thread", "account"
    )
    found = []
    rows = {row.pk: row for row in rows_of([message.pk for message in messages])}
    for message in messages.newest_first():
        row = rows[message.pk]
        if message.mailbox.role in ("junk", "trash") and not (anywhere or message.mailbox_id in named):  # type: ignore[union-attr]
            continue
        if fulfils(tree, message, row):
            found.append(message.pk)
    return found


def first_of_each_conversation(ids: list[int]) -> list[int]:
    threads = dict(Message.objects.filter(pk__in=ids).values_list("pk", "thread_id"))
    firsts: dict[int, int] = {}
    for pk in ids:
        firsts.setdefault(threads[pk] or -pk, pk)
    return list(firsts.values())


def _named(user: User, tree: Node) -> tuple[bool, set[int]]:
    nodes = list(_each(tree))
    folders = [node for node in nodes if isinstance(node, In)]
    boxes = Mailbox.objects.filter(account__user=user)
    anywhere = any(node.folder == "anywhere" for node in folders)
    return anywhere, {box.pk for box in boxes if any(_is_meant(box, node) for node in folders)}


def _each(node: Node) -> Iterable[Node]:
    yield node
    for child in getattr(node, "children", None) or ([node.child] if isinstance(node, Not) else []):
        yield from _each(child)


def _is_meant(mailbox: Mailbox, node: In) -> bool:
    return mailbox.role == node.folder or (not mailbox.role and mailbox.name == (node.name or node.folder))


def fulfils(node: Node, message: Message, row: Row) -> bool:
    match node:
        case And():
            return all(fulfils(child, message, row) for child in node.children)
        case Or():
            return any(fulfils(child, message, row) for child in node.children)
        case Not():
            return not fulfils(node.child, message, row)
        case Words():
            return _has_words(node, row)
        case Is(what="unread"):
            return not message.seen
        case Is(what="muted"):
            return message.thread is not None and message.thread.muted
        case Is():
            return bool(getattr(message, FLAGS[node.what]))
        case Has():
            return node.what in features(row)
        case In():
            return node.folder == "anywhere" or _is_meant(message.mailbox, node)  # type: ignore[arg-type]
        case OfAccount():
            return node.text in message.account.address
        case Received():
            day = timezone.localdate(message.received_at)
            return (node.since is None or day >= node.since) and (node.before is None or day < node.before)
        case Size():
            return (node.over is None or message.size > node.over) and (node.under is None or message.size < node.under)
        case Keyword():
            return node.name in message.labels
        case OfThread():
            return message.thread_id == node.pk


def _has_words(node: Words, row: Row) -> bool:
    sequence = wanted(node.text)
    if not sequence:
        return True
    texts = [text for field, text in fields_of(row) if node.field in ("", field)]
    if node.field in ("", "body"):
        texts.append(row.text or "")
    last = sequence[-1]
    goes_on = begins_alone(last) or (node.prefix and len(last) >= 3)
    return any(_follows(terms(text), sequence, goes_on) for text in texts) or (
        len(sequence) == 1 and node.field == "" and any(_follows(terms(text), sequence, goes_on) for text in texts)
    )


def _follows(there: list[str], sequence: list[str], goes_on: bool) -> bool:
    *before, last = sequence
    for at in range(len(there) - len(sequence) + 1):
        end = there[at + len(before)]
        if there[at : at + len(before)] == before and (end == last or (goes_on and end.startswith(last))):
            return True
    return False

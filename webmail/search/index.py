"""Which messages have which terms: SQLite's FTS5 in a file of its own, or PostgreSQL's full text search.

Both hold no text and no places in it, only terms, so that they are a third as large as the text: what is about the order
of words is looked up in the texts themselves. Both give the same.

A *document* is a message here, by a number made of its person, its month and a count. So what is found comes month by
month, newest first, and of one person alone; a month is sorted by those who ask."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import apsw
from django.conf import settings
from django.db import connection, transaction

EVERY = ":every"  # a term of all documents; no text has a colon in a term
_MONTH, _USER = 20, 36  # bits below: a million messages of one month, 5,461 years
_FULL = (1 << _MONTH) - 1
NEAR = 12  # months
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)  # in every time zone there is such a day
BUSY = 30_000  # ms that a writer waits for another


def month_of(at: datetime) -> int:
    at = at.astimezone(UTC)
    return max((at.year - 1970) * 12 + at.month - 1, 0)


def first_of(user_id: int, month: int = 0) -> int:
    """No document of the person in this month or a later one has a lower number."""
    return (user_id << _USER) | (month << _MONTH)


def place_of(user_id: int, at: datetime) -> int:
    """Where the documents of a person's month begin."""
    return first_of(user_id, month_of(at))


def start_of(document: int) -> int:
    """Where the month of a document begins."""
    return document & ~_FULL


def end_of(document: int) -> int:
    """The first number above those of its month."""
    return start_of(document) + _FULL + 1


def beginning_of(document: int) -> datetime:
    """The moment at which its month begins; before all mail for the first, which has all that is older too."""
    month = (document >> _MONTH) & ((1 << _USER - _MONTH) - 1)
    return datetime(1970 + month // 12, month % 12 + 1, 1, tzinfo=UTC) if month else EARLIEST


def bounds(user_id: int) -> tuple[int, int]:
    """The lowest number of a person's documents, and the first above them."""
    return first_of(user_id), first_of(user_id + 1)


class Index(Protocol):
    """Expressions are made by ``term``, ``all_of``, ``any_of`` and ``none_of``, of terms alone."""

    def term(self, term: str, beginning: bool = False) -> str: ...
    def all_of(self, parts: Sequence[str]) -> str: ...
    def any_of(self, parts: Sequence[str]) -> str: ...
    def none_of(self, part: str) -> str: ...

    def numbers(self, places: Sequence[int]) -> list[int]:
        """A new document at each of these places."""

    def put(self, documents: Sequence[tuple[int, Iterable[str]]]) -> None:
        """Keep these terms, in place of any that were kept of these documents."""

    def remove(self, documents: Sequence[int]) -> None: ...

    def match(self, expression: str, low: int, high: int, limit: int | None = None) -> list[int]:
        """Documents from ``low`` to below ``high``, the highest first."""

    def among(self, expression: str, documents: Sequence[int]) -> set[int]:
        """Those of these that match."""

    def clear(self) -> None: ...

    def is_untidy(self) -> bool:
        """Something of what was removed may still stand in its pages."""

    def tidy(self) -> bool:
        """Write a bounded part of it anew without what was removed; True if there may be more to do."""

    def octets(self) -> int: ...


class Fts5:
    """Reading and writing go through connections of their own, one a thread: nothing here waits for the other database,
    nor that for a large index being merged. APSW brings an SQLite that can forget (``contentless_delete`` is of 2023)."""

    _SHAPE = (
        "CREATE VIRTUAL TABLE IF NOT EXISTS documents USING fts5(terms, content='', contentless_delete=1, detail='none',"
        " prefix='3', tokenize=\"ascii tokenchars ':'\")"
    )
    _PLACES = "CREATE TABLE IF NOT EXISTS places (place INTEGER PRIMARY KEY, next INTEGER NOT NULL)"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.local()

    @property
    def _db(self) -> apsw.Connection:
        known: tuple[int, apsw.Connection] | None = getattr(self._own, "db", None)
        if known is None or known[0] != os.getpid():  # a connection must not be used after a fork
            known = self._own.db = (os.getpid(), self._open())
        return known[1]

    def _open(self) -> apsw.Connection:
        db = apsw.Connection(str(self._path))
        db.set_busy_timeout(BUSY)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON", "cache_size=-16384"):
            db.execute(f"PRAGMA {pragma}")
        with self._writing(db):
            db.execute(self._SHAPE)
            db.execute(self._PLACES)
        return db

    @staticmethod
    def _writing(db: apsw.Connection) -> AbstractContextManager[None]:
        return _Immediate(db)

    def term(self, term: str, beginning: bool = False) -> str:
        return f'"{_checked(term)}"' + ("*" if beginning else "")

    def all_of(self, parts: Sequence[str]) -> str:
        return f"({' AND '.join(parts)})" if parts else self.term(EVERY)

    def any_of(self, parts: Sequence[str]) -> str:
        return f"({' OR '.join(parts)})" if parts else self.none_of(self.term(EVERY))

    def none_of(self, part: str) -> str:
        return f"({self.term(EVERY)} NOT {part})"

    def numbers(self, places: Sequence[int]) -> list[int]:
        db, found = self._db, []
        with self._writing(db):
            for place in places:
                sql = (
                    "INSERT INTO places VALUES (?, 1) ON CONFLICT DO UPDATE SET next = min(next + 1, ?) RETURNING next"
                )
                found.append(place + db.execute(sql, (place, _FULL)).get - 1)
        return found

    def put(self, documents: Sequence[tuple[int, Iterable[str]]]) -> None:
        rows = [(number, " ".join(_all_checked([EVERY, *terms]))) for number, terms in documents]
        db = self._db
        with self._writing(db):
            db.executemany("INSERT OR REPLACE INTO documents (rowid, terms) VALUES (?, ?)", rows)

    def remove(self, documents: Sequence[int]) -> None:
        db = self._db
        with self._writing(db):
            db.executemany("DELETE FROM documents WHERE rowid = ?", [(number,) for number in documents])
            db.execute("PRAGMA user_version = 1")  # untidy; nothing else needs this number

    def match(self, expression: str, low: int, high: int, limit: int | None = None) -> list[int]:
        sql = "SELECT rowid FROM documents WHERE documents MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid DESC LIMIT ?"
        return [row[0] for row in self._db.execute(sql, (expression, low, high, -1 if limit is None else limit))]

    def among(self, expression: str, documents: Sequence[int]) -> set[int]:
        """Near ones are looked for together: each by itself begins with the expression anew."""
        if not documents:
            return set()
        low, high = min(documents), max(documents)
        if high - low < NEAR << _MONTH:
            return set(documents).intersection(self.match(expression, low, high + 1))
        sql = "SELECT rowid FROM documents WHERE documents MATCH ? AND rowid IN (SELECT value FROM json_each(?))"
        return {row[0] for row in self._db.execute(sql, (expression, json.dumps(list(documents))))}

    def clear(self) -> None:
        db = self._db
        with self._writing(db):
            db.execute("DROP TABLE documents")
            db.execute(self._SHAPE)

    def is_untidy(self) -> bool:
        return bool(self._db.pragma("user_version"))

    def tidy(self) -> bool:
        """FTS5 forgets what was removed when it next writes the part where it stood anew, which may be never: so it is told
        to, some hundred pages at a time (https://sqlite.org/fts5.html, 6.8)."""
        db = self._db
        before = db.total_changes()
        with self._writing(db):
            db.execute("INSERT INTO documents (documents, rank) VALUES ('merge', -200)")
            more = db.total_changes() - before >= 2
            if not more:
                db.execute("PRAGMA user_version = 0")
        return bool(more)

    def octets(self) -> int:
        pages, free, size = (int(self._db.pragma(name)) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size


class _Immediate:
    """A transaction that asks for the right to write at its beginning, where it can wait for it."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_rest: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")


class Postgres:
    """In the one database, with everything else."""

    def term(self, term: str, beginning: bool = False) -> str:
        return f"'{_checked(term)}'" + (":*" if beginning else "")

    def all_of(self, parts: Sequence[str]) -> str:
        return f"({' & '.join(parts)})" if parts else self.term(EVERY)

    def any_of(self, parts: Sequence[str]) -> str:
        return f"({' | '.join(parts)})" if parts else self.none_of(self.term(EVERY))

    def none_of(self, part: str) -> str:
        return f"('{EVERY}' & !{part})"

    def numbers(self, places: Sequence[int]) -> list[int]:
        sql = (
            "INSERT INTO webmail_place AS p VALUES (%s, %s)"
            " ON CONFLICT (place) DO UPDATE SET next = least(p.next + excluded.next, %s) RETURNING next"
        )
        wanted, free = Counter(places), {}
        with transaction.atomic(), connection.cursor() as cursor:
            for place in sorted(wanted):  # in one order, so that two at once do not wait for each other
                cursor.execute(sql, [place, wanted[place], _FULL])
                free[place] = itertools.count(place + cursor.fetchone()[0] - wanted[place])
        return [next(free[place]) for place in places]

    def put(self, documents: Sequence[tuple[int, Iterable[str]]]) -> None:
        sql = (
            "INSERT INTO webmail_terms (document, terms) VALUES (%s, array_to_tsvector(%s))"
            " ON CONFLICT (document) DO UPDATE SET terms = excluded.terms"
        )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(sql, [(number, _all_checked([EVERY, *terms])) for number, terms in sorted(documents)])

    def remove(self, documents: Sequence[int]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM webmail_terms WHERE document = ANY(%s)", [list(documents)])

    def match(self, expression: str, low: int, high: int, limit: int | None = None) -> list[int]:
        """What is frequent is soon found among the newest; what is not, by the index, which knows no order."""
        sql = (
            "SELECT document FROM webmail_terms WHERE document >= %s AND document < %s AND terms @@ %s::tsquery"
            " ORDER BY document DESC LIMIT %s"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [low, high, expression, limit])
            return [row[0] for row in cursor.fetchall()]

    def among(self, expression: str, documents: Sequence[int]) -> set[int]:
        sql = "SELECT document FROM webmail_terms WHERE document = ANY(%s) AND terms @@ %s::tsquery"
        with connection.cursor() as cursor:
            cursor.execute(sql, [list(documents), expression])
            return {row[0] for row in cursor.fetchall()}

    def clear(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE webmail_terms")

    def is_untidy(self) -> bool:
        return False  # autovacuum sees to it

    def tidy(self) -> bool:
        return False

    def octets(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_indexes_size('webmail_terms')")
            return int(cursor.fetchone()[0])


_UNFIT = re.compile("[\"'\\\\ \0*]")


def _checked(term: str) -> str:
    """Terms are made by ``webmail.search.words``, of letters, digits and marks, or are our own with a colon: none can be
    anything but a term in an expression."""
    if not term or _UNFIT.search(term):
        raise ValueError(f"no term: {term!r}")
    return term


def _all_checked(terms: list[str]) -> list[str]:
    """The same for the hundreds of a message, in one look."""
    if _UNFIT.search("".join(terms)) or not all(terms):
        raise ValueError(f"no terms: {[term for term in terms if not term or _UNFIT.search(term)]!r}")
    return terms


@functools.cache
def _of(vendor: str, path: Path) -> Index:
    return Postgres() if vendor == "postgresql" else Fts5(path)


def index() -> Index:
    """The one of this installation."""
    return _of(connection.vendor, settings.SEARCH_FILE)

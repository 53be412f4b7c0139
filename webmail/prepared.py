"""Queries that every click asks: Django writes their SQL once, not each time.

Writing the SQL of a short query takes Django two to five times as long as the database takes to answer it, and a list asks
eight. What is prepared is an ordinary query with parameters in it, and answers the same rows:

    accounts_of = Prepared(lambda user: Account.objects.filter(user_id=user), Integer)
    accounts_of(7)

A ``PreparedUpdate`` is the same for what changes rows; ``Several(Integer)`` is a list of ids.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import FORMAT_QMARK_REGEX
from django.db.models import BigIntegerField, CharField, DateTimeField, Field, Model, QuerySet, Value
from django.db.models.base import ModelState
from django.db.models.expressions import Col
from django.db.models.sql import UpdateQuery

T = TypeVar("T")
LARGEST = 2**63 - 1
Integer, Moment, Address = BigIntegerField(), DateTimeField(), CharField(max_length=320)


class Parameter(Value):
    """Stands in a query for a value that is known when it is asked; its place among those is ``value``."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class Statement:
    """``native`` is what the driver itself takes. ``converters`` are Django's, by column, where the database gives a value
    in another form; ``model`` is None where rows are tuples."""

    sql: str
    parameters: tuple[Any, ...]
    converters: tuple[tuple[int, list[Callable[..., Any]], Any], ...] = ()
    columns: tuple[str, ...] = ()
    model: type[Model] | None = None
    native: str = ""


@dataclass(frozen=True, slots=True)
class Several:
    """A parameter that is a list of values; ``build`` gets a list of parameters. Lists are filled up with their last value to
    one of a few lengths, so that there are few statements. About an empty list, or one with what is no id, nothing is
    asked."""

    of: Field[Any, Any]

    @staticmethod
    def length(values: Sequence[Any]) -> int:
        return next(length for length in (1, 8, 64, 512, len(values)) if length >= len(values))


class _Written:
    """A statement with a parameter for each of ``fields``, written once for each kind of database."""

    def __init__(self, *fields: Field[Any, Any] | Several) -> None:
        self.fields = fields
        self._statements: dict[tuple[Any, ...], Statement] = {}

    def _write(self, here: BaseDatabaseWrapper, *parameters: Any) -> Statement:
        raise NotImplementedError

    def _pointless(self, values: Sequence[Any]) -> bool:
        """It is about nothing, or about what is no id of any row, for which SQLite raises."""
        for field, value in zip(self.fields, values, strict=True):
            if isinstance(field, Several):
                if not value or any(isinstance(one, int) and abs(one) > LARGEST for one in value):
                    return True
            elif isinstance(value, int) and abs(value) > LARGEST:
                return True
        return False

    def _ready(self, here: BaseDatabaseWrapper, values: tuple[Any, ...]) -> tuple[Statement, list[Any]]:
        """With what its parameters are this time."""
        lengths: list[int] = []
        ready: list[Any] = []
        for field, value in zip(self.fields, values, strict=True):
            if isinstance(field, Several):
                lengths.append(field.length(value))
                some = [field.of.get_db_prep_value(one, here) for one in value]
                ready += some + some[-1:] * (lengths[-1] - len(some))
            else:
                ready.append(field.get_db_prep_value(value, here))
        key = (here.vendor, *lengths)
        statement = self._statements.get(key)
        if statement is None:
            statement = self._write(here, *self._parameters(iter(lengths)))
            statement = self._statements[key] = _with_constants(statement, here)
        return statement, [ready[one.value] if isinstance(one, Parameter) else one for one in statement.parameters]

    def _parameters(self, lengths: Iterator[int]) -> Iterator[Parameter | list[Parameter]]:
        place = itertools.count()
        for field in self.fields:
            if isinstance(field, Several):
                yield [Parameter(next(place), output_field=field.of) for _ in range(next(lengths))]
            else:
                yield Parameter(next(place), output_field=field)


def _with_constants(statement: Statement, here: BaseDatabaseWrapper) -> Statement:
    """What never differs stands in the text: PostgreSQL makes one plan for all values of what does, and must see there
    that a partial index fits."""
    if here.vendor == "sqlite":
        return replace(statement, native=FORMAT_QMARK_REGEX.sub("?", statement.sql).replace("%%", "%"))
    from psycopg.sql import quote

    here.ensure_connection()
    first, *rest = statement.sql.split("%s")
    sql = first
    for one, text in zip(statement.parameters, rest, strict=True):
        sql += ("%s" if isinstance(one, Parameter) else quote(one, here.connection).replace("%", "%%")) + text
    given = tuple(one for one in statement.parameters if isinstance(one, Parameter))
    return replace(statement, sql=sql, parameters=given, native=sql)


class Prepared(_Written, Generic[T]):
    """A query set of models, or a values list, that follows no relation in what it selects. ``build`` makes it from a
    parameter for each of ``fields``; calling it with values for these asks the database and gives the rows."""

    def __init__(self, build: Callable[..., QuerySet[Any, T]], *fields: Field[Any, Any] | Several) -> None:
        super().__init__(*fields)
        self.build = build

    def __call__(self, *values: Any) -> list[T]:
        if self._pointless(values):
            return []
        here = connections[DEFAULT_DB_ALIAS]  # itself: through django.db.connection each of its attributes is a search
        statement, given = self._ready(here, values)
        with _asked(statement, given, here) as cursor:
            rows = cursor.fetchall()
        return [_row(statement, row, here) for row in rows]

    def _write(self, here: BaseDatabaseWrapper, *parameters: Any) -> Statement:
        query_set = self.build(*parameters)
        compiler = query_set.query.get_compiler(connection=here)
        sql, given = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        converters = tuple((place, *found) for place, found in compiler.get_converters(columns).items())
        names = tuple(column.target.attname for column in columns if isinstance(column, Col))
        model = query_set.model if query_set.query.values_select == () else None
        return Statement(sql, tuple(given), converters, names, model)


class PreparedUpdate(_Written):
    """``build`` makes rows, and what their columns become, from the parameters; calling it with values does it, and gives
    the number of rows."""

    def __init__(
        self, build: Callable[..., tuple[QuerySet[Any], dict[str, Any]]], *fields: Field[Any, Any] | Several
    ) -> None:
        super().__init__(*fields)
        self.build = build

    def __call__(self, *values: Any) -> int:
        if self._pointless(values):
            return 0
        here = connections[DEFAULT_DB_ALIAS]
        statement, given = self._ready(here, values)
        with _asked(statement, given, here) as cursor:
            return int(cursor.rowcount)

    def _write(self, here: BaseDatabaseWrapper, *parameters: Any) -> Statement:
        rows, values = self.build(*parameters)
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(values)
        sql, given = query.get_compiler(connection=here).as_sql()
        return Statement(sql, tuple(given))


@contextmanager
def _asked(statement: Statement, given: list[Any], here: BaseDatabaseWrapper) -> Iterator[Any]:
    """The cursor: the driver's own, as Django's take longer around a short query than the database takes. PostgreSQL plans
    it once a connection; Django would send the values within the text each time. Not where somebody looks on (tests count
    queries)."""
    if here.queries_logged or here.execute_wrappers:
        with here.cursor() as cursor:
            cursor.execute(statement.sql, given)
            yield cursor
        return
    here.ensure_connection()
    with here.wrap_database_errors:
        if here.vendor == "sqlite":
            yield here.connection.execute(statement.native, given)
            return
        from psycopg import Cursor

        with Cursor(here.connection) as bound:
            bound.execute(statement.native, given, prepare=True)
            yield bound


def _row(statement: Statement, row: tuple[Any, ...], here: BaseDatabaseWrapper) -> Any:
    if statement.converters:
        values = list(row)
        for place, converters, expression in statement.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, here)
        row = tuple(values)
    return _instance(statement.model, statement.columns, row, here) if statement.model else row


def _instance(model: type[Model], columns: tuple[str, ...], row: tuple[Any, ...], here: BaseDatabaseWrapper) -> Model:
    """What ``Model.from_db`` makes. That sets each field by itself and sends two signals, to which nobody listens: four
    times as long for the row of a message."""
    instance = model.__new__(model)
    state = ModelState()
    state.adding, state.db = False, here.alias
    vars(instance).update(zip(columns, row, strict=True), _state=state)
    return instance

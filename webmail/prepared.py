"""Queries that every click asks: Django writes their SQL once, not each time.

Writing the SQL of a short query takes Django two to five times as long as the database takes to answer it, and a list asks
eight. What is prepared is an ordinary query with parameters in it, and answers the same rows:

    accounts_of = Prepared(lambda user: Account.objects.filter(user_id=user), Integer)
    accounts_of(7)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, CharField, DateTimeField, Field, Model, QuerySet, Value
from django.db.models.expressions import Col

T = TypeVar("T")
LARGEST = 2**63 - 1
Integer, Moment, Address = BigIntegerField(), DateTimeField(), CharField(max_length=320)


class Parameter(Value):
    """Stands in a query for a value that is known when it is asked; its place among those is ``value``."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


@dataclass(frozen=True, slots=True)
class Statement:
    """``converters`` are Django's, by column, where the database gives a value in another form; ``model`` is None where
    rows are tuples."""

    sql: str
    parameters: tuple[Any, ...]
    converters: tuple[tuple[int, list[Callable[..., Any]], Any], ...]
    columns: tuple[str, ...]
    model: type[Model] | None


class Prepared(Generic[T]):
    """A query set of models, or a values list, that follows no relation in what it selects. ``build`` makes it from a
    parameter for each of ``fields``; calling it with values for these asks the database and gives the rows."""

    def __init__(self, build: Callable[..., QuerySet[Any, T]], *fields: Field[Any, Any]) -> None:
        self.build, self.fields = build, fields
        self._statements: dict[str, Statement] = {}

    def __call__(self, *values: Any) -> list[T]:
        if any(isinstance(value, int) and abs(value) > LARGEST for value in values):
            return []  # SQLite raises for what is no id of any row
        here = connections[DEFAULT_DB_ALIAS]  # itself: through django.db.connection each of its attributes is a search
        statement = self._statements.get(here.vendor) or self._prepare(here)
        ready = [field.get_db_prep_value(value, here) for field, value in zip(self.fields, values, strict=True)]
        given = [ready[one.value] if isinstance(one, Parameter) else one for one in statement.parameters]
        return [_row(statement, row, here) for row in _rows(statement.sql, given, here)]

    def _prepare(self, here: BaseDatabaseWrapper) -> Statement:
        query_set = self.build(*(Parameter(place, output_field=field) for place, field in enumerate(self.fields)))
        compiler = query_set.query.get_compiler(connection=here)
        sql, parameters = compiler.as_sql()
        columns = [expression for expression, _sql, _alias in compiler.select]
        converters = tuple((place, *found) for place, found in compiler.get_converters(columns).items())
        names = tuple(column.target.attname for column in columns if isinstance(column, Col))
        model = query_set.model if query_set.query.values_select == () else None
        statement = Statement(sql, tuple(parameters), converters, names, model)
        self._statements[here.vendor] = statement
        return statement


def _rows(sql: str, given: list[Any], here: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
    """PostgreSQL plans it once a connection; Django's own cursor would send the values within the text each time. Not where
    somebody looks on (tests count queries)."""
    if here.vendor != "postgresql" or here.queries_logged or here.execute_wrappers:
        with here.cursor() as cursor:
            cursor.execute(sql, given)
            return list(cursor.fetchall())
    from psycopg import Cursor

    here.ensure_connection()
    with here.wrap_database_errors, Cursor(here.connection) as bound:
        bound.execute(sql, given, prepare=True)
        return bound.fetchall()


def _row(statement: Statement, row: tuple[Any, ...], here: BaseDatabaseWrapper) -> Any:
    if statement.converters:
        values = list(row)
        for place, converters, expression in statement.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, here)
        row = tuple(values)
    return statement.model.from_db(here.alias, statement.columns, row) if statement.model else row

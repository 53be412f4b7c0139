"""What a person may type, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Words:
    text: str
    field: str = ""
    exact: bool = False
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Is:
    what: str


@dataclass(frozen=True, slots=True)
class Has:
    what: str


@dataclass(frozen=True, slots=True)
class In:
    folder: str


@dataclass(frozen=True, slots=True)
class OfAccount:
    text: str


@dataclass(frozen=True, slots=True)
class Received:
    since: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class Size:
    over: int | None
    under: int | None


@dataclass(frozen=True, slots=True)
class Keyword:
    name: str


@dataclass(frozen=True, slots=True)
class OfThread:
    pk: int


@dataclass(frozen=True, slots=True)
class And:
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    child: Node


Node = Words | Is | Has | In | OfAccount | Received | Size | Keyword | OfThread | And | Or | Not

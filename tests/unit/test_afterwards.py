"""What is done after the answer, as a server that speaks WSGI sees it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path
from pytest_django import Settings

from webmail.afterwards import afterwards

done: list[str] = []


def _fail() -> None:
    raise ValueError("of no consequence")


def page(request: HttpRequest) -> HttpResponse:
    afterwards(lambda: done.append("first"))
    afterwards(_fail)
    afterwards(lambda: done.append("second"))
    return HttpResponse("the answer")


urlpatterns = [path("", page)]


@pytest.fixture(autouse=True)
def only_this_page(settings: Settings) -> Iterator[None]:
    settings.ROOT_URLCONF, settings.MIDDLEWARE, settings.ALLOWED_HOSTS = __name__, [], ["testserver"]
    done.clear()
    yield
    done.clear()


@pytest.mark.django_db
def test_the_answer_is_out_before_what_follows_it_is_done(caplog: pytest.LogCaptureFixture) -> None:
    response = WSGIHandler()(RequestFactory().get("/").environ, lambda *_: lambda _: None)
    assert b"".join(response) == b"the answer"
    assert done == []
    with caplog.at_level(logging.CRITICAL, "webmail.afterwards"):
        response.close()
    assert done == ["first", "second"]
    response.close()
    assert done == ["first", "second"]


@pytest.mark.django_db
def test_where_nobody_waits_for_an_answer_it_is_done_at_once() -> None:
    afterwards(lambda: done.append("now"))
    assert done == ["now"]


@pytest.mark.django_db
def test_what_follows_an_answer_that_nobody_closed_is_done_before_the_next() -> None:
    handler, start = WSGIHandler(), lambda *_: lambda _: None
    handler(RequestFactory().get("/").environ, start)
    second = handler(RequestFactory().get("/").environ, start)
    assert done == ["first", "second"]
    second.close()
    assert done == ["first", "second", "first", "second"]

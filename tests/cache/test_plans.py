"""What the database knows of a mailbox that has just been fetched."""

from __future__ import annotations

import pytest
from django.db import connection

from accounts.models import Account
from tests.cache.conftest import run
from webmail.protocols.memory import MemoryServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans without numbers")
def test_the_database_counts_what_a_first_mailbox_brought_before_it_is_all_there(
    account: Account, server: MemoryServer
) -> None:
    for n in range(600):
        server.deliver("alice", b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nx" % (n, n))
    run(account, server)
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'webmail_message'")
        assert cursor.fetchone()[0] >= 500

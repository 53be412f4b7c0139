"""What a domain's autoconfiguration says is read, and what could harm the reader is not."""

from __future__ import annotations

import pytest

from accounts.discovery import parse_autoconfig

SERVERS = """<clientConfig version="1.1"><emailProvider id="example.org">
<incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>
<outgoingServer type="smtp"><hostname>smtp.example.org</hostname><port>465</port><socketType>SSL</socketType>
<username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></outgoingServer>
</emailProvider></clientConfig>"""
TYPED = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]>'


def test_servers_are_found() -> None:
    found = parse_autoconfig(SERVERS.encode(), "kari@example.org")
    assert found is not None
    assert "imap.example.org" in str(found.incoming)


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_document_type_is_refused_in_every_charset(charset: str) -> None:
    assert parse_autoconfig((TYPED + SERVERS).encode(charset), "kari@example.org") is None

"""A real Postfix in a temporary directory, which passes everything on to another server.

It needs root: its master process gives each of its parts to a user of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from tests.servers import _await_port, _Temporary, free_port

DAEMONS = "/usr/lib/postfix/sbin"


def missing() -> str:
    """Why there can be none here, or nothing."""
    if os.getuid() != 0:
        return "Postfix can be started by root only"
    return "" if shutil.which("postfix", path="/usr/sbin:/usr/bin") else "Postfix is not installed"


@dataclass
class Postfix(_Temporary):
    """``next_port`` is where on this machine it hands messages on to; 0 lets it throw them away. ``largest`` is how many
    octets a message may have, 0 any number."""

    next_port: int = 0
    largest: int = 10_240_000

    def start(self) -> None:
        self.port = free_port()
        for name in ("queue", "data", "configuration"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", "postfix")
        way = f"smtp:[127.0.0.1]:{self.next_port}" if self.next_port else "discard"
        main = _MAIN.format(directory=self.directory, daemons=DAEMONS, way=way, largest=self.largest)
        (self.directory / "configuration" / "main.cf").write_text(main)
        (self.directory / "configuration" / "master.cf").write_text(_MASTER.format(port=self.port))
        self._run("start")
        _await_port(self.port, None, self.log)

    def stop(self) -> None:
        self._run("stop")

    def log(self) -> str:
        path = self.directory / "maillog"
        return path.read_text(errors="replace")[-4000:] if path.exists() else "no log"

    def _run(self, what: str) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self.directory / "configuration"), what]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"postfix {what}: {done.stdout}{done.stderr}{self.log()}")


_MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
maillog_file = {directory}/maillog
maillog_file_prefixes = /tmp, /var/tmp, {directory}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.postkasse.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = {way}
relay_transport = {way}
smtp_host_lookup = native
smtpd_peername_lookup = no
message_size_limit = {largest}
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

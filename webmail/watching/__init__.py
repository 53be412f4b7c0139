"""Waits for servers to speak, and says which accounts are asked instead, and how often.

An account is *active* while its person was seen lately (``User.active_at``). Active IMAP accounts are *held*: a
connection of their own waits in IDLE or NOTIFY (``Account.push``). The others are *polled* by the schedule of the syncs,
at an interval that shortens when there was mail and grows when there was none. A *paused* account is left alone.

claims     which process holds which accounts: leases in their rows, shared fairly
watcher    the loop: one process, one selector, many connections
schedule   pure: who is active, and how long until an account is asked again
"""

from __future__ import annotations

from webmail.watching.watcher import Watcher

__all__ = ["Watcher"]

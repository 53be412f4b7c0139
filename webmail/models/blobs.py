"""Blobs that rows refer to; they go when their rows do."""

from __future__ import annotations

from django.core.files.storage import default_storage


def forget_files_of(account_id: int) -> None:
    """Remove all blobs of an account that is gone."""
    for kind in ("messages", "drafts", "outbox", "pictures"):
        _remove_folder(f"{kind}/{account_id}")


def _remove_folder(folder: str) -> None:
    if not default_storage.exists(folder):
        return
    folders, files = default_storage.listdir(folder)
    for name in files:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        _remove_folder(f"{folder}/{name}")
    default_storage.delete(folder)


def forget_file(name: str | None) -> None:
    """Remove a blob that nothing refers to any more."""
    if name:
        default_storage.delete(name)

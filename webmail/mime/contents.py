"""What is inside of a part that MIME does not divide: files and text of a winmail.dat, the message within an opaque
signature, files that stand in a text; and the parts of a message that a server could not divide.

Such a thing is a BodyPart below the part that holds it. Its id is that part's, "~", and one of its own: ``2~1`` is the first
in part 2, ``1~2.1`` a part of the message that was signed as part 1, ``1~2~3`` something in a winmail.dat in it."""

from __future__ import annotations

import mimetypes
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO, cast

from webmail.mime import cms, tnef
from webmail.mime.embedded import decoded_files
from webmail.mime.parts import MAX_PARTS, OPAQUE, TNEF, BodyPart, make_part
from webmail.mime.scan import parse_structure, part_octets
from webmail.mime.transfer import decode_transfer

MAX_OCTETS = 64 * 1024 * 1024  # of what is looked into; what is beyond is not seen
MAX_HOLDERS = 20  # parts of one message that are looked into
MAX_NESTED = 3  # of them within each other
IN_MEMORY = 1024 * 1024  # octets; more are put on the disk
CHUNK = 64 * 1024
# The still encoded octets of a part by its id, or of the whole message, header and all, if that is ""; no more than the
# second argument says are needed (None: all of them).
OctetsOf = Callable[[str, int | None], Iterable[bytes]]

_TYPES = mimetypes.MimeTypes()  # without what this machine adds, so that a file is the same everywhere


def may_hold(part: BodyPart) -> bool:
    """Whether it is worth looking into a part, by what is said of it. A text is by what it says: ``may_hold_files``."""
    return part.type in TNEF or (part.type in OPAQUE and part.purpose in ("", "signed-data"))


def divided_by_us(root: BodyPart, octets_of: OctetsOf) -> BodyPart:
    """A multipart that has nothing in it, as servers tell of one whose boundary they did not find: the parts that we find
    in the whole message are below it. Others as they are. Raises what ``octets_of`` does."""
    if not root.divided or any(part.size for part in root.walk() if not part.divided):
        return root
    with _spooled(octets_of("", MAX_OCTETS)) as whole:
        return replace(root, children=(_below(parse_structure(whole), root.part_id),))


def look_inside(root: BodyPart, octets_of: OctetsOf, texts: Collection[str] = ()) -> BodyPart:
    """The tree with what its parts hold, and those in turn; ``texts`` are ids of texts that may hold files. Reads whole
    parts, so do it once. At most MAX_HOLDERS parts are looked into, MAX_NESTED deep and of MAX_OCTETS in all, and MAX_PARTS found. Raises
    nothing but what ``octets_of`` does."""
    seen: set[str] = set()
    left, octets = MAX_PARTS, MAX_OCTETS
    for _ in range(MAX_NESTED):
        fresh = [p for p in root.own() if (may_hold(p) or p.part_id in texts) and p.part_id not in seen]
        for part in fresh:
            if len(seen) >= MAX_HOLDERS or octets <= 0 or part.part_id.count("~") >= MAX_NESTED:
                return root
            seen.add(part.part_id)
            with _decoded(root, part, octets_of) as file:
                octets -= file.tell()
                found = _contents(part, file)
            left -= sum(1 for content in found for _part in content.walk())
            if left < 0:
                return root
            if found:
                root = root.with_contents(part.part_id, found)
    return root


def octets_within(root: BodyPart, part_id: str, octets_of: OctetsOf) -> Iterator[bytes]:
    """The still encoded octets of a part that is inside of another, its id holding a "~". Raises LookupError, before the
    first chunk, if there is none, and what ``octets_of`` raises."""
    holder_id, _, own = part_id.rpartition("~")
    holder = next((part for part in root.walk() if part.part_id == holder_id), None)
    if holder is None or part_id.count("~") > MAX_NESTED:
        raise LookupError(f"the message has no part {part_id!r}")
    return _started(_open(_decoded(root, holder, octets_of), holder, own))


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from chunks

    return rest()


def _decoded(root: BodyPart, part: BodyPart, octets_of: OctetsOf) -> BinaryIO:
    encoded = (
        octets_within(root, part.part_id, octets_of) if "~" in part.part_id else octets_of(part.part_id, MAX_OCTETS * 2)
    )
    return _spooled(decode_transfer(encoded, part.encoding))


def _spooled(chunks: Iterable[bytes]) -> BinaryIO:
    """A file to move about in, of at most MAX_OCTETS."""
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 -- the caller closes it
    size = 0
    for chunk in chunks:
        file.write(chunk[: MAX_OCTETS - size])
        size += len(chunk)
        if size >= MAX_OCTETS:
            break
    return file


def _contents(part: BodyPart, file: BinaryIO) -> tuple[BodyPart, ...]:
    if part.type in TNEF:
        return _of_tnef(part, file)
    if part.type in OPAQUE:
        with _spooled(cms.signed_content(file)) as within:
            return (_below(parse_structure(within), part.part_id),) if within.tell() else ()
    return _of_text(part, file)


def _of_tnef(part: BodyPart, file: BinaryIO) -> tuple[BodyPart, ...]:
    return tuple(
        make_part(
            f"{part.part_id}~{number}",
            item.type or _type_of(item.name),
            {"charset": item.charset, "name": item.name},
            encoding="binary",
            size=item.size,
            disposition="" if item.is_body else "attachment",
            cid=item.cid,
        )
        for number, item in enumerate(tnef.items(file)[:MAX_PARTS], 1)
    )


def _of_text(part: BodyPart, file: BinaryIO) -> tuple[BodyPart, ...]:
    names: dict[int, str] = {}
    sizes: dict[int, int] = {}
    for embedded, octets in decoded_files(_chunks(file)):
        names[embedded.number] = embedded.name
        sizes[embedded.number] = sizes.get(embedded.number, 0) + len(octets)
    return tuple(
        make_part(
            f"{part.part_id}~{number}", _type_of(name), {"name": name},
            encoding="binary", size=sizes[number], disposition="attachment",
        )
        for number, name in names.items()
    )  # fmt: skip


def _below(part: BodyPart, holder_id: str) -> BodyPart:
    """A tree with the id of its holder before each of its own."""
    children = tuple(_below(child, holder_id) for child in part.children)
    return replace(part, part_id=f"{holder_id}~{part.part_id}", children=children)


def _open(file: BinaryIO, holder: BodyPart, own: str) -> Iterator[bytes]:
    with file:
        if holder.divided:
            yield from part_octets(file, own)
        elif holder.type in TNEF:
            yield from _tnef_octets(file, own)
        elif holder.type in OPAQUE:
            with _spooled(cms.signed_content(file)) as within:
                if not within.tell():
                    raise LookupError("nothing is signed in it")
                yield from part_octets(within, own)
        else:
            number = _number(own)
            found = (octets for embedded, octets in decoded_files(_chunks(file)) if embedded.number == number)
            if (first := next(found, None)) is None:
                raise LookupError(f"no file {own!r} in the text")
            yield first
            yield from found


def _number(own: str) -> int:
    return int(own) if own.isascii() and own.isdigit() and len(own) < 10 else 0


def _tnef_octets(file: BinaryIO, own: str) -> Iterator[bytes]:
    items, number = tnef.items(file), _number(own)
    if not 1 <= number <= len(items):
        raise LookupError(f"no file {own!r} in it")
    item = items[number - 1]
    if item.octets is not None:
        yield item.octets
        return
    at, end = item.start, item.start + item.size
    while at < end:
        file.seek(at)
        chunk = file.read(min(CHUNK, end - at))
        if not chunk:
            return
        at += len(chunk)
        yield chunk


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk


def _type_of(name: str) -> str:
    return _TYPES.guess_type(name.lower())[0] or "application/octet-stream" if name else "application/octet-stream"

"""What of a message would load something or lead somewhere: pictures, trackers among them, and links."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from html import escape, unescape
from urllib.parse import unquote, urlsplit

from webmail.html.rules import MAX_DATA_URL, MAX_REMOTE, hide
from webmail.html.tree import decoded

MAX_DECEPTIVE = 20
MAX_SHOWN = 300  # characters of the text of a link in which a host is looked for

_HTTP = re.compile(r"(?:https?:)?//[^\s\x00-\x20\"<>\\^`{|}]+", re.IGNORECASE)
RASTER = re.compile(r"data:image/(?:png|gif|jpe?g|webp|bmp);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)
LINK = re.compile(r"(?:https?://|mailto:|tel:)[^\s\x00-\x20<>\"`]+", re.IGNORECASE)

# Pictures that are there to be asked for: by where they come from, as senders' programs write it; and see _is_unseen
_TRACKING = re.compile(
    r"//(?:[\w.-]+\.)?(?:"
    r"list-manage\.com/track/open|mandrillapp\.com/track/open|sendgrid\.net/wf/open|mailgun\.(?:org|net)/o/"
    r"|mjt\.lu/oo/|sendibt?\d*\.com/(?:mk/op|tr/op)|hubspotemail\.net/|hs-?analytics\.|mailtrack\.io/|mltrk\.io/"
    r"|yesware\.com/t/|mailfoogae\.appspot\.com/|getnotify\.com/|bananatag\.com/|mixmax\.com/|streak\.com/"
    r"|cirrusinsight\.com/|klclick\d*\.com/|ct\.sendgrid\.net/|awstrack\.me/|google-analytics\.com/|doubleclick\.net/"
    r"|facebook\.com/tr|litmus(?:app|trak)?\.com/|emltrk\.com/|returnpath\.net/|pixel\.watch/|exct\.net/open"
    r"|exacttarget\.com/open|salesforce\.com/servlet/servlet\.ImageServer|createsend\d*\.com/t/|cmail\d+\.com/t/"
    r"|openrate\.|apsis\.|anpdm\.com/open|rs6\.net/on\.jsp|intercom-mail\.com/(?:via|q)/|customeriomail\.com/e/o/"
    r")|/(?:track(?:ing)?/open|wf/open|e/o/|open\.aspx|open\.php|o\.gif|pixel\.(?:gif|png)|beacon\.gif)(?:[/?]|$)",
    re.IGNORECASE,
)
# What links carry so that the reader can be followed. Values of any of them never change what a page shows.
_FOLLOWING = re.compile(
    r"(?:utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|yclid|twclid|ttclid|li_fat_id|igshid|mc_eid|mc_cid"
    r"|_hsenc|_hsmi|__hs\w+|hsctatracking|mkt_tok|vero_id|vero_conv|oly_enc_id|oly_anon_id|rb_clickid|s_cid|ml_subscriber"
    r"|ml_subscriber_hash|_openstat|wickedid|ck_subscriber_id|bsft_\w+|_kx|ss_email_id|elqtrackid|trk_contact|trk_msg"
    r"|trk_module|trk_sid)=[^&#]*",
    re.IGNORECASE,
)


class Pictures:
    """Decides about everything that would load. ``ours`` are the URLs it gave out: the gate lets pass no others."""

    def __init__(self, cid: Callable[[str], str | None], remote: Callable[[str], str | None] | None) -> None:
        self.cid, self.remote = cid, remote
        self.ours: set[str] = set()
        self.listed: dict[str, bool] = {}  # URL: whether it is a tracker

    def blocked(self, value: str, tracker: bool = False) -> None:
        """List what of ``value`` (a URL, or a srcset) is remote."""
        for word in value.split():
            if len(self.listed) < MAX_REMOTE and _HTTP.fullmatch(word.rstrip(",")):
                url = _absolute(word.rstrip(","))
                self.listed[url] = self.listed.get(url, False) or tracker or _TRACKING.search(url) is not None

    def change(self, attributes: dict[str, str]) -> bool:
        """An <img>: its src as one of ours, or without. False for a tracker, which is not even shown as missing."""
        source = attributes.pop("src", None)
        if source is None:
            return True
        value = decoded(source).strip()
        compact = "".join(value.split())
        if _HTTP.fullmatch(compact):
            if _TRACKING.search(compact) or _is_unseen(attributes):
                self.blocked(compact, tracker=True)
                return False
            url = self.remote(_absolute(compact)) if self.remote is not None else None
            if url is None:
                self.blocked(compact)
        elif value[:4].lower() == "cid:":
            url = self.cid(unquote(value[4:]).strip("<> "))
        elif len(value) <= MAX_DATA_URL and RASTER.fullmatch(value):
            attributes["src"] = compact
            return True
        else:
            return True
        if url is not None:
            self.ours.add(url)
            attributes["src"] = hide(url)
        return True


class Slots:
    """Keeps remote images out so that they can be put in again without cleaning anew: given to ``clean`` as ``remote``, it
    marks the place of each. Nobody who writes a message can guess the marks."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self._mark = secrets.token_hex(8)
        self._numbers: dict[str, int] = {}

    def __call__(self, url: str) -> str | None:
        if url not in self._numbers and len(self.urls) >= MAX_REMOTE:
            return None
        number = self._numbers.setdefault(url, len(self.urls))
        if number == len(self.urls):
            self.urls.append(url)
        return f"/slot-{self._mark}-{number}"

    def take_out(self, html: str) -> tuple[str, list[tuple[int, int]]]:
        """What ``clean`` made without the marks, and where they were: (offset in that, number of the URL)."""
        pieces = re.split(rf' src="/slot-{self._mark}-(\d+)"', html)
        places: list[tuple[int, int]] = []
        offset = 0
        for piece, number in zip(pieces[::2], pieces[1::2], strict=False):
            offset += len(piece)
            places.append((offset, int(number)))
        return "".join(pieces[::2]), places


def put_in(html: str, sources: Iterable[tuple[int, str]]) -> str:
    """Images with these addresses of ours at the places that ``take_out`` told, in the same order."""
    out: list[str] = []
    done = 0
    for offset, url in sources:
        out += (html[done:offset], f' src="{escape(url)}"')
        done = offset
    return "".join((*out, html[done:]))


def _is_unseen(attributes: dict[str, str]) -> bool:
    """A picture that shows nothing: of at most one pixel each way, or hidden."""
    style = dict(pair.split(":", 1) for pair in attributes.get("style", "").split(";") if ":" in pair)
    if style.get("display") == "none" or style.get("visibility") == "hidden" or style.get("opacity") == "0":
        return True
    sizes = (style.get(name, style.get(f"max-{name}", attributes.get(name, ""))) for name in ("width", "height"))
    return all(size.strip() in _NOTHING for size in sizes)


_NOTHING = frozenset({"0", "1", "0px", "1px", "0%"})


def _absolute(url: str) -> str:
    return "https:" + url if url.startswith("//") else url


def host_of(url: str) -> str:
    """Of an http(s) URL; its beginning where it has none that can be told."""
    try:
        return urlsplit(url).hostname or url[:60]
    except ValueError:
        return url[:60]


def link(attributes: dict[str, str]) -> bool:
    """An <a>: its href checked, without what only follows the reader. It always stays, for its text."""
    href = attributes.pop("href", None)
    if href is None:
        return True
    value = decoded(href).strip()
    compact = "".join(value.split()) if value[:4].lower() in ("http", "mail", "tel:") else value
    if LINK.fullmatch(compact):
        attributes["href"] = hide(unfollowed(compact))
    return True


def unfollowed(url: str) -> str:
    """The URL without tracking parameters; the rest of it byte for byte."""
    start, mark, query = url.partition("?")
    if not mark or "=" not in query:
        return url
    query, hash_, fragment = query.partition("#")
    kept = [pair for pair in query.split("&") if not _FOLLOWING.fullmatch(pair)]
    if len(kept) == query.count("&") + 1:
        return url
    return start + ("?" + "&".join(kept) if kept else "") + hash_ + fragment


# --- links that say another place than they lead to ----------------------------------------------------------------

_ANCHOR = re.compile(r'<a [^>]*?href="(https?://[^"]*)"[^>]*>((?:[^<]++|<(?!/a>))*+)</a>')
_TAG = re.compile(r"<[^>]*>")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_SHOWN = re.compile(
    r"(https?://)?((?:[^\W_](?:[\w-]{0,62}\.))+([^\W\d_][\w-]{1,62}))(?::\d{1,5})?(?:[/?#@]\S*)?", re.IGNORECASE
)
# Names of files and of things, where a link names a host without saying that it is one.
_FILES = frozenset(
    {"csv", "doc", "docx", "gif", "htm", "html", "jpeg", "jpg", "js", "json", "md", "mov", "mp3", "mp4", "pdf", "php",
     "pl", "png", "ppt", "pptx", "ps", "py", "rs", "sh", "ts", "txt", "xls", "xlsx", "xml", "zip"}
)  # fmt: skip


def deceptive_links(html: str) -> tuple[tuple[str, str], ...]:
    """(text, host) of the links in cleaned HTML whose text names another host than the one that they lead to."""
    found: dict[tuple[str, str], None] = {}
    for match in _ANCHOR.finditer(html):
        text = _TAG.sub("", match[2])
        if "." not in text or len(text) > 4 * MAX_SHOWN:
            continue
        text = " ".join(_INVISIBLE.sub("", unescape(text)).split())
        shown = _shown_host(text[:MAX_SHOWN])
        if shown and not _same_place(shown, host := _host(unescape(match[1]))):
            found.setdefault((text[:MAX_SHOWN], host))
            if len(found) == MAX_DECEPTIVE:
                break
    return tuple(found)


def _shown_host(text: str) -> str:
    for word in text.split():
        match = _SHOWN.fullmatch(word.strip("()[]<>.,;:!\"'«»“”"))
        if match and (match[1] or ("@" not in word and match[3].lower() not in _FILES)):
            return _ascii(match[2])
    return ""


def _host(url: str) -> str:
    try:
        return _ascii(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return host.lower()


def _same_place(shown: str, host: str) -> bool:
    """Whether one is the other, or lies within it."""
    shown, host = shown.removeprefix("www."), host.removeprefix("www.")
    return shown == host or host.endswith("." + shown) or shown.endswith("." + host)

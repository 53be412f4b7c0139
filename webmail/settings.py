"""Settings, all from the environment, all with a default that works (see the table in README.md).

Everything the program writes lives under WEBMAIL_DATA; keys are made there on the first start.
"""

from __future__ import annotations

import os
import secrets
import tomllib
from pathlib import Path
from typing import Any

import dj_database_url
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").strip().lower()
    return default if value == "" else value not in ("0", "no", "off", "false")


def _words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdigit():
        raise ImproperlyConfigured(f"{name} must be a whole number, not {text!r}.")
    return int(text)


def _key_file(path: Path, make: Any) -> list[str]:
    """The lines of a key file, newest key first; made with one key, readable by the owner only, if it is not there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(make() + "\n")
    keys = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    if not keys:
        raise ImproperlyConfigured(f"The key file {path} is empty.")
    return keys


HOST = os.environ.get("WEBMAIL_HOST", "127.0.0.1")
PORT = _number("WEBMAIL_PORT", 8000)
# Pages are made by Python threads, of which one process runs one at a time; each takes about 100 MB.
WEB_PROCESSES = _number("WEBMAIL_WEB_PROCESSES", 2 if (os.cpu_count() or 1) > 1 else 1)
DATA_DIR = Path(os.environ.get("WEBMAIL_DATA", BASE_DIR / "var")).resolve()
try:
    for folder in (DATA_DIR, DATA_DIR / "keys", DATA_DIR / "blobs"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"WEBMAIL_DATA: cannot write to {DATA_DIR}: {error.strerror}.") from error

# The address the sample mail server gives its one mailbox; shown on the sign-in page while the sample runs.
DEMO = _flag("WEBMAIL_DEMO", True)
DEMO_ADDRESS = "kari@postkasse.test"
DEMO_PASSWORD = "postkasse"  # noqa: S105  (a public sample, reachable from this machine only)
DEMO_DIR = DATA_DIR / "demo"

SECRET_KEY, *SECRET_KEY_FALLBACKS = _key_file(DATA_DIR / "keys" / "django", lambda: secrets.token_urlsafe(50))
# Fernet keys for stored credentials, newest first: the first encrypts, all decrypt.
CREDENTIAL_KEYS = _key_file(DATA_DIR / "keys" / "credentials", lambda: Fernet.generate_key().decode())

DEBUG = _flag("WEBMAIL_DEBUG", False)
ALLOWED_HOSTS = _words("WEBMAIL_ALLOWED_HOSTS") or sorted({"localhost", "127.0.0.1", "[::1]", HOST} - {"0.0.0.0", "::"})  # noqa: S104
# Servers that check senders for all accounts here, as they name themselves in Authentication-Results (RFC 8601).
BELIEVED = _words("WEBMAIL_BELIEVED")
CSRF_TRUSTED_ORIGINS = _words("WEBMAIL_ORIGINS")
# Set where the site is reached over HTTPS: cookies are then never sent in clear.
HTTPS = _flag("WEBMAIL_HTTPS", False)
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "postkasse"
SESSION_COOKIE_AGE = 60 * 60 * 24 * 30
SESSION_SERIALIZER = "django.contrib.sessions.serializers.JSONSerializer"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "webmail.views.trouble.csrf_failure"
X_FRAME_OPTIONS = "SAMEORIGIN"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # other names under the domain are not ours to bind to HTTPS
    "security.W008",  # the proxy that holds the certificate redirects, not we
    "security.W019",  # a message body is shown in a frame of our own pages
    "security.W021",  # whether a browser ships with the name preloaded is the operator's decision
]
SECURE_REFERRER_POLICY = "same-origin"

# Operator's table of known mail domains (README, "Servers you know").
SERVERS_FILE = os.environ.get("WEBMAIL_SERVERS", "")
MAIL_DOMAINS: dict[str, dict[str, Any]] = {}
MAIL_RELAY: dict[str, Any] = {}  # for accounts whose own outgoing server cannot be reached (accounts/relay.py)
if SERVERS_FILE:
    try:
        _table = tomllib.loads(Path(SERVERS_FILE).read_text())
        MAIL_DOMAINS, MAIL_RELAY = _table.get("domains", {}), _table.get("relay", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ImproperlyConfigured(f"WEBMAIL_SERVERS: {SERVERS_FILE}: {error}") from error
# A certificate authority of one's own, beside the system's, for mail servers inside the house.
MAIL_CA_FILE = os.environ.get("WEBMAIL_CA_FILE") or None
MAIL_TIMEOUT = _number("WEBMAIL_TIMEOUT", 30)  # seconds, each read and write
MAIL_PATIENCE = 600  # seconds for the answer to a whole message handed over (RFC 5321 §4.5.3.2.6)
# How much may be sent, 0 for no limit; what is over it waits. Of each account, and of each person over all their accounts.
ACCOUNT_MESSAGES_AN_HOUR = _number("WEBMAIL_ACCOUNT_MESSAGES_AN_HOUR", 0)
ACCOUNT_RECIPIENTS_A_DAY = _number("WEBMAIL_ACCOUNT_RECIPIENTS_A_DAY", 0)
USER_MESSAGES_AN_HOUR = _number("WEBMAIL_USER_MESSAGES_AN_HOUR", 0)
USER_RECIPIENTS_A_DAY = _number("WEBMAIL_USER_RECIPIENTS_A_DAY", 0)
# What EHLO says; an address literal tells nothing of this machine (RFC 5321 §4.1.4).
EHLO_NAME = os.environ.get("WEBMAIL_EHLO", "[127.0.0.1]")
ATTACHMENT_LIMIT = _number("WEBMAIL_ATTACHMENT_LIMIT", 25) * 1_000_000  # octets of one message, after encoding

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "template_partials",
    "accounts.apps.AccountsConfig",
    "webmail.apps.WebmailConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "webmail.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.preferences",
    "webmail.views.unchanged.announced",
    "webmail.views.resumption.Resumption",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "webmail.urls"
ASGI_APPLICATION = "webmail.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                ("django.template.loaders.cached.Loader", [
                    "django.template.loaders.filesystem.Loader",
                    "django.template.loaders.app_directories.Loader",
                ])
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "webmail.context.sprite",
            ],
        },
    }
]  # fmt: skip

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.sessions.Backend", "django.contrib.auth.backends.ModelBackend"]  # older sessions
SESSION_ENGINE = "accounts.sessions"
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "/"


def _database(url: str) -> Any:
    if not url:  # not through a URL: the folder's name may hold characters that mean something in one
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(DATA_DIR / "postkasse.sqlite3"),
            "CONN_MAX_AGE": 600,
        }
    try:
        return dj_database_url.parse(url, conn_max_age=600)
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL: {error}") from error


DATABASES = {"default": _database(os.environ.get("DATABASE_URL", ""))}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a writer waits for its turn at BEGIN instead of failing in the middle of a transaction.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=4000; "
        "PRAGMA cache_size=-16000; PRAGMA mmap_size=268435456;",
    }
else:  # what webmail.prepared asks is planned once a connection; "none" behind a pooler that hands connections around
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    _threshold = str(_options.get("prepare_threshold", "5"))
    _options["prepare_threshold"] = int(_threshold) if _threshold.isdigit() else None
# The index of search beside SQLite (PostgreSQL has its own): made anew by `manage.py index --anew`, so no need to back it up.
SEARCH_FILE = DATA_DIR / "search.sqlite3"
SEARCH_TEXT = _number("WEBMAIL_SEARCH_TEXT", 64) * 1024  # letters of a message that are found by
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_SOCKET = DATA_DIR / "redis.sock"
REDIS_URL = os.environ.get("REDIS_URL") or f"unix://{REDIS_SOCKET}"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "pages": {  # made a moment ago (webmail/views/unchanged.py), compressed; some 10 kB each, in each process
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "pages",
        "TIMEOUT": 60,
        "OPTIONS": {"MAX_ENTRIES": 500},
    },
}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # the database row is the truth, the task only a nudge; a sweep each minute re-nudges
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CONCURRENCY = _number("WEBMAIL_WORKERS", 4)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2, "max_retries": 1}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat")
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "webmail.sweep", "schedule": 20.0, "options": {"expires": 15.0}},
    "pulse": {"task": "webmail.pulse", "schedule": 20.0, "options": {"expires": 15.0}},
    "sync-due": {"task": "webmail.sync_due", "schedule": 30.0, "options": {"expires": 25.0}},
}

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("nb", "Norsk bokmål")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = os.environ.get("TZ", "").strip() or "Europe/Oslo"
USE_TZ = True
THEMES = [("system", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]

STATIC_URL = "static/"
EDITOR = BASE_DIR / "static-built"  # the editor of rich text, brought from npm by `make run`; without it, no rich text
EDITOR_INSTALLED = (EDITOR / "editor" / "squire.mjs").exists()
STATICFILES_DIRS = [BASE_DIR / "static", *([EDITOR] if EDITOR_INSTALLED else [])]
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": DATA_DIR / "blobs"}},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
FILE_UPLOAD_TEMP_DIR = None
FILE_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000_000  # octets of form text; files are streamed and do not count
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

LOG_LEVEL = os.environ.get("WEBMAIL_LOG", "").strip().upper() or "WARNING"
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured(
        f"WEBMAIL_LOG must be debug, info, warning, error or critical, not {LOG_LEVEL.lower()!r}."
    )
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{", "datefmt": "%H:%M:%S"}
    },
    # 503 is what our views say of a mail server or a part that is away; it is shown where it belongs.
    "filters": {
        "ours": {"()": "django.utils.log.CallbackFilter", "callback": lambda r: getattr(r, "status_code", 0) != 503}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["ours"]}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "webmail": {"level": "INFO"},
        "accounts": {"level": "INFO"},
    },
}

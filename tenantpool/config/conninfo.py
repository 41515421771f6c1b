"""Connection strings: checked when read, completed when used, masked when shown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from tenantpool.config.fields import no_nul

HIDDEN = "***"

_SECRETS = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)

_QUOTES = "[\"'\u00ab\u00bb\u2018\u2019\u201c\u201d\u201e\u300c\u300d]"
"""What libpq puts around a piece of the string, in any of its languages."""

_DEFAULTS = {"application_name": "tenantpool"}

_KEEPALIVES = {
    # A dead peer is noticed after 30 + 3 * 10 seconds instead of the system's two hours.
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    # The same for one that dies while it owes an answer; milliseconds, on Linux.
    "tcp_user_timeout": "60000",
}


def validate_conninfo(value: SecretStr) -> SecretStr:
    """Return *value* if libpq can read it; ValueError with a reason that shows none of it."""
    text = no_nul(value.get_secret_value())
    try:
        params = conninfo_to_dict(text)
    except ProgrammingError as error:
        raise ValueError(_unquoted(str(error))) from None
    if not _is_timeout(params.get("connect_timeout", "5")):
        raise ValueError("connect_timeout must be a number of seconds above 0")
    return value


def _unquoted(message: str) -> str:
    """The message up to its first quotation: that may be a piece of a password.

    An option that is nearly right is named, as it can be taken from the list of options.
    """
    start, *quoted = re.split(_QUOTES, message.replace('"="', "=").strip())
    options = [option.keyword.decode() for option in pq.Conninfo.get_defaults()]
    close = [match for word in quoted for match in get_close_matches(word, options, n=1)]
    hint = f" (did you mean {close[0]}?)" if close else ""
    return start.strip(" :") + (" ..." if quoted else "") + hint


def _is_timeout(value: object) -> bool:
    try:
        return float(str(value)) > 0
    except ValueError:
        return False


def connection_params(
    conninfo: str,
    *,
    dbname: str,
    user: str | None,
    password: str | None,
    connect_timeout: float,
    startup: Iterable[tuple[str, str]],
) -> dict[str, str]:
    """What opens a connection of one pool, password included, as libpq's parameters.

    An empty *dbname* leaves that of *conninfo*. What *conninfo* says of ``application_name``, the
    keepalives and ``connect_timeout`` (seconds) stays; *startup* settings come after its own
    ``options``, so they win. A *user* never logs in with the password of another: without a
    *password* libpq looks into its password file.
    """
    params = dict(_with_defaults(conninfo, connect_timeout))
    if user is not None:
        params["user"] = user
        params.pop("password", None)
    if password is not None:
        params["password"] = password
    if dbname:
        params["dbname"] = dbname
    options = " ".join(filter(None, [params.get("options"), startup_options(startup)]))
    if options:
        params["options"] = options
    return params


@lru_cache(maxsize=64)
def _with_defaults(conninfo: str, connect_timeout: float) -> Mapping[str, str]:
    """What all connections to a server have in common. Every connect needs it."""
    params = _read(conninfo)
    # libpq counts whole seconds and makes at least two of them.
    timeout = {"connect_timeout": str(max(2, math.ceil(connect_timeout)))}
    return {**_DEFAULTS, **_keepalives(params), **timeout, **params}


def _keepalives(params: Mapping[str, str]) -> dict[str, str]:
    """Nothing for a Unix socket, whose peer can't vanish without a word."""
    return {} if params.get("host", "").startswith(("/", "@")) else _KEEPALIVES


@lru_cache(maxsize=64)
def _read(conninfo: str) -> Mapping[str, str]:
    """The string in its parts, which libpq takes 0.1 ms to read."""
    return {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}


def startup_options(settings: Iterable[tuple[str, str]]) -> str:
    r"""The settings as command-line options of a backend: ``-c name=value ...``.

    The server splits them at white space; a backslash keeps the character after it.
    """
    return " ".join(f"-c {name}={_escape(value)}" for name, value in settings)


def _escape(value: str) -> str:
    return re.sub(r"([\\ \t\n\v\f\r])", r"\\\1", value)


def hide_conninfo(conninfo: str) -> str:
    """*conninfo* with ``***`` for every secret in it; a URL comes back as a libpq string."""
    return make_conninfo("", **read_conninfo(conninfo))


def read_conninfo(conninfo: str) -> dict[str, str]:
    """*conninfo* in its parts, with ``***`` for every secret."""
    params = _read(conninfo)
    hidden = {key: HIDDEN for key in _SECRETS if params.get(key)}
    return {**params, **hidden}

"""Headers for private hosts, from the user's settings: each belongs to one origin, and no manifest can name any.

``PREFETCH_TOKENS`` names variables (``https://models.example.com=MODELS_TOKEN``), so it holds no secret itself;
``PREFETCH_HEADERS`` is for hosts that want another header than ``Authorization: Bearer``. No sentence of this module
shows a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from prefetch.errors import UsageError
from prefetch.net.credentials import Credential, Secret, may_carry_secrets
from prefetch.net.urls import OriginKey, SecretURL, origin_text
from prefetch.sources.tokens import read_text, read_token

__all__ = ["read_own_headers"]

_TOKENS, _HEADERS = "PREFETCH_TOKENS", "PREFETCH_HEADERS"
_TOKENS_FORM = (
    f"Write {_TOKENS} as https://host=NAME, where the variable NAME or the file in NAME_FILE holds the token."
)
_HEADERS_FORM = f'Write {_HEADERS} as JSON: {{"https://host": {{"X-Api-Key": "${{NAME}}"}}}}.'
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OURS = re.compile(
    r"accept-encoding|connection|content-length|expect|host|if-.*|keep-alive|proxy-.*|range|te|trailer"
    r"|transfer-encoding|upgrade",
    re.IGNORECASE,
)
"""Headers that decide what comes back as which bytes, or that belong to a connection."""


def read_own_headers(environ: Mapping[str, str]) -> tuple[Credential, ...]:
    """The headers that ``PREFETCH_TOKENS`` and ``PREFETCH_HEADERS`` give, each with its origin.

    Raises:
        UsageError: either cannot be used as it is.
    """
    return (*_tokens(environ), *_headers(environ))


def _tokens(environ: Mapping[str, str]) -> Iterator[Credential]:
    for item in re.split(r"[,\s]+", environ.get(_TOKENS, "").strip()):
        if not item:
            continue
        address, _, name = item.rpartition("=")
        origin = _origin(address, _TOKENS, _TOKENS_FORM)
        if not _VARIABLE.fullmatch(name):
            raise UsageError(f"{_TOKENS} names no variable for {origin_text(origin)}.", remedy=_TOKENS_FORM)
        token = read_token(environ, (name,))
        if token is None:
            raise UsageError(
                f"The variable that {_TOKENS} names for {origin_text(origin)} is not set.", remedy=_TOKENS_FORM
            )
        yield Credential.bearer(origin, token.secret, found_in=_TOKENS)


def _headers(environ: Mapping[str, str]) -> Iterator[Credential]:
    text, found_in = read_text(environ, _HEADERS)
    if not text:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(isinstance(headers, dict) for headers in document.values()):
        raise UsageError(f"{found_in} holds no JSON object of headers by origin.", remedy=_HEADERS_FORM)
    for address, headers in document.items():
        origin = _origin(address, found_in, _HEADERS_FORM)
        for name, value in headers.items():
            secret = _value(environ, f"{found_in} for {origin_text(origin)}", name, value)
            yield Credential(origin, name, secret, found_in)


def _value(environ: Mapping[str, str], where: str, name: str, value: Any) -> Secret:
    if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str):
        raise UsageError(f"{where}: a header is no name with a text.", remedy=_HEADERS_FORM)
    if _OURS.fullmatch(name):
        raise UsageError(f"{where}: the header {name} is prefetch's own to set.", remedy="Take it out.")
    filled = _REFERENCE.sub(lambda found: read_text(environ, found[1])[0], value).strip()
    missing = [name for name in _REFERENCE.findall(value) if not read_text(environ, name)[0]]
    if missing:
        raise UsageError(f"{where}: the variable {missing[0]} is not set.", remedy="Set it, or name another.")
    if not filled or not filled.isprintable() or not filled.isascii():
        raise UsageError(f"{where}: the header {name} has a value that no request can carry.", remedy=_HEADERS_FORM)
    return Secret(filled)


def _origin(address: str, where: str, form: str) -> OriginKey:
    try:
        url = SecretURL(address)
    except ValueError:
        raise UsageError(f"{where} names an origin that is no https address.", remedy=form) from None
    if url.has_userinfo or url.path.strip("/") or "?" in address or "#" in address:
        raise UsageError(f"{where} names more than an origin (scheme, host and port).", remedy=form)
    if not may_carry_secrets(url):
        raise UsageError(f"{where}: {url} is neither https nor this machine, so no secret is sent there.", remedy=form)
    return url.origin

"""Files at plain addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import parse_qsl, unquote

from prefetch.net.urls import SecretURL, is_loopback_host, is_secret_name, is_signing_name
from prefetch.sources.refs.shown import shown

__all__ = ["HttpRef", "names_directory", "parse_address", "parse_http"]

_VARIABLES = {"civitai.com": "CIVITAI_API_TOKEN", "civitai.red": "CIVITAI_API_TOKEN", "huggingface.co": "HF_TOKEN"}
"""Where the token of a host that everybody uses belongs."""


@dataclass(frozen=True, slots=True)
class HttpRef:
    """One file at an address."""

    url: SecretURL

    @property
    def needs_sha256(self) -> bool:
        """Whether the file is only acceptable with a known hash: it travels unencrypted through a network."""
        return self.url.scheme == "http" and not is_loopback_host(self.url.host)

    @property
    def signed(self) -> bool:
        """Whether the address itself is a secret: whoever knows it may read the file."""
        return bool(_secret_names(self.url))

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(unquote(self.url.path)).name or self.url.host

    def __str__(self) -> str:
        return self.url.reveal()


def parse_address(text: str) -> SecretURL:
    """The address that ``text`` is, of whatever host, signed or not; ValueError where it is none, carries another
    credential, or has a part that would not be sent.
    """
    try:
        url = SecretURL(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is {error}; write https://host/path/to/file.") from None
    if url.has_userinfo or any(not is_signing_name(name) for name in _secret_names(url)):
        variable = _VARIABLES.get(url.site.removeprefix("www."), "a variable that PREFETCH_TOKENS names")
        raise ValueError(
            f"{url} carries a credential; take it out of the manifest and put it in the environment, in {variable}."
        )
    if "#" in url.reveal():
        raise ValueError(
            f"{url} goes on behind a #, which no host is told; write it as %23 where it belongs to the file's name, "
            "or take that part out."
        )
    return url


def parse_http(url: SecretURL) -> HttpRef:
    """The file at ``url``, on a host of which nothing is known; ValueError says what to write instead."""
    if names_directory(url):
        raise ValueError(f"{url} is a directory; name one file.")
    return HttpRef(url)


def names_directory(url: SecretURL) -> bool:
    """Whether an address ends in a slash. With a query behind it, that query says which file is meant."""
    return not url.query and (url.path.endswith("/") or not url.path)


def _secret_names(url: SecretURL) -> list[str]:
    return [name for name, _ in parse_qsl(url.query, keep_blank_values=True) if is_secret_name(name)]

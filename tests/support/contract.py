"""Every request and answer of a stand-in held against RunPod's published contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from openapi_core import Config, OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

from tests.support.trim_contract import CONTRACT

__all__ = ["Breach", "answer_breach", "request_breach"]

Breach = list[str]
"""What is wrong, one sentence each; empty where nothing is."""


@cache
def _contract() -> OpenAPI:
    kinds: dict[str, Callable[[bytes], Any]] = {
        "application/problem+json": json.loads,
        "text/event-stream": bytes.decode,
    }
    config = Config(extra_media_type_deserializers=kinds)
    return OpenAPI.from_dict(json.loads(CONTRACT.read_text(encoding="utf-8")), config=config)


def request_breach(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Breach:
    """In what a request breaks the contract."""
    try:
        _contract().validate_request(_request(method, target, headers, body))
    except OpenAPIError as error:
        return _told(error)
    return []


def answer_breach(
    method: str, target: str, headers: Mapping[str, str], status: int, answer: Mapping[str, str], body: bytes
) -> Breach:
    """In what an answer to a request breaks the contract."""
    kind = answer.get("Content-Type", "")
    response = MockResponse(body, status, dict(answer), kind)
    try:
        _contract().validate_response(_request(method, target, headers, b""), response)
    except OpenAPIError as error:
        return _told(error)
    return []


def _request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> MockRequest:
    parts = urlsplit(target)
    query: dict[str, Any] = dict(parse_qsl(parts.query))
    kind = headers.get("Content-Type", "application/json")
    return MockRequest("http://runpod.test", method, parts.path, None, query, None, dict(headers), None, body, kind)


def _told(error: BaseException) -> Breach:
    causes = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    detailed = getattr(causes[-1], "schema_errors", None) or getattr(error, "schema_errors", None)
    return [f"$.{each.json_path.lstrip('$.')}: {each.message}" for each in detailed or ()] or [str(causes[-1])]

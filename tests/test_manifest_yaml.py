"""The YAML dialect: what is a value, what is text, what is refused, and on which line."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.yamlfile import MAX_BYTES, YamlError, YamlMapping, line_of, parse_yaml

ABOVE = "The mistake may stand in the line above."

SCALARS: list[tuple[str, object]] = [
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("nULL", "nULL"),
    ("true", True),
    ("FALSE", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("Off", "Off"),
    ("y", "y"),
    ("12", 12),
    ("-12", -12),
    ("+12", 12),
    ("0123", 123),
    ("0o17", 15),
    ("0xfF", 255),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("12:30:00", "12:30:00"),
    ("2026-01-01", "2026-01-01"),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("1e3", 1000.0),
    ("-.inf", -math.inf),
    (".Inf", math.inf),
    (".iNF", ".iNF"),
    ("1.2.3", "1.2.3"),
    ("-", [None]),
    ("--", "--"),
    ("=", "="),
    ("<<", "<<"),
    ("'12'", "12"),
    ('"true"', "true"),
    ('""', ""),
    ("0" * 63 + "1", "0" * 63 + "1"),
    ("1" * 62 + "e1", "1" * 62 + "e1"),
]

REFUSED: list[tuple[bytes, int | None, str]] = [
    (b"a: &x 1\nb: *x", 1, "anchors (&name) are refused; write the value out where it is needed."),
    (b"a: 1\nb: *x", 2, "aliases (*name) are refused; write the value out."),
    (b"? *x : 1", 1, "a key must be plain text, not a list, a mapping or an alias."),
    (b"- &x [1]", 1, "anchors (&name) are refused; write the value out where it is needed."),
    (b"a: !!str 1", 1, "tags (!name) are refused."),
    (b"a: !!python/object/apply:os.system [ls]", 1, "tags (!name) are refused."),
    (b"! a", 1, "tags (!name) are refused."),
    (b"!!map {a: 1}", 1, "tags (!name) are refused."),
    (b"%TAG !e! tag:x,2000:\n---\n!e!a b", 1, "%TAG directives are refused."),
    (b"# c\r%TAG !e! tag:x,2000:\r---\r!e!a b", 1, "%TAG directives are refused."),
    (b"a: 1\nb: 2\na: 3", 3, "this key stands twice in one mapping, first in line 1."),
    (b"a: 1\n'a': 3", 2, "this key stands twice in one mapping, first in line 1."),
    (b"a: 1\n---\nb: 2", 2, "a second document begins here; a file may hold one only."),
    (b"[a]: 1", 1, "a key must be plain text, not a list, a mapping or an alias."),
    (b"a: b: c", 1, "this is not YAML: mapping values are not allowed in this context."),
    (b"version:1\nmodels:\n", 1, 'this is not YAML: a blank is missing behind "version:".'),
    (b"models:\n- path:a/b\n  source: c", 2, 'this is not YAML: a blank is missing behind "path:".'),
    (b"models:\n- path: a/b\n  source:hf://c\n", 3, 'this is not YAML: a blank is missing behind "source:".'),
    (b"- https://h/a\n- x: y: z", 2, f"this is not YAML: mapping values are not allowed in this context. {ABOVE}"),
    (b"a:\n  - b\n c", 3, f"this is not YAML: did not find expected key. {ABOVE}"),
    (b"a: 1\nb: \x00", 2, "a control character (U+0000) has no place in text."),
    (b"a: \x1b[31m", 1, "a control character (U+001B) has no place in text."),
    ("\ufeffa: 1\nb: \uffff".encode(), 2, "a control character (U+FFFF) has no place in text."),
    (b"a: 1\nb: \xff", 2, "a byte is not UTF-8 text."),
    ("a: 1\r\n".encode("utf-16"), None, "the file is UTF-16, as some Windows programs write; save it as UTF-8."),
    (
        b"a:\n\t- b",
        2,
        (
            "this is not YAML: found character that cannot start any token (often a tab: indent with spaces, and quote "
            f"a value that begins with @, ` or %). {ABOVE}"
        ),
    ),
    (b"a: \xed\xa0\x80", 1, "a byte is not UTF-8 text."),
    (b"[" * 40, 1, "the nesting is deeper than 32 levels."),
    (b"- " * 40, 1, "the nesting is deeper than 32 levels."),
    (b"- a\n" * 300_001, 300_000, "the file holds more than 300000 values."),
    (b"#" * (MAX_BYTES + 1), None, "the file is larger than 16 MiB."),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    found = parse_yaml(text.encode() if text == "-" else f"key: {text}".encode())
    if isinstance(found, YamlMapping):
        found = found["key"]
    assert found == value
    assert type(found) is type(value) or value == [None]


def test_nan_is_a_number() -> None:
    found = parse_yaml(b"[.nan]")
    assert isinstance(found, list)
    assert math.isnan(found[0])


@pytest.mark.parametrize(("data", "line", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_refused(data: bytes, line: int | None, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(data)
    assert (caught.value.line, caught.value.message) == (line, message)


HEAD = "version: 1\nmodels:\n"


@pytest.mark.parametrize(
    ("text", "line", "said", "excerpt"),
    [
        (
            f"{HEAD}  - path: models/a\n   source: x\n",
            4,
            f"did not find expected '-' indicator. {ABOVE}",
            "  3 |   - path: models/a\n  4 |    source: x\n    |    ^",
        ),
        (
            f'{HEAD}  - path: "models/a\n    source: x\n',
            3,
            "what begins here has no end.",
            '  2 | models:\n  3 |   - path: "models/a\n    |           ^',
        ),
        (
            f"{HEAD}  - path: models/a\n    source: https://h.test/x?token=hf_abcdefghijklmnopqrstuvwxyz0123456: x\n",
            4,
            f"mapping values are not allowed in this context. {ABOVE}",
            None,
        ),
    ],
)
def test_a_mistake_is_shown_with_its_line_and_the_one_above(
    text: str, line: int, said: str, excerpt: str | None
) -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(text.encode())
    assert (caught.value.line, caught.value.message) == (line, f"this is not YAML: {said}")
    if excerpt is not None:
        assert caught.value.excerpt == excerpt
    assert "hf_abc" not in caught.value.excerpt


def test_of_a_file_that_is_no_document_of_ours_nothing_is_shown() -> None:
    with pytest.raises(YamlError) as caught:
        parse_yaml(b"root:x:0:0: y: z\n  - a\nversion 1\n")
    assert caught.value.excerpt == ""


@given(st.text(max_size=300))
def test_any_mistake_can_be_shown(text: str) -> None:
    with contextlib.suppress(YamlError):
        parse_yaml(f"version: 1\n{text}".encode(errors="replace"))


@pytest.mark.parametrize("data", [b"", b"\n", b"# only a comment\n", b"\xef\xbb\xbf", b"---\n"])
def test_nothing(data: bytes) -> None:
    assert parse_yaml(data) is None


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbfa: 1\nb: [x]\n", b"a: 1\r\nb: [x]\r\n", b"a: 1\rb:\r- x", b"%YAML 1.2\n---\na: 1\nb: [x]\n..."],
)
def test_byte_order_mark_line_ends_and_directive(data: bytes) -> None:
    assert parse_yaml(data) == {"a": 1, "b": ["x"]}


def test_lines_of_keys_and_items() -> None:
    document = parse_yaml(b"# comment\nmodels:\n  - path: a\n    size: 1\n\n  - {path: b,\n     size: 2}\n")
    assert line_of(document, ()) == 2
    assert line_of(document, ("models",)) == 2
    assert line_of(document, ("models", 0)) == 3
    assert line_of(document, ("models", 0, "size")) == 4
    assert line_of(document, ("models", 1)) == 6
    assert line_of(document, ("models", 1, "size")) == 7


def test_the_line_of_what_is_not_there_is_that_of_what_holds_it() -> None:
    document = parse_yaml(b"\nmodels:\n  - path: a\n")
    assert line_of(document, ("models", 0, "source")) == 3
    assert line_of(document, ("models", 9)) == 2
    assert line_of("text", ("models",)) == 1


@given(st.binary(max_size=200) | st.text(alphabet=" \n\t-:[]{}'\"|>&*!%@`#,?a1.~\\", max_size=60).map(str.encode))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        parse_yaml(data)
    except YamlError as error:
        assert error.message.endswith(".")


printable = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20)
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | printable,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable, inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_json_is_read_as_json(document: object) -> None:
    assert parse_yaml(json.dumps(document, ensure_ascii=False).encode()) == document

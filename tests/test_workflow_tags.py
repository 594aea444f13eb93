"""LoRAs that texts load by ``<lora:…>`` tags: which classes read them, as which files, and over which links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefetch.comfyui.workflow.naming import FORMS, in_text, references, tags_in
from tests.support.drawn import TABLE, drawn, found_in, node

INK = "<lora:ink:0.8>"
NAMED: Mapping[str, tuple[str, str]] = {
    "tags-file": ("ink", "ink"),
    "tags-stem": ("ink", "**/ink.{safetensors,ckpt,pt,bin,…}"),
    "tags-beginning": ("ink", "**/ink*"),
    "tags-torch": ("ink.safetensors", "**/ink.safetensors"),
    "tags-safetensors": ("ink.safetensors", "**/ink.safetensors"),
    "tags-scheduled": ("ink", "**/ink.{safetensors,ckpt,pt,bin,…}"),
    "tags-whole": ("ink.safetensors", "ink.safetensors"),
    "lines-file": ("ink", "ink"),
    "lines-stem": ("ink", "**/ink.{safetensors,ckpt,pt,bin,…}"),
}
"""What each form makes of ``ink``: the name, and the files that will do."""

WHOLE = ("tags-file", "lines-file")
"""Forms that add nothing to a name."""


def api(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node in the server's form, beside an output that it leads to."""
    return {
        "1": {"class_type": kind, "inputs": inputs},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
    }


def loras(document: object) -> set[str]:
    """The LoRAs of a workflow, as it names them."""
    return {model.name for model in found_in(document).models if model.folder == "loras"}


READERS = [
    (kind, entry.name, entry.names, entry.switch.values[0] if entry.switch and entry.switch.values else None)
    for kind in sorted(TABLE.classes)
    for entry in TABLE.inputs(kind)
    if in_text(entry.names)
]


@pytest.mark.parametrize(("kind", "name", "form", "mode"), READERS)
def test_every_input_that_reads_tags(kind: str, name: str, form: str, mode: str | None) -> None:
    switch = next((entry.switch for entry in TABLE.inputs(kind) if entry.name == name), None)
    beside = {switch.name: mode} if switch is not None and mode else {}
    text = INK if form.startswith("lines-") else f"a cat, {INK}"
    found = found_in(api(kind, **{name: text}, **beside))
    if form in WHOLE:  # no ending is added, so none that ComfyUI lists is named
        assert [item.value for item in found.unresolved] == ["ink"]
        found = found_in(api(kind, **{name: text.replace("ink", "ink.safetensors")}, **beside))
    assert loras(api(kind, **{name: "" if form.startswith("lines-") else "no tag"}, **beside)) == set()
    assert [model.name for model in found.models] == [NAMED[form][0] if form not in WHOLE else "ink.safetensors"]
    assert found.unresolved == () and found.models[0].required


def test_each_form_names_files_as_its_node_does() -> None:
    said = {form: next(references(form, INK)) for form in FORMS if in_text(form)}
    assert {form: (one.name, str(one.any_of or one.name)) for form, one in said.items()} == NAMED


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("<lora:ink>", ["ink"]),
        ("<lora:ink:1>", ["ink"]),
        ("<lora:ink:0.5:0.7>", ["ink"]),
        ("<lora:ink:1:1:LBW=B11:0,0,0,A=1;B=2>", ["ink"]),
        ("<lora:ink:LBW=SD-OUTD;A=0;B=0>", ["ink"]),
        ("<lora:sub\\ink v2:1>", ["sub\\ink v2"]),
        ("<lora:ink:0>", []),
        ("<lora:ink:0:0.0>", []),
        ("<lora:ink:0:1>", ["ink"]),
        ("<lora:ink:-.5>", ["ink"]),
        ("{<lora:a:1>|<lora:b:1>}", ["a", "b"]),
        ("<lora:a:1><lora:a:0.5> BREAK <lora:b:1>", ["a", "b"]),
        ("[LAB]\n[ALL] <lora:ink:1>", ["ink"]),
        ("<lora:>", []),
        ("<lyco:ink:1> <lora ink:1>", []),
    ],
)
def test_what_is_a_tag(tag: str, expected: list[str]) -> None:
    assert tags_in(f"a cat {tag}") == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("tags-torch", ["yes.safetensors"]),
        ("tags-scheduled", ["yes"]),
        ("tags-stem", ["no", "yes"]),
        ("tags-safetensors", ["no.safetensors", "yes.safetensors"]),
    ],
)
def test_comments_are_those_of_the_node(form: str, expected: list[str]) -> None:
    assert [reference.name for reference in references(form, "  # <lora:no:1>\n<lora:yes:1>")] == expected


def test_names_in_lines() -> None:
    text = "# off:1\nstyles\\ink:0.5:0.7, <lora:two:1>\n // no:1\nthree # why\nzero:0\n\n"
    assert [reference.name for reference in references("lines-stem", text)] == ["styles/ink", "two", "three"]


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    for form in FORMS:
        if form != "page":
            for reference in references(form, text):
                assert reference.any_of is None or reference.any_of.choose(["a.pt", text]) is not None


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("populate", "wild"),
        ("fixed", "set"),
        ("reproduce", "set"),
        (True, "wild"),
        (False, "set"),
    ],
)
def test_which_of_two_texts_counts_is_a_mode(mode: object, expected: str) -> None:
    texts = {"wildcard_text": "<lora:wild:1>", "populated_text": "<lora:set:1>", "mode": mode}
    assert loras(api("ImpactWildcardEncode", **texts)) == {f"{expected}.safetensors"}
    values = ("<lora:wild:1>", "<lora:set:1>", mode, "Select the LoRA to add to the text", "x", 7, "randomize")
    assert loras(drawn([node(1, "ImpactWildcardEncode", values)])) == {f"{expected}.safetensors"}


def test_loras_may_be_disabled_as_a_whole() -> None:
    for insert, expected in (("CHOOSE", {"ink"}), ("DISABLE LORAS", set())):
        assert loras(api("Power Prompt (rgthree)", prompt=INK, insert_lora=insert)) == expected


def test_a_choice_that_only_writes_into_a_text_is_no_need() -> None:
    for kind, values in {
        "ToDetailerPipe": (INK, "other.safetensors", "Select the Wildcard to add to the text"),
        "ImpactWildcardEncode": (INK, "", "populate", "other.safetensors", "x", 1, "fixed"),
        "Power Prompt (rgthree)": (INK, "CHOOSE", "other.safetensors", "CHOOSE"),
    }.items():
        found = found_in(drawn([node(1, kind, values)]))
        assert [model.name.partition(".")[0] for model in found.models] == ["ink"], kind
        assert found.unresolved == ()


def test_a_prompt_at_another_position_is_read_all_the_same() -> None:
    values = (512, True, 1024, 5, "fixed", 20, 8.0, "euler", "normal", 0.5, INK, 1)
    assert loras(drawn([node(1, "FaceDetailer", values)])) == {"ink.safetensors"}


def test_a_loader_with_a_prompt_of_its_own() -> None:
    inputs = {"ckpt_name": "c.safetensors", "lora_name": "None", "positive": f"cat {INK}", "negative": "<lora:bad:1>"}
    found = found_in(api("easy fullLoader", **inputs))
    assert {(model.folder, model.name) for model in found.models} == {
        ("checkpoints", "c.safetensors"),
        ("loras", "ink.safetensors"),
        ("loras", "bad.safetensors"),
    }


class TestFollowed:
    """Texts that come over links."""

    def fed(self, kind: str, name: str, **makers: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **api(kind, **{name: ["m", 0]}),
            **{key: {"class_type": maker["kind"], "inputs": maker["inputs"]} for key, maker in makers.items()},
        }

    def test_from_a_constant_and_through_what_joins_and_shows(self) -> None:
        document = self.fed(
            "FaceDetailer",
            "wildcard",
            m={"kind": "ShowText|pysssss", "inputs": {"text": ["j", 0]}},
            j={
                "kind": "StringConcatenate",
                "inputs": {"string_a": ["a", 0], "string_b": "<lora:b:1>", "delimiter": " "},
            },
            a={"kind": "PrimitiveStringMultiline", "inputs": {"value": "<lora:a:1>"}},
        )
        assert loras(document) == {"a.safetensors", "b.safetensors"}
        assert found_in(document).warnings == ()

    def test_a_link_wins_over_the_widget(self) -> None:
        maker = node(2, "PrimitiveNode", ("<lora:fed:1>",), outputs=[("STRING", [50])])
        detailer = node(1, "ToDetailerPipe", ("<lora:own:1>",), inputs=[("wildcard", "STRING", 50, "wildcard")])
        assert loras(drawn([detailer, maker], [(50, 2, 0, 1, 0, "STRING")])) == {"fed.safetensors"}

    def test_the_text_of_a_node_of_an_unknown_class_counts_and_the_rest_is_said(self) -> None:
        document = self.fed("FaceDetailer", "wildcard", m={"kind": "LlmWriter", "inputs": {"before": INK}})
        found = found_in(document)
        assert [model.name for model in found.models] == ["ink.safetensors"]
        assert any("wildcard: it comes from LlmWriter (node m)" in warning for warning in found.warnings)
        assert found.unresolved == ()

    def test_a_text_that_is_there_for_its_tags_is_not_resolved(self) -> None:
        found = found_in(self.fed("LoraTagLoader", "text", m={"kind": "LlmWriter", "inputs": {}}))
        assert [(item.input, item.value) for item in found.unresolved] == [("text", None)]

    def test_a_loader_that_tells_what_it_loaded_is_asked_itself(self) -> None:
        rows = [{"name": "ink", "strength": 1, "active": True}]
        document = self.fed(
            "LoRA Text Loader (LoraManager)",
            "lora_syntax",
            m={"kind": "Lora Stacker (LoraManager)", "inputs": {"loras": rows}},
        )
        assert loras(document) == {"ink"} and found_in(document).unresolved == ()

    def test_texts_in_a_circle_end(self) -> None:
        document = self.fed(
            "FaceDetailer",
            "wildcard",
            m={"kind": "StringConcatenate", "inputs": {"string_a": ["n", 0], "string_b": INK}},
            n={"kind": "StringConcatenate", "inputs": {"string_a": ["m", 0], "string_b": ""}},
        )
        assert loras(document) == {"ink.safetensors"}


def test_tags_in_a_class_that_nobody_knows_are_said() -> None:
    found = found_in(api("NeverSeen", text=f"{INK} <lora:off:0>"))
    assert found.models == () and found.unresolved == ()
    assert found.warnings == (
        "NeverSeen (node 1): whether its class loads the LoRAs that its text names is not known: ink.",
    )


@pytest.mark.parametrize("kind", ["CLIPTextEncode", "PrimitiveString", "Note", "SaveImage"])
def test_where_no_tag_is_read_nothing_is_said(kind: str) -> None:
    found = found_in(api(kind, text=INK, value=INK))
    assert found.models == () and found.warnings == ()


@pytest.mark.parametrize(
    ("mode", "expected"), [("a1111", {"tag.safetensors"}), ("simple", {"line.safetensors", "more.safetensors"})]
)
def test_a_widget_says_in_which_form_a_text_is_read(mode: str, expected: set[str]) -> None:
    text = {
        "a1111": "a cat, <lora:tag.safetensors:1>",
        "simple": "line.safetensors:0.8,more.safetensors\n# no.safetensors\n//nor.safetensors:1",
    }[mode]
    assert loras(api("D2 Load Lora", prompt=text, mode=mode, insert_lora="CHOOSE")) == expected
    assert loras(drawn([node(1, "D2 Load Lora", (text, mode, "CHOOSE"))])) == expected

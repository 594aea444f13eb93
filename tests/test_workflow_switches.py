"""Switches: what a run takes is needed, what it leaves out is not, and where only the run can tell, that is told."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.commands import Commands
from tests.support.drawn import TABLE, drawn, end, found_in, node, paths

A, B, C = "loras/a.safetensors", "loras/b.safetensors", "loras/c.safetensors"
NAMES = {"a": A, "b": B, "c": C}

Row = tuple[str, dict[str, Any], list[str], str, int]


def numbered(kind: str, by: str, pattern: str, *, first: int, most: int) -> list[Row]:
    """A row for each input, by its number."""
    inputs = [pattern.format(n) for n in range(first, first + most)]
    return [(kind, {by: n}, inputs, pattern.format(n), 0) for n in range(first, first + most)]


def two(kind: str, by: str, yes: str, no: str) -> list[Row]:
    """A row for true and one for false."""
    return [(kind, {by: True}, [yes, no], yes, 0), (kind, {by: False}, [yes, no], no, 0)]


CRYSTOOLS = ["any", "conditioning", "image", "latent", "mask"]
IMPACT = ["ImpactSwitch", "LatentSwitch", "SEGSSwitch"]
WAS = {
    "CLIP": "clip", "CLIP Vision": "clip_vision", "Conditioning": "conditioning", "Control Net Model": "control_net",
    "Image": "image", "Latent": "latent", "Model": "model", "Number": "number", "Text": "text", "VAE": "vae",
}  # fmt: skip
COMFYROLL = {
    "Image": "image", "Latent": "latent", "Conditioning": "conditioning", "Clip": "clip", "Model": "model",
    "ControlNet": "control_net", "Text": "text", "VAE": "VAE",
}  # fmt: skip
ROWS: list[Row] = [
    *two("ComfySwitchNode", "switch", "on_true", "on_false"),
    *two("ComfySoftSwitchNode", "switch", "on_true", "on_false"),
    *two("LazySwitchKJ", "switch", "on_true", "on_false"),
    *(row for kind in CRYSTOOLS for row in two(f"Switch {kind} [Crystools]", "boolean", "on_true", "on_false")),
    *two("Switch string [Crystools]", "boolean", "on_true", "on_false"),
    *(row for kind in IMPACT for row in numbered(kind, "select", "input{}", first=1, most=3)),
    ("ImageMaskSwitch", {"select": 2}, ["images1", "images2_opt", "mask2_opt"], "images2_opt", 0),
    ("ImageMaskSwitch", {"select": 2}, ["mask1_opt", "images2_opt", "mask2_opt"], "mask2_opt", 1),
    ("ImageMaskSwitch", {"select": 4}, ["images1", "images4_opt"], "images4_opt", 0),
    *two("ImpactConditionalBranch", "cond", "tt_value", "ff_value"),
    *two("ImpactConditionalBranchSelMode", "cond", "tt_value", "ff_value"),
    *two("easy ifElse", "boolean", "on_true", "on_false"),
    *two("easy imageSwitch", "boolean", "image_a", "image_b"),
    *numbered("easy textSwitch", "input", "text{}", first=1, most=2),
    *numbered("easy anythingIndexSwitch", "index", "value{}", first=0, most=3),
    *numbered("easy imageIndexSwitch", "index", "image{}", first=0, most=2),
    *numbered("easy textIndexSwitch", "index", "text{}", first=0, most=2),
    *numbered("easy conditioningIndexSwitch", "index", "cond{}", first=0, most=2),
    *(row for k, n in COMFYROLL.items()
      for row in numbered(f"CR {k} Input Switch", "Input", f"{n}{{}}", first=1, most=2)),
    *numbered("CR Image Input Switch (4 way)", "Input", "image{}", first=1, most=3),
    ("CR Image Input Switch (4 way)", {"Input": 4}, ["image1", "image4"], "image4", 0),
    *numbered("CR Text Input Switch (4 way)", "Input", "text{}", first=1, most=3),
    *numbered("CR Pipe Switch", "Input", "pipe{}", first=1, most=2),
    ("CR Switch Model and CLIP", {"Input": 2}, ["model1", "model2"], "model2", 0),
    ("CR Switch Model and CLIP", {"Input": 1}, ["clip1", "clip2"], "clip1", 1),
    ("CR Img2Img Process Switch", {"Input": "txt2img"}, ["txt2img", "img2img"], "txt2img", 0),
    ("CR Img2Img Process Switch", {"Input": "img2img"}, ["txt2img", "img2img"], "img2img", 0),
    ("CR Hires Fix Process Switch", {"Input": "image_upscale"},
     ["latent_upscale", "image_upscale"], "image_upscale", 0),
    ("CR Batch Process Switch", {"Input": "image batch"}, ["image", "image_batch"], "image_batch", 0),
    *(row for k, n in WAS.items() for row in two(f"{k} Input Switch", "boolean", f"{n}_a", f"{n}_b")),
    *two("Upscale Model Switch", "boolean", "upscale_model_a", "upscale_model_b"),
    ("Lora Input Switch", {"boolean": False}, ["model_a", "model_b"], "model_b", 0),
    ("Lora Input Switch", {"boolean": True}, ["clip_a", "clip_b"], "clip_a", 1),
    *two("If ANY return A else B-🔬", "ANY", "IF_TRUE", "IF_FALSE"),
    *two("LayerUtility: If ", "if_condition", "when_TRUE", "when_FALSE"),
    ("LayerUtility: SwitchCase", {"switch_condition": "x", "case_1": "x"}, ["input_1", "input_default"], "input_1", 0),
    ("LayerUtility: SwitchCase", {"switch_condition": "x", "case_1": "y", "case_2": "x", "case_3": "x"},
     ["input_1", "input_2", "input_3", "input_default"], "input_2", 0),
    ("LayerUtility: SwitchCase", {"switch_condition": "z", "case_1": "y"},
     ["input_1", "input_default"], "input_default", 0),
    ("LayerUtility: SwitchCase", {"switch_condition": "y", "case_1": "y"},
     ["input_2", "input_default"], "input_default", 0),
]  # fmt: skip


def test_every_switch_of_the_table_has_a_row() -> None:
    assert {kind for kind, *_ in ROWS} | {"Any Switch (rgthree)"} == set(TABLE.switches)


def lora(number: int, name: str, link: int | None = None, **more: Any) -> dict[str, Any]:
    """A loader of nothing but a LoRA."""
    return node(number, "CreateHookLora", (name, 1, 1), outputs=[("HOOKS", [] if link is None else [link])], **more)


def hook(name: str) -> dict[str, Any]:
    return {"class_type": "CreateHookLora", "inputs": {"lora_name": name}}


def needed(document: object) -> dict[str, str]:
    return {f"{model.folder}/{model.name}": model.needed_for for model in found_in(document).models}


@pytest.mark.parametrize(("kind", "said", "inputs", "taken", "output"), ROWS)
def test_the_branch_that_is_taken(kind: str, said: dict[str, Any], inputs: list[str], taken: str, output: int) -> None:
    """As the server gets it: names in the inputs."""
    api: dict[str, Any] = {f"l{name}": hook(f"{name}.safetensors") for name in inputs}
    api["1"] = {"class_type": kind, "inputs": {**{name: [f"l{name}", 0] for name in inputs}, **said}}
    api["9"] = {"class_type": "SaveSomething", "inputs": {"in": ["1", output]}}
    # The other outputs' inputs belong to the same choice.
    partners = {"mask2_opt", "images2_opt"} if kind == "ImageMaskSwitch" else set()
    expected = {
        f"loras/{name}.safetensors": "run" if name == taken or {name, taken} <= partners else "queue" for name in inputs
    }
    assert needed(api) == expected


@pytest.mark.parametrize(("kind", "said", "inputs", "taken", "output"), ROWS)
def test_the_name_that_is_taken(kind: str, said: dict[str, Any], inputs: list[str], taken: str, output: int) -> None:
    """Texts instead of what is loaded: they come to the name of a loader."""
    text = "PrimitiveString"
    api: dict[str, Any] = {
        f"l{name}": {"class_type": text, "inputs": {"value": f"{name}.safetensors"}} for name in inputs
    }
    api["1"] = {"class_type": kind, "inputs": {**{name: [f"l{name}", 0] for name in inputs}, **said}}
    api["2"] = {"class_type": "CreateHookLora", "inputs": {"lora_name": ["1", output]}}
    api["9"] = {"class_type": "SaveSomething", "inputs": {"in": ["2", 0]}}
    assert needed(api) == {f"loras/{taken}.safetensors": "run"}
    assert found_in(api).unresolved == ()


def switched(
    kind: str, values: object, *slots: str, selector: dict[str, Any] | None = None, by: str = "", **more: Any
) -> dict[str, Any]:
    """Loaders 1, 2, … of a, b, … at the inputs of switch 7 with these values, as the page draws it; 6 decides."""
    inputs: list[tuple[Any, ...]] = [(name, "HOOKS", 10 + at) for at, name in enumerate(slots)]
    nodes = [
        lora(1 + at, f"{letter}.safetensors", 10 + at) for at, letter in zip(range(len(slots)), "abc", strict=False)
    ]
    links: list[tuple[Any, ...]] = [(10 + at, 1 + at, 0, 7, at, "HOOKS") for at in range(len(slots))]
    if selector is not None:
        inputs.append((by, "INT", 60, by))
        links.append((60, selector["id"], 0, 7, len(slots), "INT"))
        nodes.append(selector)
    switch = node(7, kind, values, inputs=inputs, outputs=[("HOOKS", [90])])
    extra_nodes, extra_links = more.pop("nodes", []), more.pop("links", [])
    return drawn(
        [*nodes, switch, *extra_nodes, end(9, 90, "HOOKS")], [*links, *extra_links, (90, 7, 0, 9, 0, "HOOKS")], **more
    )


@pytest.mark.parametrize(
    ("kind", "values", "slots", "taken"),
    [
        ("ComfySwitchNode", (True,), ("on_false", "on_true"), B),
        ("ComfySwitchNode", (False,), ("on_false", "on_true"), A),
        ("LazySwitchKJ", [True], ("on_false", "on_true"), B),
        ("ImpactSwitch", (2, False), ("input1", "input2", "input3"), B),
        ("ImpactSwitch", {"select": 3, "sel_mode": False}, ("input1", "input2", "input3"), C),
        ("easy anythingIndexSwitch", (0,), ("value0", "value1"), A),
        ("easy ifElse", (False,), ("on_true", "on_false"), B),
        ("CR Model Input Switch", (2,), ("model1", "model2"), B),
        ("CR Image Input Switch (4 way)", (3.0,), ("image1", "image2", "image3"), C),
        ("LayerUtility: SwitchCase", ("x", "y", "x", ""), ("input_default", "input_1", "input_2"), C),
        ("Any Switch (rgthree)", (), ("any_01", "any_02"), A),
    ],
)  # fmt: skip
def test_values_by_position(kind: str, values: object, slots: tuple[str, ...], taken: str) -> None:
    found = needed(switched(kind, values, *slots))
    assert found == {path: "run" if path == taken else "queue" for path in list(NAMES.values())[: len(slots)]}


SPLITS = [
    ("ImpactInversedSwitch", "input", {"select": 2}, 1, True),
    ("easy anythingInversedSwitch", "in", {"index": 0}, 0, True),
    ("Switch from any [Crystools]", "any", {"boolean": False}, 1, False),
]


def test_every_split_of_the_table_has_a_row() -> None:
    assert {kind for kind, *_ in SPLITS} == set(TABLE.splits)


@pytest.mark.parametrize(("kind", "of", "said", "taken", "blocks"), SPLITS)
def test_what_stands_behind_the_output_that_is_not_taken(
    kind: str, of: str, said: dict[str, Any], taken: int, blocks: bool
) -> None:
    loader = {"lora_name": "x", "strength_model": 1, "strength_clip": 1}
    api: dict[str, Any] = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "c.safetensors"}},
        "2": {"class_type": kind, "inputs": {of: ["1", 0], **said}},
        "9": {"class_type": "SaveSomething", "inputs": {"a": ["30", 0]}},
        "10": {"class_type": "SaveSomething", "inputs": {"a": ["31", 0]}},
    }
    for output, name in enumerate(("a", "b")):
        loads = {**loader, "lora_name": f"{name}.safetensors", "model": ["2", output], "clip": ["1", 1]}
        api[f"3{output}"] = {"class_type": "LoraLoader", "inputs": loads}
    other = "queue" if blocks else "run"
    expected = {A: other, B: other, "checkpoints/c.safetensors": "run"} | {(A, B)[taken]: "run"}
    assert needed(api) == expected


@pytest.mark.parametrize(("kind", "of", "said", "taken", "blocks"), SPLITS)
def test_a_name_that_is_handed_on_by_a_split(
    kind: str, of: str, said: dict[str, Any], taken: int, blocks: bool
) -> None:
    api: dict[str, Any] = {
        "1": {"class_type": "PrimitiveString", "inputs": {"value": "a.safetensors"}},
        "2": {"class_type": kind, "inputs": {of: ["1", 0], **said}},
        "3": {"class_type": "CreateHookLora", "inputs": {"lora_name": ["2", taken]}},
        "9": {"class_type": "SaveSomething", "inputs": {"in": ["3", 0]}},
    }
    assert needed(api) == {A: "run"}


@pytest.mark.parametrize("kind", IMPACT)
@pytest.mark.parametrize(
    ("more", "expected"), [({}, "queue"), ({"sel_mode": False}, "queue"), ({"sel_mode": True}, "nothing")]
)
def test_a_branch_whose_link_is_cut_before_comfyui_looks(kind: str, more: dict[str, Any], expected: str) -> None:
    inputs = {"select": 2, "input1": ["a", 0], "input2": ["b", 0], **more}
    api = {
        "a": hook("a.safetensors"),
        "b": hook("b.safetensors"),
        "1": {"class_type": kind, "inputs": inputs},
        "9": {"class_type": "SaveSomething", "inputs": {"in": ["1", 0]}},
    }
    assert needed(api) == {A: expected, B: "run"}


class TestWhatDecides:
    def by(self, selector: dict[str, Any], **more: Any) -> dict[str, str]:
        """``b`` is the second; the switch's own widget says the first."""
        return needed(switched("ImpactSwitch", (1, False), "input1", "input2", selector=selector, by="select", **more))

    SECOND = {A: "queue", B: "run"}  # noqa: RUF012
    BOTH = {A: "queue", B: "queue"}  # noqa: RUF012

    @pytest.mark.parametrize(
        "kind", ["PrimitiveInt", "PrimitiveNode", "INTConstant", "ImpactInt", "easy int", "CR Value"]
    )
    def test_a_number_that_stands_somewhere(self, kind: str) -> None:
        assert self.by(node(6, kind, (2, "fixed"), outputs=[("INT", [60])])) == self.SECOND

    @pytest.mark.parametrize("after", ["randomize", "increment", "decrement"])
    def test_a_number_that_changes_with_each_run(self, after: str) -> None:
        assert self.by(node(6, "PrimitiveNode", (2, after), outputs=[("INT", [60])])) == self.BOTH

    def test_a_number_that_is_made(self) -> None:
        assert self.by(node(6, "CountFaces", (2,), outputs=[("INT", [60])])) == self.BOTH

    def test_what_all_branches_need_is_needed(self) -> None:
        """``c`` is behind both of the loaders of which a run takes one; the manifest has all three."""
        maker = node(6, "CountFaces", outputs=[("INT", [60])])
        document = switched("ImpactSwitch", (1, False), "input1", "input2", selector=maker, by="select")
        for loader, link in ((document["nodes"][0], 31), (document["nodes"][1], 32)):
            loader["inputs"] = [{"name": "prev_hooks", "type": "HOOKS", "link": link}]
        document["nodes"].append(lora(20, "c.safetensors", 31))
        document["links"] += [[31, 20, 0, 1, 0, "HOOKS"], [32, 20, 0, 2, 0, "HOOKS"]]
        assert needed(document) == {A: "queue", B: "queue", C: "run"}

    def test_two_undecided_switches(self) -> None:
        """``a`` is behind a branch of both, ``b`` and ``c`` behind one each."""
        maker = node(6, "CountFaces", outputs=[("INT", [60])])
        nodes = [lora(1, "a.safetensors", 10), lora(2, "b.safetensors", 11), lora(3, "c.safetensors", 12), maker]
        for number, other, out in ((7, 11, 70), (8, 12, 71)):
            inputs = [("input1", "HOOKS", 10 * number), ("input2", "HOOKS", other), ("select", "INT", 60, "select")]
            nodes.append(node(number, "ImpactSwitch", (1,), inputs=inputs, outputs=[("HOOKS", [out])]))
        links = [(70, 1, 0, 7, 0, "X"), (80, 1, 0, 8, 0, "X"), (11, 2, 0, 7, 1, "X"), (12, 3, 0, 8, 1, "X")]
        links += [(60, 6, 0, 7, 2, "INT"), (90, 7, 0, 9, 0, "X"), (91, 8, 0, 19, 0, "X")]
        document = drawn([*nodes, end(9, 90), end(19, 91)], links)
        assert needed(document) == {A: "queue", B: "queue", C: "queue"}

    def test_a_number_that_is_handed_on(self) -> None:
        nodes = [
            node(11, "PrimitiveInt", (2, "fixed"), outputs=[("INT", [61])]),
            node(12, "SetNode", ("n",), inputs=[("INT", "INT", 61)], outputs=[("*", [])]),
            node(13, "GetNode", ("n",), outputs=[("INT", [62])]),
            node(14, "easy int", (1,), inputs=[("value", "INT", 62, "value")], outputs=[("INT", [63])]),
        ]
        links = [(61, 11, 0, 12, 0, "INT"), (62, 13, 0, 14, 0, "INT"), (63, 14, 0, 6, 0, "INT")]
        reroute = node(6, "Reroute", inputs=[("", "*", 63)], outputs=[("INT", [60])])
        assert self.by(reroute, nodes=nodes, links=links) == self.SECOND

    def test_a_link_in_the_air_leaves_the_widget(self) -> None:
        muted = node(6, "PrimitiveInt", (2, "fixed"), outputs=[("INT", [60])], mode=2)
        assert self.by(muted) == {A: "run", B: "queue"}

    def test_a_number_that_another_switch_takes(self) -> None:
        nodes = [
            node(11, "PrimitiveInt", (1,), outputs=[("INT", [61])]),
            node(12, "easy int", (2,), outputs=[("INT", [62])]),
        ]
        links = [(61, 11, 0, 6, 0, "INT"), (62, 12, 0, 6, 1, "INT")]
        inputs = [("on_true", "INT", 61), ("on_false", "INT", 62)]
        chooser = node(6, "easy ifElse", (False,), inputs=inputs, outputs=[("INT", [60])])
        assert self.by(chooser, nodes=nodes, links=links) == self.SECOND

    def test_what_a_subgraphs_host_says(self) -> None:
        inner = switched("ImpactSwitch", (1, False), "input1", "input2")
        switch = inner["nodes"][2]
        switch["inputs"].append({"name": "select", "type": "INT", "link": 60, "widget": {"name": "select"}})
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        links = [*inner["links"][:2], (60, -10, 0, 7, 2, "INT"), (90, 7, 0, -20, 0, "HOOKS")]
        definition = {
            "id": "sub",
            "nodes": inner["nodes"][:3],
            "links": [dict(zip(names, link, strict=True)) for link in links],
            "inputs": [{"name": "select", "type": "INT", "linkIds": [60]}],
            "outputs": [{"name": "HOOKS", "type": "HOOKS", "linkIds": [90]}],
        }
        host = node(1, "sub", (2,), outputs=[("HOOKS", [90])])
        document = drawn([host, end(9, 90)], [(90, 1, 0, 9, 0, "HOOKS")], definitions={"subgraphs": [definition]})
        assert needed(document) == self.SECOND

    def test_an_input_that_the_version_does_not_have(self) -> None:
        assert needed(switched("LatentSwitch", (2,), "latent1", "latent2")) == {A: "run", B: "run"}

    def test_the_one_that_is_there(self) -> None:
        assert needed(switched("ComfySoftSwitchNode", (True,), "on_false")) == {A: "run"}


class TestFirstOfSeveral:
    def any(self, *modes: int, nodes: list[dict[str, Any]] | None = None) -> dict[str, str]:
        document = switched("Any Switch (rgthree)", (), *(f"any_0{n}" for n in range(1, len(modes) + 1)))
        for loader, mode in zip(document["nodes"], modes, strict=False):
            loader["mode"] = mode
        return needed(document)

    def test_the_first_is_taken(self) -> None:
        assert self.any(0, 0, 0) == {A: "run", B: "queue", C: "queue"}

    @pytest.mark.parametrize("mode", [2, 4])
    def test_a_muted_or_bypassed_branch_is_skipped(self, mode: int) -> None:
        assert self.any(mode, 0, 0) == {B: "run", C: "queue"}
        assert self.any(mode, mode, 0) == {C: "run"}
        assert self.any(mode, mode, mode) == {}

    def test_a_branch_that_is_muted_behind_another_switch(self) -> None:
        document = switched("Any Switch (rgthree)", (), "any_01", "any_02")
        first = node(20, "Any Switch (rgthree)", inputs=[("any_01", "HOOKS", 10)], outputs=[("HOOKS", [70])])
        document["nodes"][0]["mode"] = 2
        document["nodes"].append(first)
        document["links"][0][3] = 20
        document["nodes"][2]["inputs"][0]["link"] = 70
        document["links"].append([70, 20, 0, 7, 0, "HOOKS"])
        assert needed(document) == {B: "run"}

    def test_a_bypassed_node_on_the_way_hands_on(self) -> None:
        document = switched("Any Switch (rgthree)", (), "any_01", "any_02")
        between = node(20, "HookThing", inputs=[("hooks", "HOOKS", 10)], outputs=[("HOOKS", [70])], mode=4)
        document["nodes"].append(between)
        document["links"][0][3] = 20
        document["nodes"][2]["inputs"][0]["link"] = 70
        document["links"].append([70, 20, 0, 7, 0, "HOOKS"])
        assert needed(document) == {A: "run", B: "queue"}


def texts(*letters: str) -> list[dict[str, Any]]:
    """Nodes 1, 2, … that hand out names."""
    return [
        node(1 + at, "PrimitiveString", (f"{letter}.safetensors",), outputs=[("STRING", [10 + at])])
        for at, letter in enumerate(letters)
    ]


def named_by(
    switch: dict[str, Any], *nodes: dict[str, Any], links: list[tuple[Any, ...]], output: int = 0
) -> dict[str, Any]:
    """Loader 8, whose name comes from switch 7."""
    loader = lora(8, "own.safetensors", 90)
    loader["inputs"] = [{"name": "lora_name", "type": "COMBO", "link": 70, "widget": {"name": "lora_name"}}]
    both = [(70, 7, output, 8, 0, "COMBO"), (90, 8, 0, 9, 0, "HOOKS")]
    return drawn([*nodes, switch, loader, end(9, 90, "HOOKS")], [*links, *both])


class TestNames:
    LINKS = [(10, 1, 0, 7, 0, "STRING"), (11, 2, 0, 7, 1, "STRING"), (12, 3, 0, 7, 2, "INT")]  # noqa: RUF012

    def switch(self, values: tuple[object, ...], *more: tuple[Any, ...]) -> dict[str, Any]:
        inputs = [("input1", "STRING", 10), ("input2", "STRING", 11), *more]
        return node(7, "ImpactSwitch", values, inputs=inputs, outputs=[("*", [70])])

    def test_the_one_that_is_taken(self) -> None:
        found = found_in(named_by(self.switch((2, False)), *texts("a", "b"), links=self.LINKS[:2]))
        assert [(m.name, m.required, m.nodes) for m in found.models] == [("b.safetensors", True, ("8",))]
        assert found.unresolved == ()

    def test_where_only_a_run_can_tell_all_are_told(self) -> None:
        maker = node(3, "CountFaces", outputs=[("INT", [12])])
        switch = self.switch((2, False), ("select", "INT", 12, "select"))
        found = found_in(named_by(switch, *texts("a", "b"), maker, links=self.LINKS))
        assert [(m.folder, m.name, m.required, m.needed_for) for m in found.models] == [
            ("loras", "a.safetensors", False, "choice"),
            ("loras", "b.safetensors", False, "choice"),
        ]
        told = [(item.node, item.input, item.value) for item in found.unresolved]
        assert told == [("8", "lora_name", None)]
        assert "ImpactSwitch (node 7)" in found.unresolved[0].reason
        assert "models/loras/a.safetensors or models/loras/b.safetensors" in found.unresolved[0].reason

    def test_one_branch_that_is_made_and_one_that_stands_there(self) -> None:
        maker = node(3, "CountFaces", outputs=[("INT", [12])])
        reader = node(2, "SDPromptReader", outputs=[("STRING", [11])])
        switch = self.switch((2, False), ("select", "INT", 12, "select"))
        found = found_in(named_by(switch, *texts("a"), reader, maker, links=self.LINKS))
        assert [(m.name, m.needed_for) for m in found.models] == [("a.safetensors", "choice")]
        assert len(found.unresolved) == 1

    def test_branches_that_all_say_the_same(self) -> None:
        maker = node(3, "CountFaces", outputs=[("INT", [12])])
        switch = self.switch((2, False), ("select", "INT", 12, "select"))
        found = found_in(named_by(switch, *texts("a", "a"), maker, links=self.LINKS))
        assert [(m.name, m.required) for m in found.models] == [("a.safetensors", True)]

    def test_a_name_that_is_no_need_is_none(self) -> None:
        maker = node(3, "CountFaces", outputs=[("INT", [12])])
        switch = self.switch((2, False), ("select", "INT", 12, "select"))
        nodes = texts("a", "b")
        nodes[0]["widgets_values"] = ["None"]
        found = found_in(named_by(switch, *nodes, maker, links=self.LINKS))
        assert [(m.name, m.needed_for) for m in found.models] == [("b.safetensors", "choice")]

    def test_names_in_the_switchs_own_widgets(self) -> None:
        for chosen, taken in ((True, "a"), (False, "b")):
            values = ("a.safetensors", "b.safetensors", chosen)
            switch = node(7, "Switch string [Crystools]", values, outputs=[("STRING", [70])])
            found = found_in(named_by(switch, links=[]))
            assert [m.name for m in found.models] == [f"{taken}.safetensors"]
            assert found.unresolved == ()

    def test_a_tag_in_a_text_that_is_not_taken_loads_nothing(self) -> None:
        nodes = [
            node(n, "PrimitiveString", (f"<lora:{letter}:1>",), outputs=[("STRING", [9 + n])])
            for n, letter in ((1, "a"), (2, "b"))
        ]
        slots = [("text1", "STRING", 10), ("text2", "STRING", 11)]
        switch = node(7, "CR Text Input Switch", (2,), inputs=slots, outputs=[("STRING", [70])])
        wildcard = node(8, "ImpactWildcardEncode", ("", ""), outputs=[("CONDITIONING", [90])])
        wildcard["inputs"] = [
            {"name": "wildcard_text", "type": "STRING", "link": 70, "widget": {"name": "wildcard_text"}},
            {"name": "populated_text", "type": "STRING", "link": 71, "widget": {"name": "populated_text"}},
        ]
        links = [*self.LINKS[:2], (70, 7, 0, 8, 0, "STRING"), (71, 7, 0, 8, 1, "STRING"), (90, 8, 0, 9, 0, "X")]
        models = found_in(drawn([*nodes, switch, wildcard, end(9, 90)], links)).models
        assert {model.name.removesuffix(".safetensors") for model in models} == {"b"}


class TestContexts:
    def context(self, number: int, kind: str, links: dict[str, int], out: int) -> dict[str, Any]:
        inputs = [(name, "*", link) for name, link in links.items()]
        return node(number, kind, inputs=inputs, outputs=[("CONTEXT", [out])])

    CKPT = 12
    """The output of a big context that hands on ``ckpt_name``."""

    def test_a_context_hands_on_what_came_in_by_the_name(self) -> None:
        big = self.context(7, "Context Big (rgthree)", {"sampler": 11, "ckpt_name": 10}, 70)
        links = [(10, 1, 0, 7, 1, "*"), (11, 2, 0, 7, 0, "*")]
        assert paths(named_by(big, *texts("a", "b"), links=links, output=self.CKPT)) == {A: True}

    def test_what_it_lacks_came_in_its_base(self) -> None:
        base = self.context(3, "Context Big (rgthree)", {"ckpt_name": 10}, 71)
        big = self.context(7, "Context Big (rgthree)", {"base_ctx": 71, "ckpt_name": 99}, 70)
        links = [(10, 1, 0, 3, 0, "*"), (71, 3, 0, 7, 0, "*")]
        assert paths(named_by(big, *texts("a"), base, links=links, output=self.CKPT)) == {A: True}

    def chain(self, kind: str, first: dict[str, int], second: dict[str, int]) -> dict[str, bool]:
        contexts = [
            self.context(3, "Context Big (rgthree)", first, 71),
            self.context(4, "Context Big (rgthree)", second, 72),
            self.context(7, kind, {"ctx_01": 71, "ctx_02": 72}, 70),
        ]
        links = [(10, 1, 0, 3, 0, "*"), (11, 2, 0, 4, 0, "*"), (71, 3, 0, 7, 0, "*"), (72, 4, 0, 7, 1, "*")]
        return paths(named_by(contexts[2], *texts("a", "b"), *contexts[:2], links=links, output=self.CKPT))

    def test_a_context_switch_takes_the_first_that_holds_anything(self) -> None:
        kind = "Context Switch Big (rgthree)"
        assert self.chain(kind, {"ckpt_name": 10}, {"ckpt_name": 11}) == {A: True}
        assert self.chain(kind, {}, {"ckpt_name": 11}) == {B: True}

    def test_a_merge_takes_the_last_that_holds_it(self) -> None:
        kind = "Context Merge Big (rgthree)"
        assert self.chain(kind, {"ckpt_name": 10}, {"ckpt_name": 11}) == {B: True}
        assert self.chain(kind, {"ckpt_name": 10}, {"sampler": 11}) == {A: True}

    def test_all_that_a_context_is_given_is_loaded(self) -> None:
        loaders = [lora(1, "a.safetensors", 10), lora(2, "b.safetensors", 11)]
        context = self.context(7, "Context (rgthree)", {"model": 10, "vae": 11}, 90)
        links = [(10, 1, 0, 7, 0, "*"), (11, 2, 0, 7, 1, "*"), (90, 7, 1, 9, 0, "*")]
        assert needed(drawn([*loaders, context, end(9, 90)], links)) == {A: "run", B: "run"}

    def test_a_context_switch_leaves_the_others_out(self) -> None:
        loaders = [lora(1, "a.safetensors", 10), lora(2, "b.safetensors", 11)]
        contexts = [
            self.context(3, "Context (rgthree)", {"model": 10}, 71),
            self.context(4, "Context (rgthree)", {"model": 11}, 72),
            self.context(7, "Context Switch (rgthree)", {"ctx_01": 71, "ctx_02": 72}, 90),
        ]
        links = [(10, 1, 0, 3, 0, "*"), (11, 2, 0, 4, 0, "*"), (71, 3, 0, 7, 0, "*"), (72, 4, 0, 7, 1, "*")]
        document = drawn([*loaders, *contexts, end(9, 90)], [*links, (90, 7, 1, 9, 0, "*")])
        assert needed(document) == {A: "run", B: "queue"}
        document["nodes"][0]["mode"] = 2
        assert needed(document) == {B: "run"}


def test_a_row_that_a_linked_number_counts() -> None:
    rows = ("simple", 3, "a.safetensors", 1, 1, 1, "b.safetensors", 1, 1, 1)
    stacker = node(2, "LoRA Stacker", rows, outputs=[("LORA_STACK", [90])])
    stacker["inputs"] = [{"name": "lora_count", "type": "INT", "link": 60, "widget": {"name": "lora_count"}}]
    number = node(1, "PrimitiveInt", (1, "fixed"), outputs=[("INT", [60])])
    links = [(60, 1, 0, 2, 0, "INT"), (90, 2, 0, 9, 0, "LORA_STACK")]
    assert needed(drawn([number, stacker, end(9, 90)], links)) == {A: "run"}


@st.composite
def choices(draw: st.DrawFn) -> list[tuple[int, ...]]:
    """For each of some nodes, in a row, those before it that it asks; of the first three, which load files, none."""
    asked = [st.lists(st.integers(0, number - 1), min_size=1, max_size=3, unique=True) for number in range(3, 8)]
    return [(), (), (), *(tuple(draw(asks)) for asks in asked[: draw(st.integers(1, len(asked)))])]


@given(choices(), st.sets(st.integers(3, 7)))
def test_what_every_choice_needs_is_what_trying_them_all_needs(row: list[tuple[int, ...]], undecided: set[int]) -> None:
    """The last node is the output; those of ``undecided`` take one of what they ask, the others need it all."""
    undecided &= set(range(3, len(row)))
    nodes, links = [node(99, "CountFaces", outputs=[("INT", [])])], []
    for number, asked in enumerate(row):
        inputs: list[tuple[Any, ...]] = [(f"input{at}", "*", number * 10 + at) for at in range(len(asked))]
        links += [(number * 10 + at, origin, 0, number, at, "*") for at, origin in enumerate(asked)]
        kind = "ImpactSwitch" if number in undecided else "LatentThing"
        if number in undecided:
            links.append((number * 10 + 9, 99, 0, number, len(inputs), "INT"))
            inputs.append(("select", "INT", number * 10 + 9, "select"))
        made = node(number, kind, (1,), inputs=inputs, outputs=[("LATENT", [])])
        nodes.append(made if number > 2 else lora(number, f"{'abc'[number]}.safetensors"))
    last = len(row) - 1
    links.append((900, last, 0, 98, 0, "*"))
    found = needed(drawn([*nodes, end(98, 900)], links))

    def loaded(chosen: dict[int, int]) -> set[int]:
        pending, seen = [last], set[int]()
        while pending:
            if (one := pending.pop()) not in seen:
                seen.add(one)
                pending += [chosen[one]] if one in chosen else row[one]
        return seen

    ways = [
        loaded(dict(zip(sorted(undecided), way, strict=True)))
        for way in product(*(row[number] for number in sorted(undecided)))
    ]
    for number, path in enumerate((A, B, C)):
        assert (found[path] == "run") == all(number in way for way in ways)
        assert (found[path] == "nothing") == all(number not in way for way in ways)


class TestFromOutside:
    """Two LoRAs behind a switch of one's own that takes the second."""

    @pytest.fixture
    def workflow(self, tmp_path: Path) -> Path:
        file = tmp_path / "w.json"
        file.write_text(json.dumps(switched("MySwitch", (2,), "way_1", "way_2")))
        (tmp_path / "mine.yaml").write_text('version: 1\nswitches:\n  MySwitch: {by: which @ 0, "*": way_*}')
        return file

    def test_what_is_left_out_is_told_apart(self, commands: Commands, workflow: Path) -> None:
        table = workflow.with_name("mine.yaml")
        told = commands.run("workflow", "models", workflow, "--loaders", table)
        lines = {line.split()[0]: line for line in told.stdout.splitlines() if "models/" in line}
        assert "a switch leaves it out" in lines[f"models/{A}"] and "switch" not in lines[f"models/{B}"]
        (document,) = json.loads(commands.run("workflow", "models", workflow, "--loaders", table, "--json").stdout)
        said = {model["name"]: (model["required"], model["needed_for"]) for model in document["models"]}
        assert said == {"a.safetensors": (False, "queue"), "b.safetensors": (True, "run")}

    def test_a_manifest_has_it_all_the_same(self, commands: Commands, workflow: Path) -> None:
        # ComfyUI looks at the names of all linked nodes before it takes a workflow.
        table, manifest = workflow.with_name("mine.yaml"), workflow.with_name("m.yaml")
        rows = [f"  - {{path: models/{path}, source: 'https://example.com/{path}'}}\n" for path in (A, B)]
        catalog = workflow.with_name("catalog.yaml")
        catalog.write_text(f"version: 1\nmodels:\n{''.join(rows)}")
        given = ("--loaders", table, "--catalog", catalog, "-o", manifest)
        made = commands.run("workflow", "manifest", workflow, *given)
        assert made.returncode == 0, made.stderr
        written = yaml.safe_load(manifest.read_text())["models"]
        assert {model["path"] for model in written} == {f"models/{A}", f"models/{B}"}
        assert commands.run("workflow", "check", workflow, "--loaders", table, "--manifest", manifest).returncode == 0
        catalog.write_text(f"version: 1\nmodels:\n{rows[1]}")
        assert commands.run("workflow", "check", workflow, "--loaders", table, "--manifest", catalog).returncode == 1


class TestStrangers:
    def test_a_switch_that_waits_for_itself(self) -> None:
        inputs = [("input1", "*", 70), ("input2", "*", 10), ("select", "INT", 70, "select")]
        switch = node(7, "ImpactSwitch", (1,), inputs=inputs, outputs=[("*", [70])])
        links = [(10, 1, 0, 7, 1, "*"), (71, 7, 0, 7, 0, "*")]
        found = found_in(named_by(switch, *texts("a"), links=links))
        assert {model.name for model in found.models} <= {"a.safetensors", "own.safetensors"}

    @pytest.mark.parametrize(("kind", "slot"), [("Any Switch (rgthree)", "any_01"), ("ImpactSwitch", "input1")])
    def test_a_long_chain(self, kind: str, slot: str) -> None:
        chain = [
            node(n, kind, (1,), inputs=[(slot, "*", n), ("any_02", "*", n)], outputs=[("*", [n + 1])])
            for n in range(2, 4000)
        ]
        links = [(n + 1, n, 0, n + 1, 0, "*") for n in range(1, 4000)]
        document = drawn([lora(1, "a.safetensors", 2), *chain, end(4000, 4000)], links)
        assert needed(document) == {A: "run"}

    def test_a_long_chain_of_deciders(self) -> None:
        chain = [
            node(n, "ImpactSwitch", (1,), inputs=[("input1", "*", 10), ("select", "INT", n + 1, "select")])
            for n in range(100, 400)
        ]
        links = [(n + 1, n + 1, 0, n, 1, "INT") for n in range(100, 400)]
        found_in(drawn([*chain, lora(1, "a.safetensors", 10)], links))

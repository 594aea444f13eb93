"""What makes reading a workflow hard: for each trap a graph where a wrong rule gives a wrong answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from prefetch.comfyui.workflow import models_in
from tests.support.drawn import TABLE, drawn, end, found_in, instance, names, node, paths

INNER, HOST = "inner.safetensors", "host.safetensors"


def unet(number: int = 1, name: str = "a.safetensors", links: tuple[int, ...] = (90,), **more: Any) -> dict[str, Any]:
    return node(number, "UNETLoader", (name, "default"), outputs=[("MODEL", list(links))], **more)


def one(loader: dict[str, Any]) -> dict[str, Any]:
    """A loader that leads to an output."""
    return drawn([loader, end(9, 90)], [(90, loader["id"], 0, 9, 0, "MODEL")])


def subgraph(
    *, definition: str = "sub", inner: list[dict[str, Any]] | None = None, widget: bool = True
) -> dict[str, Any]:
    """A loader in a subgraph whose input 1 leads to the loader's name; input 0 leads nowhere."""
    loader = node(
        5, "UNETLoader", (INNER, "default"), inputs=[("unet_name", "COMBO", 2, "unet_name")], outputs=[("MODEL", [3])]
    )
    return {
        "id": definition,
        "name": definition,
        "nodes": inner or [loader],
        "links": [
            {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 5, "target_slot": 0, "type": "COMBO"},
            {"id": 3, "origin_id": 5, "origin_slot": 0, "target_id": -20, "target_slot": 0, "type": "MODEL"},
        ],
        "inputs": [
            {"name": "image", "type": "IMAGE", "linkIds": []},
            {"name": "unet_name", "type": "COMBO", "linkIds": [2]},
        ],
        "outputs": [{"name": "MODEL", "type": "MODEL", "linkIds": [3]}],
    }


def with_subgraph(host: dict[str, Any], *definitions: dict[str, Any]) -> dict[str, Any]:
    links = [(90, host["id"], 0, 9, 0, "MODEL")]
    return drawn([host, end(9, 90)], links, definitions={"subgraphs": list(definitions) or [subgraph()]})


class TestSubgraphs:
    def test_without_values_of_the_host_the_inner_widget_holds(self) -> None:
        host = instance(1, "sub", properties={"proxyWidgets": [["5", "unet_name"]]})
        assert paths(with_subgraph(host)) == {f"diffusion_models/{INNER}": True}

    def test_a_value_for_each_proxy_wins_over_the_inner_one(self) -> None:
        host = instance(
            1, "sub", ("bf16", HOST), properties={"proxyWidgets": [["5", "weight_dtype"], ["5", "unet_name"]]}
        )
        assert names(with_subgraph(host)) == {HOST}

    def test_a_proxy_for_the_definitions_own_input(self) -> None:
        host = instance(1, "sub", (HOST,), properties={"proxyWidgets": [["-1", "unet_name"]]})
        assert names(with_subgraph(host)) == {HOST}

    def test_values_by_the_definitions_inputs_not_by_the_instances(self) -> None:
        host = instance(1, "sub", (HOST,), inputs=[("image", "IMAGE", None)])
        assert names(with_subgraph(host)) == {HOST}

    def test_a_promotion_through_two_walls(self) -> None:
        inner_host = node(5, "sub", (), inputs=[("unet_name", "COMBO", 2, "unet_name")], outputs=[("MODEL", [3])])
        outer = subgraph(definition="outer", inner=[inner_host])
        document = with_subgraph(instance(1, "outer", (HOST,)), outer, subgraph())
        assert names(document) == {HOST}
        assert [model.nodes for model in found_in(document).models] == [("1:5:5",)]

    def test_the_outer_host_wins_over_the_middle_one(self) -> None:
        middle = node(5, "sub", ("middle.safetensors",), inputs=[("unet_name", "COMBO", 2)], outputs=[("MODEL", [3])])
        outer = subgraph(definition="outer", inner=[middle])
        assert names(with_subgraph(instance(1, "outer", (HOST,)), outer, subgraph())) == {HOST}
        assert names(with_subgraph(instance(1, "outer"), outer, subgraph())) == {"middle.safetensors"}

    def test_each_instance_has_its_own_value(self) -> None:
        nodes = [instance(1, "sub", ("one.gguf",)), instance(2, "sub", ("two.gguf",)), end(9, 90), end(8, 91)]
        nodes[1]["outputs"][0]["links"] = [91]
        links = [(90, 1, 0, 9, 0, "MODEL"), (91, 2, 0, 8, 0, "MODEL")]
        assert names(drawn(nodes, links, definitions={"subgraphs": [subgraph()]})) == {"one.gguf", "two.gguf"}

    def test_a_definition_without_an_instance_is_nothing(self) -> None:
        document = one(unet())
        document["definitions"] = {"subgraphs": [subgraph()]}
        assert names(document) == {"a.safetensors"}

    @pytest.mark.parametrize("mode", [2, 4])
    def test_a_muted_or_bypassed_instance_loads_nothing(self, mode: int) -> None:
        assert names(with_subgraph(instance(1, "sub", (HOST,), mode=mode))) == set()

    def test_one_that_holds_itself_ends(self) -> None:
        again = instance(7, "sub")
        definition = subgraph()
        definition["nodes"].append(again)
        assert names(with_subgraph(instance(1, "sub"), definition)) == {INNER}


def test_values_by_position_win_over_those_by_name_and_it_is_said() -> None:
    found = found_in(one(unet(widgets_values_named={"unet_name": "other.safetensors"})))
    assert [model.name for model in found.models] == ["a.safetensors"]
    assert "its values by name differ" in found.warnings[0]


@pytest.mark.parametrize("mode", [2, 4])
def test_what_is_muted_or_bypassed_is_not_loaded(mode: int) -> None:
    assert names(one(unet(mode=mode))) == set()


class TestBypass:
    def lora(self, mode: int) -> dict[str, Any]:
        lora = node(
            2, "LoraLoaderModelOnly", ("l.safetensors", 1), inputs=[("model", "MODEL", 91)], outputs=[("MODEL", [90])],
            mode=mode,
        )  # fmt: skip
        links = [(91, 1, 0, 2, 0, "MODEL"), (90, 2, 0, 9, 0, "MODEL")]
        return drawn([unet(links=(91,)), lora, end(9, 90)], links)

    def test_a_bypassed_node_passes_on(self) -> None:
        assert paths(self.lora(4)) == {"diffusion_models/a.safetensors": True}

    def test_a_muted_one_cuts(self) -> None:
        assert paths(self.lora(2)) == {"diffusion_models/a.safetensors": False}


def test_a_loader_that_leads_nowhere_is_optional() -> None:
    document = one(unet())
    document["nodes"].append(node(3, "VAELoader", ("v.safetensors",), outputs=[("VAE", [])]))
    sampler = node(4, "KSampler", (1, "fixed", 20), inputs=[("model", "MODEL", 95)], outputs=[("LATENT", [])])
    document["nodes"] += [unet(5, "b.safetensors", (95,)), sampler]
    document["links"].append([95, 5, 0, 4, 0, "MODEL"])
    assert paths(document) == {
        "diffusion_models/a.safetensors": True,
        "diffusion_models/b.safetensors": False,
        "vae/v.safetensors": False,
    }


def test_stale_metadata_add_nothing_and_agreeing_ones_do() -> None:
    url, digest = "https://huggingface.co/o/r/resolve/main/x.safetensors", "ab" * 32
    said = {"url": url, "directory": "diffusion_models", "hash": digest, "hash_type": "SHA256"}
    stale = found_in(one(unet(properties={"models": [{"name": "old.safetensors", **said}]}))).models[0]
    assert (stale.name, stale.url, stale.sha256) == ("a.safetensors", None, None)
    agreeing = found_in(one(unet(properties={"models": [{"name": "a.safetensors", **said}]}))).models[0]
    assert (agreeing.url, agreeing.sha256) == (url, digest)


def test_somebodys_key_in_an_address_is_left_out() -> None:
    url = "https://civitai.com/api/download/models/7?type=Model&token=s3cret&format=SafeTensor"
    model = found_in(one(unet(properties={"models": [{"name": "a.safetensors", "url": url}]}))).models[0]
    assert model.url == "https://civitai.com/api/download/models/7?type=Model&format=SafeTensor"


def test_a_sub_folder_is_part_of_the_name_though_metadata_lack_it() -> None:
    said = {"name": "a b (1).safetensors", "url": "https://huggingface.co/o/r/resolve/main/a.safetensors"}
    model = found_in(one(unet(name="wan\\🎬 new\\a b (1).safetensors", properties={"models": [said]}))).models[0]
    assert (model.name, model.url) == ("wan/🎬 new/a b (1).safetensors", said["url"])


class TestLinkedInputs:
    def fed(self, *feeders: dict[str, Any], links: list[tuple[Any, ...]], **more: Any) -> dict[str, Any]:
        loader = unet(name="own.safetensors", inputs=[("unet_name", "COMBO", 50, "unet_name")])
        return drawn([loader, *feeders, end(9, 90)], [(90, 1, 0, 9, 0, "MODEL"), *links], **more)

    def test_a_primitive_wins_over_the_widget(self) -> None:
        primitive = node(2, "PrimitiveNode", ("fed.safetensors", "fixed"), outputs=[("COMBO", [50])])
        assert names(self.fed(primitive, links=[(50, 2, 0, 1, 0, "COMBO")])) == {"fed.safetensors"}

    def test_through_reroutes_and_set_and_get(self) -> None:
        feeders = [
            node(2, "PrimitiveString", ("fed.safetensors",), outputs=[("STRING", [51])]),
            node(3, "Reroute", inputs=[("", "*", 51)], outputs=[("STRING", [52])]),
            node(4, "SetNode", ("model",), inputs=[("STRING", "STRING", 52)], outputs=[("*", [])]),
            node(5, "SetNode", ("other",), inputs=[("STRING", "STRING", None)], outputs=[("*", [])]),
            node(6, "GetNode", ("model",), outputs=[("STRING", [50])]),
        ]
        links = [(51, 2, 0, 3, 0, "*"), (52, 3, 0, 4, 0, "*"), (50, 6, 0, 1, 0, "COMBO")]
        assert names(self.fed(*feeders, links=links)) == {"fed.safetensors"}

    def test_what_is_computed_is_not_guessed(self) -> None:
        maker = node(2, "SDPromptReader", ("x.png",), outputs=[("STRING", [50])])
        found = found_in(self.fed(maker, links=[(50, 2, 0, 1, 0, "COMBO")]))
        assert found.models == ()
        assert [(item.input, item.value) for item in found.unresolved] == [("unet_name", None)]

    def test_links_in_a_circle_end(self) -> None:
        one = node(2, "Reroute", inputs=[("", "*", 51)], outputs=[("*", [50, 52])])
        two = node(3, "Reroute", inputs=[("", "*", 52)], outputs=[("*", [51])])
        links = [(50, 2, 0, 1, 0, "*"), (51, 3, 0, 2, 0, "*"), (52, 2, 0, 3, 0, "*")]
        assert names(self.fed(one, two, links=links)) == {"own.safetensors"}

    def test_a_set_node_in_the_graph_around_it(self) -> None:
        getter = node(6, "GetNode", ("m",), outputs=[("MODEL", [3])])
        definition = subgraph(inner=[getter])
        definition["links"] = [{"id": 3, "origin_id": 6, "origin_slot": 0, "target_id": -20, "target_slot": 0}]
        setter = node(4, "SetNode", ("m",), inputs=[("MODEL", "MODEL", 80)], outputs=[("*", [])])
        nodes = [unet(2, links=(80,)), setter, instance(1, "sub"), end(9, 90)]
        links = [(80, 2, 0, 4, 0, "MODEL"), (90, 1, 0, 9, 0, "MODEL")]
        assert paths(drawn(nodes, links, definitions={"subgraphs": [definition]})) == {
            "diffusion_models/a.safetensors": True
        }


class TestStacks:
    def test_power_lora_rows_have_switches_strengths_and_place_holders(self) -> None:
        rows: tuple[object, ...] = (
            {},
            {"type": "PowerLoraLoaderHeaderWidget"},
            {"on": True, "lora": "yes.safetensors", "strength": 0.5, "strengthTwo": None},
            {"on": False, "lora": "off.safetensors", "strength": 1},
            {"on": True, "lora": "zero.safetensors", "strength": 0, "strengthTwo": None},
            {"on": True, "lora": "None", "strength": 1},
            {"on": True, "lora": "Your_LoRA_Here.safetensors", "strength": 1},
            {},
            "",
        )
        found = found_in(one(node(1, "Power Lora Loader (rgthree)", rows, outputs=[("MODEL", [90])])))
        assert [(model.folder, model.name) for model in found.models] == [("loras", "yes.safetensors")]
        assert [item.value for item in found.unresolved] == ["Your_LoRA_Here.safetensors"]

    def test_switches_by_position(self) -> None:
        rows = ("On", "a.safetensors", 1, 1, "Off", "b.safetensors", 1, 1, "On", "None", 1, 1)
        assert names(one(node(1, "CR LoRA Stack", rows, outputs=[("LORA_STACK", [90])]))) == {"a.safetensors"}

    def test_only_as_many_rows_as_are_counted(self) -> None:
        rows = ("simple", 1, "a.safetensors", 1, 1, 1, "b.safetensors", 1, 1, 1)
        assert names(one(node(1, "LoRA Stacker", rows, outputs=[("LORA_STACK", [90])]))) == {"a.safetensors"}
        inputs = {"lora_count": 2, **{f"lora_name_{n}": f"{n}.safetensors" for n in (1, 2, 3)}}
        assert names({"1": {"class_type": "LoRA Stacker", "inputs": inputs}}) == {"1.safetensors", "2.safetensors"}

    def test_a_stack_that_is_toggled_off(self) -> None:
        for toggle, expected in ((True, {"a.safetensors"}), (False, set())):
            rows = (toggle, "simple", 1, "a.safetensors", 1, 1, 1, "b.safetensors", 1, 1, 1)
            assert names(one(node(1, "easy loraStack", rows, outputs=[("LORA_STACK", [90])]))) == expected

    def test_rows_in_a_list_beside_a_text_that_says_the_same(self) -> None:
        rows = [
            {"name": "a.safetensors", "active": True, "strength": "1.0"},
            {"name": "b.safetensors", "active": False},
        ]
        for values in (("<lora:a:1> <lora:b:1>", rows), (True, "<lora:a:1>", rows), (rows,)):
            found = found_in(one(node(1, "Lora Loader (LoraManager)", values, outputs=[("MODEL", [90])])))
            assert [model.name for model in found.models] == ["a.safetensors"]
            assert found.unresolved == ()

    def test_rows_with_dots_in_their_names(self) -> None:
        rows: dict[str, object] = {"loras.0.lora_name": "a.safetensors", "loras.0.enabled": True, "loras.0.strength": 1}
        rows |= {"loras.1.lora_name": "b.safetensors", "loras.1.enabled": False, "loras.1.strength": 1}
        rows |= {"loras.2.lora_name": "c.safetensors", "loras.2.enabled": True, "loras.2.strength": 0}
        assert names({"1": {"class_type": "LoadLoraModel", "inputs": rows}}) == {"a.safetensors"}


class TestPositions:
    def test_several_folders_in_one_node(self) -> None:
        values = ("c.safetensors", "Baked VAE", -2, "l.safetensors", 1, 1, "a prompt", "bad.safetensors is in here, no")
        loader = node(1, "Efficient Loader", values, outputs=[("MODEL", [90])])
        assert set(paths(one(loader))) == {"checkpoints/c.safetensors", "loras/l.safetensors"}

    def test_names_beside_the_inputs_win_over_known_positions(self) -> None:
        widgets = [("seed", "INT"), ("vae_name", "COMBO"), ("ckpt_name", "COMBO"), ("lora_name", "COMBO")]
        inputs = [(name, kind, None, name) for name, kind in widgets]
        values = (7, "randomize", "v.safetensors", "c.safetensors", "None")
        loader = node(1, "Efficient Loader", values, inputs=inputs, outputs=[("MODEL", [90])])
        assert set(paths(one(loader))) == {"checkpoints/c.safetensors", "vae/v.safetensors"}

    def test_a_position_with_no_files_name_gives_way(self) -> None:
        loader = node(1, "VAELoader", ("main_device", "v.safetensors"), outputs=[("VAE", [90])])
        assert set(paths(one(loader))) == {"vae/v.safetensors"}

    def test_no_file_is_an_answer_too(self) -> None:
        values = ("c.safetensors", "Baked VAE", -2, "None", 1, 1, "new_widget.safetensors")
        found = found_in(one(node(1, "Efficient Loader", values, outputs=[("MODEL", [90])])))
        assert {(model.folder, model.name) for model in found.models} == {
            ("checkpoints", "c.safetensors"),
            (None, "new_widget.safetensors"),
        }

    def test_values_by_name(self) -> None:
        loader = node(1, "LTXAVTextEncoderLoader", {"ckpt_name": "c.safetensors", "text_encoder": "t.safetensors"})
        assert set(paths(drawn([loader]))) == {"checkpoints/c.safetensors", "text_encoders/t.safetensors"}

    def test_no_values_at_all(self) -> None:
        assert names(one(node(1, "UNETLoader", None, outputs=[("MODEL", [90])]))) == set()

    def test_variants_for_several_cards(self) -> None:
        loader = node(1, "UnetLoaderGGUFDisTorch2MultiGPU", ("m.gguf", "cuda:0", 4), outputs=[("MODEL", [90])])
        assert set(paths(one(loader))) == {"diffusion_models/m.gguf"}


class TestGroupNodes:
    def document(self, values: tuple[object, ...]) -> dict[str, Any]:
        inner = [
            {"type": "KSampler", "index": 0, "inputs": [], "outputs": [], "widgets_values": [1, "fixed", 20]},
            {
                "type": "UNETLoader",
                "index": 1,
                "inputs": [],
                "outputs": [],
                "widgets_values": ["stale.safetensors", "x"],
            },
        ]
        host = node(1, "workflow>Mine", values, outputs=[("MODEL", [90])])
        groups = {"groupNodes": {"Mine": {"nodes": inner, "links": []}}}
        return drawn([host, end(9, 90)], [(90, 1, 0, 9, 0, "MODEL")], extra=groups)

    def test_the_hosts_row_of_values_is_cut(self) -> None:
        assert paths(self.document((5, "fixed", 30, HOST, "y"))) == {f"diffusion_models/{HOST}": True}

    def test_where_the_rows_differ_in_length_files_go_in_order(self) -> None:
        assert names(self.document((5, 30, HOST, "y"))) == {HOST}

    def test_where_it_cannot_be_told_nothing_stale_passes(self) -> None:
        found = found_in(self.document((HOST, "other.safetensors")))
        assert {(model.folder, model.name) for model in found.models} == {(None, HOST), (None, "other.safetensors")}
        assert len(found.unresolved) == 2

    def test_a_group_that_the_file_does_not_define(self) -> None:
        document = self.document((5, HOST))
        del document["extra"]
        assert [(model.folder, model.name) for model in found_in(document).models] == [(None, HOST)]


@pytest.mark.parametrize("kind", ["CheckpointLoader|pysssss"])
def test_a_value_in_a_picture_box(kind: str) -> None:
    value = {"content": "sub\\c.safetensors", "image": "c.png", "title": "c"}
    assert set(paths(one(node(1, kind, (value,), outputs=[("MODEL", [90])])))) == {"checkpoints/sub/c.safetensors"}


API = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "a.gguf"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
}


@pytest.mark.parametrize(
    "wrapped",
    [
        API,
        {"prompt": API},
        {"input": {"workflow": API}},
        {"workflow": one(unet(name="a.gguf"))},
        {"prompt": API, "extra_data": {"extra_pnginfo": {"workflow": one(unet(name="kept.gguf"))}}},
        {"workflow": json.dumps(API)},
        [1, "id", API, {}],
    ],
)
def test_wrappers(wrapped: Any) -> None:
    assert names(wrapped) == {"a.gguf"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    text = json.dumps(one(unet(name="模型.gguf")), ensure_ascii=False)
    assert [model.name for model in models_in(text.encode(encoding), table=TABLE).models] == ["模型.gguf"]


class TestApi:
    def test_a_link_is_no_name_and_ids_have_colons(self) -> None:
        api = {
            "66:1": {"class_type": "PrimitiveString", "inputs": {"value": "fed.gguf"}},
            "66:58": {"class_type": "UnetLoaderGGUF", "inputs": {"unet_name": ["66:1", 0]}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["66:58", 0]}},
        }
        assert [(model.name, model.nodes, model.required) for model in found_in(api).models] == [
            ("fed.gguf", ("66:58",), True)
        ]

    def test_wrapped_rows(self) -> None:
        rows = [{"name": "a.safetensors", "active": True}, {"name": "b.safetensors", "active": False}]
        api = {"1": {"class_type": "Lora Loader (LoraManager)", "inputs": {"loras": {"__value__": rows}}}}
        assert names(api) == {"a.safetensors"}

    def test_a_place_holder_is_not_resolved(self) -> None:
        found = found_in({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "{{ VAE }}.safetensors"}}})
        assert (found.models, found.unresolved[0].value) == ((), "{{ VAE }}.safetensors")


class TestNoOutput:
    """A part of a workflow, or one whose end nobody knows: its ends are taken for outputs, and that is told."""

    @pytest.mark.parametrize("preview", [False, True])
    def test_a_blueprint(self, *, preview: bool) -> None:
        """One instance of a subgraph that nothing is linked to, as ComfyUI ships its blueprints."""
        inner = [
            node(1, "CheckpointLoaderSimple", ("used.safetensors",), outputs=[("MODEL", [1]), ("VAE", [2])]),
            node(2, "KSampler", (1, "fixed", 20), inputs=[("model", "MODEL", 1)], outputs=[("LATENT", [3])]),
            node(3, "VAEDecode", inputs=[("samples", "LATENT", 3), ("vae", "VAE", 2)], outputs=[("IMAGE", [4])]),
            node(4, "VAELoader", ("loose.safetensors",), outputs=[("VAE", [])]),
            *([node(5, "PreviewAny", inputs=[("source", "*", None)])] if preview else []),
        ]
        ends = [(1, 1, 0, 2, 0, "MODEL"), (2, 1, 1, 3, 1, "VAE"), (3, 2, 0, 3, 0, "LATENT"), (4, 3, 0, -20, 0, "IMAGE")]
        keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        subgraph = {
            "id": "blue",
            "name": "Blueprint",
            "nodes": inner,
            "links": [dict(zip(keys, link, strict=True)) for link in ends],
            "inputs": [],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "linkIds": [4]}],
        }
        host = node(9, "blue", outputs=[("IMAGE", [])])
        document = drawn([host], definitions={"subgraphs": [subgraph]})
        assert paths(document) == {"checkpoints/used.safetensors": True, "vae/loose.safetensors": False}
        assert any("looks like a part of a workflow" in warning for warning in found_in(document).warnings)

    def test_an_end_that_nobody_knows(self) -> None:
        loader = node(1, "CheckpointLoaderSimple", ("used.safetensors",), outputs=[("MODEL", [1])])
        combine = node(2, "NobodyKnows", (8,), inputs=[("model", "MODEL", 1)], outputs=[("GIF", [])])
        document = drawn([loader, combine], [(1, 1, 0, 2, 0, "MODEL")])
        assert paths(document) == {"checkpoints/used.safetensors": True}

    @pytest.mark.parametrize("kind", ["AnimateDiffCombine", "VideoCombine_Adv", "easy hiresFix", "ttN KSampler_v2"])
    def test_an_output_that_hands_something_on(self, kind: str) -> None:
        loader = node(1, "CheckpointLoaderSimple", ("used.safetensors",), outputs=[("MODEL", [1])])
        last = node(2, kind, (8,), inputs=[("model", "MODEL", 1)], outputs=[("GIF", [])])
        preview = node(3, "PreviewImage", inputs=[("images", "IMAGE", None)])
        document = drawn([loader, last, preview], [(1, 1, 0, 2, 0, "MODEL")])
        assert paths(document) == {"checkpoints/used.safetensors": True}
        assert found_in(document).warnings == ()

    def test_a_dead_end_beside_an_output_is_none(self) -> None:
        nodes = [
            node(1, "CheckpointLoaderSimple", ("used.safetensors",), outputs=[("MODEL", [1])]),
            end(2, 1),
            node(3, "CheckpointLoaderSimple", ("dead.safetensors",), outputs=[("MODEL", [2])]),
            node(4, "KSampler", (1, "fixed"), inputs=[("model", "MODEL", 2)], outputs=[("LATENT", [])]),
        ]
        document = drawn(nodes, [(1, 1, 0, 2, 0, "MODEL"), (2, 3, 0, 4, 0, "MODEL")])
        assert paths(document) == {"checkpoints/used.safetensors": True, "checkpoints/dead.safetensors": False}
        assert found_in(document).warnings == ()


class TestHidden:
    def test_what_a_node_fetches_is_no_model(self) -> None:
        found = found_in({"1": {"class_type": "RIFE VFI", "inputs": {"ckpt_name": "rife47.pth"}}})
        assert found.models == ()
        place = "custom_nodes/ComfyUI-Frame-Interpolation/ckpts/rife/rife47.pth"
        assert [(item.name, item.place) for item in found.self_downloaded] == [("rife47.pth", place)]

    def test_files_that_no_widget_names(self) -> None:
        found = found_in({"1": {"class_type": "IPAdapterUnifiedLoaderFaceID", "inputs": {"preset": "FACEID"}}})
        assert [item.name for item in found.self_downloaded] == ["buffalo_l"]

    def test_an_unknown_class_is_told_and_not_guessed(self) -> None:
        found = found_in({"1": {"class_type": "NeverSeen", "inputs": {"thing": "sub\\x.gguf", "how": "fast"}}})
        assert [(model.folder, model.name) for model in found.models] == [(None, "sub/x.gguf")]
        assert [(item.value, "folder unknown" in item.reason) for item in found.unresolved] == [("sub/x.gguf", True)]

    def test_its_metadata_may_tell_the_folder(self) -> None:
        said = {"models": [{"name": "x.gguf", "directory": "clip"}]}
        found = found_in(one(node(1, "NeverSeen", ("x.gguf",), properties=said)))
        assert [(model.folder, model.name) for model in found.models] == [("text_encoders", "x.gguf")]
        assert found.unresolved == ()


def test_embeddings_and_names_in_texts() -> None:
    text = "(embedding:bad-hands:1.2), embedding:sub\\EasyNegative.pt, a.safetensors\nfrom b.safetensors"
    note = node(2, "Note", ("embedding:noted, https://huggingface.co/o/r/resolve/main/n.safetensors\nn.safetensors",))
    found = found_in(drawn([node(1, "CLIPTextEncode", (text,)), note, node(3, "SomeNote", ("n.safetensors",))]))
    assert found.embeddings == ("bad-hands", "sub/EasyNegative.pt")
    assert found.models == ()
    assert dict(found.noted) == {"n.safetensors": "https://huggingface.co/o/r/resolve/main/n.safetensors"}


@pytest.mark.parametrize(
    "value",
    [
        "https://example.com/a.safetensors",
        "../../etc/a.safetensors",
        "/data/a.safetensors",
        "C:\\models\\a.safetensors",
        "a\0.safetensors",
        "some-folder",
        "x" * 5000 + ".safetensors",
        "taesd",
    ],
)
def test_what_can_be_no_file_below_models_is_not_resolved(value: str) -> None:
    found = found_in({"1": {"class_type": "VAELoader", "inputs": {"vae_name": value}}})
    assert found.models == ()
    assert [item.value for item in found.unresolved] == [value.replace("\\", "/")]


@pytest.mark.parametrize("value", ["None", "", "none", None, "pixel_space", "Baked VAE"])
def test_values_that_mean_no_file(value: object) -> None:
    found = found_in({"1": {"class_type": "VAELoader", "inputs": {"vae_name": value}}})
    assert (found.models, found.unresolved) == ((), ())


def test_a_tiny_vae_stands_in_its_own_folder() -> None:
    found = found_in({"1": {"class_type": "VAELoader", "inputs": {"vae_name": "taew2_1.safetensors"}}})
    assert [model.folder for model in found.models] == ["vae_approx"]

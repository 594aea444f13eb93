"""Links that nobody drew: what is broadcast is needed, and what nobody may have is not (cg-use-everywhere 7.8)."""

from __future__ import annotations

from typing import Any

import pytest

from prefetch.comfyui.workflow import models_in
from prefetch.errors import UsageError
from tests.support.drawn import drawn, end, found_in, node, paths

VAE, OTHER = "vae/a.safetensors", "vae/b.safetensors"


def vae(number: int, name: str, link: int | None = None, **more: Any) -> dict[str, Any]:
    return node(number, "VAELoader", (name,), outputs=[("VAE", [] if link is None else [link])], **more)


def sender(number: int, *links: int, kind: str = "Anything Everywhere", **said: Any) -> dict[str, Any]:
    """A broadcasting node with these links; what is said of it stands in its ``ue_properties``."""
    slots = [(f"anything{at}", "VAE", link) for at, link in enumerate(links)]
    about = {"ue_properties": {"version": "7.1", **said.pop("ue", {})}}
    return node(number, kind, inputs=[*slots, ("anything9", "*", None)], properties=about, **said)


def decoder(link: int | None = None, **more: Any) -> dict[str, Any]:
    """Node 7, whose picture is saved by node 8."""
    inputs = more.pop("inputs", [("vae", "VAE", link)])
    return node(7, "VAEDecode", inputs=inputs, outputs=[("IMAGE", [90])], **more)


def graph(*nodes: dict[str, Any], links: tuple[tuple[Any, ...], ...] = (), **more: Any) -> dict[str, Any]:
    """These nodes, a saver behind node 7, and the links of loaders 1 and 2 to senders 3 and 4."""
    kinds = {one["id"]: one for one in nodes}
    usual = [(10, 1, 0, 3, 0, "VAE"), (20, 2, 0, 4, 0, "VAE")]
    present = [link for link in (*usual, *links) if link[1] in kinds and (link[3] in kinds or link[3] == 8)]
    return drawn([*nodes, end(8, 90, "IMAGE")], [*present, (90, 7, 0, 8, 0, "IMAGE")], **more)


def record(target: int, slot: int = 0, origin: object = "1", by: int = 3) -> dict[str, Any]:
    """A link as the pack records it, in the graph's ``extra``."""
    link = {"downstream": target, "downstream_slot": slot, "upstream": origin, "upstream_slot": 0, "controller": by}
    return {"ue_links": [{**link, "type": "VAE"}]}


class TestRecorded:
    def test_a_recorded_link_is_one(self) -> None:
        # The rules would send nothing: the record says that they did.
        closed = sender(3, 10, ue={"title_regex": "nobody"})
        assert paths(graph(vae(1, "a.safetensors", 10), closed, decoder(), extra=record(7))) == {VAE: True}

    def test_without_a_record_the_rules_hold(self) -> None:
        assert paths(graph(vae(1, "a.safetensors", 10), sender(3, 10), decoder(), extra={"ue_links": []})) == {
            VAE: True
        }

    def test_a_link_that_is_drawn_wins(self) -> None:
        nodes = (vae(1, "a.safetensors", 10), vae(2, "b.safetensors", 30), sender(3, 10), decoder(30))
        assert paths(graph(*nodes, links=((30, 2, 0, 7, 0, "VAE"),), extra=record(7))) == {VAE: False, OTHER: True}

    @pytest.mark.parametrize("mode", [2, 4])
    def test_a_record_of_a_sender_that_is_muted_since_is_void(self, mode: int) -> None:
        nodes = (vae(1, "a.safetensors", 10), vae(2, "b.safetensors", 20), sender(3, 10, mode=mode), sender(4, 20))
        assert paths(graph(*nodes, decoder(), extra=record(7))) == {VAE: False, OTHER: True}

    def test_links_that_were_drawn_for_a_run_are_none(self) -> None:
        nodes = (vae(1, "a.safetensors", 10), vae(2, "b.safetensors", 30), sender(3, 10), decoder(30))
        extra = {**record(7), "links_added_by_ue": [30]}
        assert paths(graph(*nodes, links=((30, 2, 0, 7, 0, "VAE"),), extra=extra)) == {VAE: True, OTHER: False}

    def test_a_slot_that_names_a_link_of_a_run_is_open(self) -> None:
        assert paths(
            graph(vae(1, "a.safetensors", 10), sender(3, 10), decoder(30), extra={"links_added_by_ue": [30]})
        ) == {VAE: True}


def told(sends: bool) -> dict[str, bool]:
    return {VAE: sends}


class TestWhoSends:
    @pytest.mark.parametrize("mode", [0, 2, 4])
    def test_a_muted_sender_sends_nothing(self, mode: int) -> None:
        assert paths(graph(vae(1, "a.safetensors", 10), sender(3, 10, mode=mode), decoder())) == told(mode == 0)

    @pytest.mark.parametrize("kind", ["Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?"])
    def test_the_kinds_of_the_pack(self, kind: str) -> None:
        assert paths(graph(vae(1, "a.safetensors", 10), sender(3, 10, kind=kind), decoder())) == told(True)

    @pytest.mark.parametrize("kind", ["Simple String", "Combo Clone", "SomeNode"])
    def test_others_send_nothing(self, kind: str) -> None:
        quiet = {**sender(3, 10, kind=kind), "outputs": [{"name": "x", "type": "LATENT", "links": []}]}
        assert paths(graph(vae(1, "a.safetensors", 10), quiet, decoder())) == told(False)

    @pytest.mark.parametrize(
        ("about", "sends"),
        [
            ({"ue_convert": True}, True),
            ({"ue_convert": False}, False),
            ({"ue_convert": True, "ue_properties": {"output_not_broadcasting": {"VAE": True}}}, False),
        ],
    )
    def test_a_node_that_was_made_to_send(self, about: dict[str, Any], sends: bool) -> None:
        assert paths(graph(vae(1, "a.safetensors", properties=about), decoder())) == told(sends)

    def test_what_comes_through_a_bypassed_node_and_a_reroute_and_a_get_node(self) -> None:
        nodes = (
            vae(1, "a.safetensors", 31),
            node(11, "SetNode", ("v",), inputs=[("VAE", "VAE", 31)], outputs=[("VAE", [])]),
            node(12, "GetNode", ("v",), outputs=[("VAE", [32])]),
            node(13, "Reroute", inputs=[("", "*", 32)], outputs=[("VAE", [33])]),
            node(14, "VAETuner", inputs=[("vae", "VAE", 33)], outputs=[("VAE", [34])], mode=4),
            sender(3, 34),
            decoder(),
        )
        links = (
            (31, 1, 0, 11, 0, "VAE"),
            (32, 12, 0, 13, 0, "VAE"),
            (33, 13, 0, 14, 0, "VAE"),
            (34, 14, 0, 3, 0, "VAE"),
        )
        assert paths(graph(*nodes, links=links)) == told(True)

    def test_a_muted_origin_sends_nothing(self) -> None:
        maker = node(14, "VAETuner", inputs=[("vae", "VAE", 33)], outputs=[("VAE", [34])], mode=2)
        links = ((33, 1, 0, 14, 0, "VAE"), (34, 14, 0, 3, 0, "VAE"))
        assert paths(graph(vae(1, "a.safetensors", 33), maker, sender(3, 34), decoder(), links=links)) == told(False)


class TestWhoGets:
    @pytest.mark.parametrize(
        ("target", "gets"),
        [
            (decoder(), True),
            (decoder(inputs=[("vae", "CLIP", None)]), False),
            (decoder(inputs=[("vae", "*", None)]), False),
            (decoder(properties={"rejects_ue_links": True}), False),
            (decoder(properties={"ue_properties": {"input_ue_unconnectable": {"vae": True}}}), False),
            (decoder(inputs=[("vae", "VAE", None, "vae")]), False),
            (
                decoder(
                    inputs=[("vae", "VAE", None, "vae")],
                    properties={"ue_properties": {"widget_ue_connectable": {"vae": True}}},
                ),
                True,
            ),
            (decoder(mode=2), False),
        ],
    )
    def test_which_inputs_are_open(self, target: dict[str, Any], gets: bool) -> None:
        assert paths(graph(vae(1, "a.safetensors", 10), sender(3, 10), target)) == told(gets)

    def test_any_type_gets_all_where_the_sender_says_so(self) -> None:
        target = decoder(inputs=[("vae", "*", None)])
        assert paths(graph(vae(1, "a.safetensors", 10), sender(3, 10, ue={"send_to_any": 1}), target)) == told(True)

    def test_a_cloned_choice_chooses_a_file(self) -> None:
        loader = vae(2, "b.safetensors", 30, properties={"ue_properties": {"widget_ue_connectable": {"vae_name": 1}}})
        loader["inputs"] = [{"name": "vae_name", "type": "COMBO", "link": None, "widget": {"name": "vae_name"}}]
        clone = node(1, "Combo Clone", ("a.safetensors",), outputs=[("COMBO", [10])])
        document = graph(clone, sender(3, 10), loader, decoder(30), links=((30, 2, 0, 7, 0, "VAE"),))
        document["links"][0][5] = "COMBO"
        assert paths(document) == {VAE: True}

    @pytest.mark.parametrize("string_to_combo", [0, 1])
    def test_a_text_chooses_a_file_where_both_ends_say_so(self, string_to_combo: int) -> None:
        connectable = {"ue_properties": {"widget_ue_connectable": {"vae_name": True}}}
        slots = [("vae_name", "COMBO", None, "vae_name")]
        loader = vae(2, "b.safetensors", 30, inputs=[], properties=connectable)
        loader["inputs"] = [{"name": n, "type": t, "link": k, "widget": {"name": w}} for n, t, k, w in slots]
        text = node(1, "PrimitiveString", ("a.safetensors",), outputs=[("STRING", [10])])
        nodes = (text, sender(3, 10, ue={"string_to_combo": string_to_combo}), loader, decoder(30))
        nodes[1]["inputs"][0]["type"] = "STRING"
        links = ((30, 2, 0, 7, 0, "VAE"),)
        document = graph(*nodes, links=links)
        document["links"][0][5] = "STRING"
        assert paths(document) == {(VAE if string_to_combo else OTHER): True}

    def test_a_bypassed_node_takes_one_and_passes_it_on(self) -> None:
        tuner = node(14, "VAETuner", inputs=[("vae", "VAE", None)], outputs=[("VAE", [34])], mode=4)
        nodes = (vae(1, "a.safetensors", 10), sender(3, 10), tuner, decoder(34))
        assert paths(graph(*nodes, links=((34, 14, 0, 7, 0, "VAE"),))) == told(True)

    def test_a_bypassed_loader_leaves_its_input_open(self) -> None:
        nodes = (vae(1, "a.safetensors", 10), sender(3, 10), vae(2, "b.safetensors", 30, mode=4), decoder(30))
        assert paths(graph(*nodes, links=((30, 2, 0, 7, 0, "VAE"),))) == told(True)


PLACED: dict[str, Any] = {"pos": [100, 100], "size": [200, 100]}
AWAY: dict[str, Any] = {"pos": [2000, 100], "size": [200, 100]}
FOLDED: dict[str, Any] = {"pos": [390, 100], "size": [900, 900], "flags": {"collapsed": True}}
GROUPS = [{"title": "here", "bounding": [0, 0, 500, 500]}, {"title": "far", "bounding": [1900, 0, 500, 500]}]


@pytest.mark.parametrize(
    ("said", "target", "gets"),
    [
        ({"title_regex": "^Final"}, {"title": "Final decode"}, True),
        ({"title_regex": "^Final"}, {"title": "First decode"}, False),
        ({"title_regex": "^Final", "title_regex_invert": True}, {"title": "First decode"}, True),
        ({"title_regex": "^Final", "title_regex_invert": True}, {"title": "Final decode"}, False),
        ({"title_regex": "VAE Decode"}, {}, True),
        ({"title_regex": "VAEDecode"}, {}, True),
        ({"title_regex": ".*"}, {}, True),
        ({"title_regex": None}, {}, True),
        ({"title_regex": "["}, {}, True),
        ({"input_regex": "va"}, {}, True),
        ({"input_regex": "clip"}, {}, False),
        ({"input_regex": "va", "input_regex_invert": True}, {}, False),
        ({"group_restricted": 1}, PLACED, True),
        ({"group_restricted": 1}, AWAY, False),
        ({"group_restricted": 1}, FOLDED, True),
        ({"group_restricted": 1}, {"pos": {"0": 100, "1": 100}, "size": {"0": 200, "1": 100}}, True),
        ({"group_restricted": 2}, PLACED, False),
        ({"group_restricted": 2}, AWAY, True),
        ({"group_regex": "he"}, PLACED, True),
        ({"group_regex": "he"}, AWAY, False),
        ({"group_regex": "he", "group_regex_invert": True}, AWAY, True),
        ({"group_regex": "he"}, {"pos": [9000, 0], "size": [1, 1]}, False),
        ({"color_restricted": 1}, {"color": "#223"}, True),
        ({"color_restricted": 1}, {}, False),
        ({"color_restricted": 2}, {"color": "#223"}, False),
        ({"color_restricted": 2}, {"color": "#332"}, True),
        ({"group_restricted": 1, "color_restricted": 1}, {**PLACED, "color": "#223"}, True),
        ({"group_restricted": 1, "color_restricted": 1}, {**AWAY, "color": "#223"}, False),
    ],
)  # fmt: skip
def test_restrictions(said: dict[str, Any], target: dict[str, Any], gets: bool) -> None:
    nodes = (vae(1, "a.safetensors", 10), sender(3, 10, ue=said, color="#223", **PLACED), decoder(**target))
    assert paths(graph(*nodes, groups=GROUPS)) == told(gets)


@pytest.mark.parametrize(
    ("expressions", "about", "target", "gets"),
    [
        ((".*", ".*", ".*"), {}, {}, True),
        (("Final", ".*", ".*"), {}, {"title": "Final"}, True),
        (("Final", ".*", ".*"), {}, {"title": "First"}, False),
        ((".*", "clip", ".*"), {}, {}, False),
        ((".*", ".*", "far"), {}, PLACED, False),
        ((".*", ".*", ".*"), {"group_restricted": 1}, AWAY, False),
        ((".*", ".*", ".*"), {"color_restricted": 1}, {"color": "#1"}, False),
        ((".*", ".*", ".*"), {"group_restricted": True}, PLACED, True),
        ((".*", "clip", ".*"), {"ue_properties": {"version": "6.3"}}, {}, False),
        ((".*", "clip", ".*"), {"ue_properties": {"version": "7.0.1"}}, {}, True),
    ],
)  # fmt: skip
def test_before_version_7_the_expressions_are_widgets(
    expressions: tuple[str, ...], about: dict[str, Any], target: dict[str, Any], gets: bool
) -> None:
    old = node(
        3,
        "Anything Everywhere?",
        expressions,
        inputs=[("anything", "VAE", 10)],
        properties=about,
        color="#223",
        **PLACED,
    )
    assert paths(graph(vae(1, "a.safetensors", 10), old, decoder(**target), groups=GROUPS)) == told(gets)


@pytest.mark.parametrize(
    ("first", "second", "needed"),
    [
        ({}, {}, set()),
        ({"priority": 11}, {}, {VAE}),
        ({}, {"input_regex": "vae"}, {OTHER}),
        ({"group_restricted": 1}, {"color_restricted": 1}, {OTHER}),
        ({"color_restricted": 1, "group_restricted": 1}, {"color_restricted": 1}, {VAE}),
        ({"title_regex": "VAE"}, {"color_restricted": 1, "group_restricted": 1}, {VAE}),
        ({"title_regex": "VAE"}, {"input_regex": "vae"}, set()),
        ({"title_regex": ".*"}, {"input_regex": ".*"}, set()),
        ({"priority": 50}, {"title_regex": "VAE"}, {VAE}),
        ({"priority": 50}, {"title_regex": "nobody", "priority": 90}, {VAE}),
    ],
)  # fmt: skip
def test_the_highest_priority_wins_and_a_tie_is_no_link(
    first: dict[str, Any], second: dict[str, Any], needed: set[str]
) -> None:
    nodes = (
        vae(1, "a.safetensors", 10),
        vae(2, "b.safetensors", 20),
        sender(3, 10, ue=first, **PLACED),
        sender(4, 20, ue=second, **PLACED),
        decoder(**PLACED),
    )
    document = graph(*nodes, groups=GROUPS)
    assert {path for path, required in paths(document).items() if required} == needed
    assert any("same priority" in said for said in found_in(document).warnings) == (not needed)


@pytest.mark.parametrize(
    ("rule", "names", "target", "needed"),
    [
        (0, ("vae", "other"), {}, {VAE}),
        (0, ("vae_a", "vae_b"), {}, set()),
        (1, ("v", "x"), {}, {VAE}),
        (2, ("x", "ae"), {}, {OTHER}),
        (3, ("First", "Final"), {"title": "Final"}, {OTHER}),
        (4, ("^c", "^v.e$"), {}, {OTHER}),
    ],
)
def test_several_of_a_type_in_one_sender_go_by_their_names(
    rule: int, names: tuple[str, str], target: dict[str, Any], needed: set[str]
) -> None:
    both = sender(3, 10, 20, ue={"repeated_type_rule": rule})
    for slot, name in zip(both["inputs"], names, strict=False):
        slot["label"] = name
    nodes = (vae(1, "a.safetensors", 10), vae(2, "b.safetensors", 20), both, decoder(**target))
    document = graph(*nodes, links=((20, 2, 0, 3, 1, "VAE"),))
    assert {path for path, required in paths(document).items() if required} == needed


def test_the_prompts_go_to_the_inputs_they_are_for() -> None:
    inputs = [("positive", "CONDITIONING", 31), ("negative", "CONDITIONING", 32)]
    nodes = [
        node(1, "StyleThing", ("a.safetensors",), outputs=[("CONDITIONING", [31])]),
        node(2, "VAELoader", ("b.safetensors",), outputs=[("CONDITIONING", [32])]),
        node(3, "Prompts Everywhere", inputs=inputs, properties={"ue_properties": {"version": "7.1"}}),
        decoder(inputs=[("negative", "CONDITIONING", None)]),
    ]
    links = ((31, 1, 0, 3, 0, "CONDITIONING"), (32, 2, 0, 3, 1, "CONDITIONING"))
    assert paths(graph(*nodes, links=links)) == {"None/a.safetensors": False, OTHER: True}


class TestSubgraphs:
    """A definition ``sub`` with an input and an output of its own."""

    def definition(
        self,
        nodes: list[dict[str, Any]],
        links: list[tuple[Any, ...]],
        **more: Any,
    ) -> dict[str, Any]:
        names = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
        own = {
            "inputs": [{"name": "vae", "type": "VAE", "linkIds": [n for n, o, *_ in links if o == -10]}],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "linkIds": [link[0] for link in links if link[3] == -20]}],
        }
        return {"id": "sub", "nodes": nodes, "links": [dict(zip(names, k, strict=True)) for k in links], **own, **more}

    def host(self, definition: dict[str, Any], *nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
        host = node(7, "sub", inputs=[("vae", "VAE", None)], outputs=[("IMAGE", [90])])
        return graph(*nodes, host, definitions={"subgraphs": [definition]}, **more)

    def test_inside_one(self) -> None:
        inner = [vae(1, "a.safetensors", 10), sender(3, 10), decoder()]
        document = self.host(self.definition(inner, [(10, 1, 0, 3, 0, "VAE"), (5, 7, 0, -20, 0, "IMAGE")]))
        assert paths(document) == told(True)

    def test_inside_one_by_its_own_record(self) -> None:
        inner = [vae(1, "a.safetensors", 10), sender(3, 10, ue={"title_regex": "nobody"}), decoder()]
        links = [(10, 1, 0, 3, 0, "VAE"), (5, 7, 0, -20, 0, "IMAGE")]
        assert paths(self.host(self.definition(inner, links, extra=record(7)))) == told(True)
        assert paths(self.host(self.definition(inner, links), extra=record(7))) == told(False)

    def test_into_an_instance_and_no_further(self) -> None:
        through = self.definition([decoder(5)], [(5, -10, 0, 7, 0, "VAE"), (6, 7, 0, -20, 0, "IMAGE")])
        sends = (vae(1, "a.safetensors", 10), sender(3, 10))
        assert paths(self.host(through, *sends)) == told(True)
        walled = self.definition([decoder()], [(6, 7, 0, -20, 0, "IMAGE")])
        assert paths(self.host(walled, *sends)) == told(False)

    @pytest.mark.parametrize("extra", [{}, record(7, origin="-10")])
    def test_from_its_input(self, extra: dict[str, Any]) -> None:
        definition = self.definition(
            [sender(3, 5), decoder()], [(5, -10, 0, 3, 0, "VAE"), (6, 7, 0, -20, 0, "IMAGE")], extra=extra
        )
        assert paths(self.host(definition, vae(1, "a.safetensors", 10), sender(3, 10))) == told(True)

    @pytest.mark.parametrize("recorded", [False, True])
    def test_to_its_output(self, recorded: bool) -> None:
        link = {"downstream": -20, "downstream_slot": 0, "upstream": "7", "upstream_slot": 0, "controller": 3}
        image = sender(3, 30)
        image["inputs"][0]["type"] = "IMAGE"
        definition = self.definition(
            [vae(1, "a.safetensors", 10), decoder(10), image],
            [(10, 1, 0, 7, 0, "VAE"), (30, 7, 0, 3, 0, "IMAGE")],
            extra={"ue_links": [{**link, "type": "IMAGE"}]} if recorded else {},
        )
        assert paths(self.host(definition)) == told(True)

    @pytest.mark.parametrize("said", [{"color_restricted": 1}, {"group_restricted": 2}, {"group_regex": "x"}])
    def test_its_outputs_are_in_no_group_and_of_no_colour(self, said: dict[str, Any]) -> None:
        image = sender(3, 30, ue=said)
        image["inputs"][0]["type"] = "IMAGE"
        links = [(10, 1, 0, 7, 0, "VAE"), (30, 7, 0, 3, 0, "IMAGE")]
        definition = self.definition([vae(1, "a.safetensors", 10), decoder(10), image], links)
        assert paths(self.host(definition)) == told(False)

    def test_an_instance_that_sends(self) -> None:
        definition = self.definition([vae(1, "a.safetensors", 5)], [(5, 1, 0, -20, 0, "VAE")])
        definition["outputs"][0].update(name="VAE", type="VAE")
        host = node(2, "sub", outputs=[("VAE", [])], properties={"ue_convert": True, "ue_properties": {}})
        assert paths(graph(host, decoder(), definitions={"subgraphs": [definition]})) == told(True)

    def test_a_muted_instance_sends_nothing(self) -> None:
        definition = self.definition([vae(1, "a.safetensors", 5)], [(5, 1, 0, -20, 0, "VAE")])
        definition["outputs"][0].update(name="VAE", type="VAE")
        host = node(2, "sub", outputs=[("VAE", [])], properties={"ue_convert": True}, mode=2)
        assert paths(graph(host, decoder(), definitions={"subgraphs": [definition]})) == {}


def test_the_api_form_has_real_links() -> None:
    api = {
        "1": {"class_type": "VAELoader", "inputs": {"vae_name": "a.safetensors"}},
        "3": {"class_type": "Anything Everywhere", "inputs": {"anything": ["1", 0]}},
        "7": {"class_type": "VAEDecode", "inputs": {"vae": ["1", 0]}},
        "8": {"class_type": "SaveImage", "inputs": {"images": ["7", 0]}},
    }
    assert paths(api) == told(True)
    del api["7"]["inputs"]["vae"]  # type: ignore[attr-defined]
    assert paths(api) == told(False)


class TestStrangers:
    @pytest.mark.parametrize(
        "expression",
        [
            "(a+)+$",
            "(a|aa)*b",
            ".*.*.*.*.*.*.*x",
            "a" * 5000,
            "(?:" * 150,
            "a?" * 60 + "b",
            "(a?)" * 22 + "b",
            "(a|aa)" * 30 + "b",
            "a*a*a*(a|b)(a|b)b",
        ],
    )
    def test_an_expression_that_takes_for_ever_is_not_tried(self, expression: str) -> None:
        nodes = (vae(1, "a.safetensors", 10), sender(3, 10, ue={"title_regex": expression}))
        assert paths(graph(*nodes, decoder(title="a" * 60 + "!"))) == told(True)

    def test_more_than_anyone_drew(self) -> None:
        senders = [sender(1000 + n, 10, ue={"title_regex": f"nobody{n}"}) for n in range(300)]
        targets = [node(5000 + n, "VAEDecode", inputs=[("vae", "VAE", None)]) for n in range(300)]
        with pytest.raises(UsageError, match="broadcast to more inputs"):
            paths(graph(vae(1, "a.safetensors", 10), *senders, *targets, links=((10, 1, 0, 1000, 0, "VAE"),)))

    def test_positions_that_are_none(self) -> None:
        places: list[Any] = [[10**400, 1], ["x", None], {}, None, [float("nan"), 1]]
        for place in places:
            nodes = (vae(1, "a.safetensors", 10), sender(3, 10, ue={"group_restricted": 1}), decoder(pos=place))
            assert paths(graph(*nodes, groups=[{"bounding": [0, 0, 10**400, 5]}, *GROUPS, 7])) == told(False)

    def test_links_between_bypassed_nodes_in_a_circle_end(self) -> None:
        a = node(11, "VAETuner", inputs=[("vae", "VAE", 32)], outputs=[("VAE", [31])], mode=4)
        b = node(12, "VAETuner", inputs=[("vae", "VAE", 31)], outputs=[("VAE", [32])], mode=4)
        nodes = (vae(1, "a.safetensors", 10), sender(3, 10), a, b, decoder(33))
        links = ((31, 11, 0, 12, 0, "VAE"), (32, 12, 0, 11, 0, "VAE"), (33, 12, 0, 7, 0, "VAE"))
        paths(graph(*nodes, links=links))


def test_bytes_too() -> None:
    assert models_in(b'{"nodes": [], "extra": {"ue_links": [1, {"downstream": []}]}}').models == ()

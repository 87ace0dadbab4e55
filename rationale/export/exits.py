"""A graph that says where its text may stop → one that really stops there.

What a traced graph computes after an exit is moved, node by node, into the branch of an `If` that runs only
where the text goes on. Weights stay where they are: a branch sees what stands around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Node = Any  # onnx.NodeProto
ValueInfo = Any  # onnx.ValueInfoProto


@dataclass(frozen=True)
class ExitNames:
    """The names of what a graph gives after a layer: whether the text stops, and what is then found."""

    stops: str
    found: tuple[str, ...]


def with_exits(graph: Any, n_found: int) -> None:
    """Let a graph stop where it may, in place.

    Args:
        graph: an `onnx.GraphProto`. Its first `n_found` outputs are what is found at the end; then follow,
            for each exit in turn, whether the text stops there, [1], and what is then found.
        n_found: how many values are found.
    """
    names = [output.name for output in graph.output]
    step = n_found + 1
    exits = [
        ExitNames(row[0], tuple(row[1:]))
        for row in (names[at : at + step] for at in range(n_found, len(names), step))
    ]
    final = list(graph.output[:n_found])
    nodes = _stopping(_given_last(list(graph.node), names[:n_found]), exits, final)
    del graph.node[:], graph.output[n_found:]
    graph.node.extend(nodes)


def _stopping(nodes: Sequence[Node], exits: Sequence[ExitNames], outputs: Sequence[ValueInfo]) -> list[Node]:
    """Return nodes that give the outputs, or what the first exit found where the text stops there."""
    import onnx

    if not exits:
        return list(nodes)
    (first, *later), names = exits, [output.name for output in outputs]
    before = _needed(nodes, {first.stops, *first.found})
    after = [node for node in nodes if not any(node is one for one in before)]
    at_end = [_renamed(output, f"{output.name}.after.{first.stops}") for output in outputs]
    goes_on = _stopping(_giving(after, names, at_end), later, at_end)
    as_found = [_renamed(output, f"{output.name}.at.{first.stops}") for output in outputs]
    stays = [
        onnx.helper.make_node("Identity", [a], [b.name]) for a, b in zip(first.found, as_found, strict=True)
    ]
    choice = onnx.helper.make_node(
        "If",
        [first.stops],
        names,
        then_branch=onnx.helper.make_graph(stays, "stops", [], as_found),
        else_branch=onnx.helper.make_graph(goes_on, "goes_on", [], at_end),
    )
    return [*before, choice]


def _needed(nodes: Sequence[Node], wanted: set[str]) -> list[Node]:
    """Return the nodes, in their order, that the wanted values depend on."""
    wanted, found = set(wanted), list[Node]()
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


def _given_last(nodes: list[Node], names: Sequence[str]) -> list[Node]:
    """Return nodes that give these values in the end, though an exit may have found the very same before."""
    import onnx

    early = [f"{name}.early" for name in names]
    _rename(nodes, dict(zip(names, early, strict=True)))
    return nodes + [onnx.helper.make_node("Identity", [a], [b]) for a, b in zip(early, names, strict=True)]


def _giving(nodes: Sequence[Node], names: Sequence[str], outputs: Sequence[ValueInfo]) -> list[Node]:
    """Return nodes that give values under other names: those around a branch may not be given again."""
    _rename(nodes, {name: output.name for name, output in zip(names, outputs, strict=True)})
    return list(nodes)


def _rename(nodes: Sequence[Node], new: dict[str, str]) -> None:
    for node in nodes:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]


def _renamed(value: ValueInfo, name: str) -> ValueInfo:
    import onnx

    other = onnx.ValueInfoProto()
    other.CopyFrom(value)
    other.name = name
    return other

"""A graph that reports where its text may stop → a graph that really stops there.

The nodes that a traced graph computes after an exit are moved into a branch of an `If`, which runs only if
the text continues. Weights stay where they are: a branch can read the values of the graph around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Node = Any  # onnx.NodeProto
ValueInfo = Any  # onnx.ValueInfoProto


@dataclass(frozen=True)
class ExitNames:
    """The names of a graph's values after a layer: whether the text stops, and the results if it does."""

    stops: str
    found: tuple[str, ...]


def with_exits(graph: Any, n_found: int) -> None:
    """Make a graph stop at its exits, in place.

    Args:
        graph: an `onnx.GraphProto`. Its first `n_found` outputs are the results at the end; then follow, for
            each exit in turn, whether the text stops there, [1], and the results if it does.
        n_found: the number of results.
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
    """Return nodes that compute the outputs, or the first exit's results if the text stops there."""
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
    """Return nodes that write these values last, even if an exit has already computed the same values."""
    import onnx

    early = [f"{name}.early" for name in names]
    _rename(nodes, dict(zip(names, early, strict=True)))
    return nodes + [onnx.helper.make_node("Identity", [a], [b]) for a, b in zip(early, names, strict=True)]


def _giving(nodes: Sequence[Node], names: Sequence[str], outputs: Sequence[ValueInfo]) -> list[Node]:
    """Return nodes that write values under other names: a branch may not reuse the names around it."""
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

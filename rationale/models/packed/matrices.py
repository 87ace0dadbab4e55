"""Where each family of classifiers keeps the matrices that can be pruned: a table, one line per family.

A model matches the line that names every parameter of its layers and of the encoder around them, so that
nothing with heads, units or hidden dimensions is forgotten. `pruning.cut` tries a line before it relies on
it.

Axes: H head, or group of heads that share their keys; F FFN unit, D hidden width; n of them kept, w rows
each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from eraser import Fault, InputError
from rationale.models.packed.layers import base_of, layers_of


@dataclass(frozen=True)
class Family:
    """Names of a family's parts, those in a layer first; what is not there is passed over.

    `Wqkv*3` is one matrix of three, one below the other. Where no norm `writes` the residual stream, the
    matrices out of heads and units do; norms that only read it stand before them.
    """

    attention: str  # the module that attends; left out where no head is left
    into_heads: str  # in that module
    out_of_heads: str
    into_units: str
    out_of_units: str
    head: str  # in the encoder or around it: its first matrix reads the last states
    writes: str = ""
    reads: str = ""
    of_a_head: str = ""  # norms in the attention that are as wide as one head and stay
    start: str = ""  # in the encoder: what embeddings go through before the layers
    end: str = ""  # in the encoder: the norm after the layers
    distances: str = ""  # in the encoder: a table whose rows go into heads as states do, and its norm


FAMILIES = {
    "BERT-likes": Family(
        "attention.self", "query key value", "attention.output.dense", "intermediate.dense", "output.dense",
        head="pooler classifier", writes="attention.output.LayerNorm output.LayerNorm",
        start="embeddings.LayerNorm embeddings_project encoder.embedding_hidden_mapping_in"),
    "DistilBERT": Family(
        "attention", "q_lin k_lin v_lin", "attention.out_lin", "ffn.lin1", "ffn.lin2",
        head="pre_classifier", writes="sa_layer_norm output_layer_norm", start="embeddings.LayerNorm"),
    "ModernBERT": Family(
        "attn", "Wqkv*3", "attn.Wo", "mlp.Wi*2", "mlp.Wo",
        head="head", reads="attn_norm mlp_norm", start="embeddings.norm", end="final_norm"),
    "DeBERTa": Family(
        "attention.self", "query_proj key_proj value_proj pos_key_proj pos_query_proj"
        " in_proj q_bias v_bias pos_proj pos_q_proj",
        "attention.output.dense", "intermediate.dense", "output.dense",
        head="pooler", writes="attention.output.LayerNorm output.LayerNorm",
        start="embeddings.embed_proj embeddings.LayerNorm",
        distances="encoder.rel_embeddings encoder.LayerNorm"),
    "Llama-likes": Family(
        "self_attn", "q_proj k_proj v_proj", "self_attn.o_proj", "mlp.gate_proj mlp.up_proj", "mlp.down_proj",
        head="score dense", reads="input_layernorm post_attention_layernorm",
        of_a_head="q_norm k_norm", end="norm"),
    "Gemma 2 and 3": Family(
        "self_attn", "q_proj k_proj v_proj", "self_attn.o_proj", "mlp.gate_proj mlp.up_proj", "mlp.down_proj",
        head="score", writes="post_attention_layernorm post_feedforward_layernorm",
        reads="input_layernorm pre_feedforward_layernorm", of_a_head="q_norm k_norm", end="norm"),
    "Nomic and GTE": Family(
        "self_attn", "q_proj k_proj v_proj", "self_attn.o_proj", "mlp.gate_proj mlp.up_proj", "mlp.down_proj",
        head="pooler", writes="post_attention_layernorm post_mlp_layernorm", start="embeddings.LayerNorm"),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A module or a parameter, by its owner and its name there."""

    owner: nn.Module
    name: str
    stacked: int = 1  # matrices in it

    @property
    def value(self) -> Any:
        """The module or parameter itself."""
        return getattr(self.owner, self.name)

    @property
    def weight(self) -> Tensor:
        """The matrix, or the parameter."""
        weight: Tensor = getattr(self.value, "weight", self.value)
        return weight

    def of_each(self, count: int) -> int:
        """Return how many rows each of `count` heads or units has."""
        return self.weight.shape[0] // count

    def rows(self, kept: Tensor, count: int) -> Tensor:
        """Return which rows are those of the heads or units `kept` [n] among `count`."""
        width = self.of_each(count) // self.stacked  # w
        return torch.cat([spans(kept + stack * count, width) for stack in range(self.stacked)])


def spans(index: Tensor, width: int) -> Tensor:
    """Return the places of spans of one width [n·w] by their number [n]."""
    return (index[:, None] * width + torch.arange(width, device=index.device)).flatten()  # [n·w]


def parts(root: Any, names: str, inside: str = "") -> list[Part]:
    """Return those of these names that are there."""
    return list(_parts(root, names, inside))


def _parts(root: Any, names: str, inside: str) -> Iterator[Part]:
    for word in names.split():
        path, _, times = word.partition("*")
        *way, name = f"{inside}.{path}".lstrip(".").split(".")
        owner = root
        for step in way:
            owner = getattr(owner, step, None)
        if getattr(owner, name, None) is not None:
            yield Part(owner, name, int(times or 1))


class Dimensions(NamedTuple):
    """The sizes of an encoder that gates are for, and how many weights hang on each gate."""

    layers: int
    heads: int  # of each layer; groups of heads where several share their keys
    units: int
    hidden: int
    of_head: int  # weights of one head for each hidden dimension: of q, k, v and o, 4 times its width
    of_unit: int  # weights of one FFN unit: 2; where units are gated 3


@dataclass(frozen=True)
class Layer:
    """The parts of one layer."""

    module: nn.Module
    into_heads: list[Part]
    out_of_heads: nn.Linear
    into_units: list[Part]
    out_of_units: nn.Linear
    writes: tuple[nn.Module, ...]  # norms, or where there are none the matrices
    norms: tuple[nn.Module, ...]


@dataclass(frozen=True)
class Matrices:
    """The parts of a classifier that have an axis of heads, units or hidden dimensions.

    `writes` of the layers and `start` make the residual stream; `norms` are all that look along it.
    """

    family: Family
    layers: tuple[Layer, ...]
    tables: tuple[nn.Embedding, ...]  # of embeddings as wide as the stream
    project: nn.Linear | None  # from narrower embeddings to the stream
    start: tuple[nn.Module, ...]  # what writes the stream that enters the layers
    distances: tuple[Any, ...]
    norms: tuple[nn.Module, ...]
    head: nn.Linear

    @property
    def writes(self) -> tuple[nn.Module, ...]:
        """All that write the stream."""
        return (*self.start, *(w for layer in self.layers for w in layer.writes))


def family_of(model: PreTrainedModel) -> Family:
    """Return the line of the table that a classifier is of, or refuse it."""
    if getattr(model.config, "is_encoder_decoder", False):
        raise uncuttable(model, "an encoder and a decoder")
    layers = layers_of(model)
    fitting = (f for f in FAMILIES.values() if layers and all(_fits(f, layer) for layer in layers))
    family = next(fitting, None)
    if family is None:
        raise uncuttable(model, "its layers are of another kind")
    if unnamed := _unnamed(base_of(model), _around(family, model), layers):
        raise uncuttable(model, f"what of {unnamed[0]} to cut is not known")
    return family


def uncuttable(model: PreTrainedModel, why: str) -> InputError:
    """Return the error for a classifier that cannot be pruned."""
    expected = f"a classifier whose matrices can be cut ({', '.join(FAMILIES)})"
    return InputError(Fault(expected, f"{type(model).__name__}: {why}"))


def _fits(family: Family, layer: nn.Module) -> bool:
    """Return whether a family's line names all of a layer, and nothing that it must have is missing."""
    matrices = f"{family.out_of_heads} {family.into_units} {family.out_of_units}"
    heads = parts(layer, family.into_heads, family.attention)
    norms = parts(layer, f"{family.writes} {family.reads}")
    ends = parts(layer, f"{family.out_of_heads} {family.out_of_units}")
    named = [*heads, *norms, *parts(layer, matrices), *parts(layer, family.of_a_head, family.attention)]
    linear = [p.value for p in (*parts(layer, matrices), *heads) if not isinstance(p.value, nn.Parameter)]
    return (
        len(ends) == 2  # noqa: PLR2004 (both)
        and len(norms) == len(f"{family.writes} {family.reads}".split())
        and all(type(m) is nn.Linear for m in linear)
        and not _unnamed(layer, (p.value for p in named))
    )


def _around(family: Family, model: PreTrainedModel) -> list[Any]:
    """Return the modules of the encoder around its layers that a family's line names."""
    base = base_of(model)
    named = parts(base, f"{family.start} {family.end} {family.distances} {family.head}")
    return [*_tables(family, model), *(p.value for p in named)]


def _unnamed(root: nn.Module, named: Iterable[Any], inside: Iterable[nn.Module] = ()) -> list[str]:
    """Return the names of the parameters of a module that belong to none of these."""
    known = [p for m in (*named, *inside) for p in ([m] if isinstance(m, nn.Parameter) else m.parameters())]
    ids = {id(p) for p in known}
    return [name for name, p in root.named_parameters() if id(p) not in ids]


def _tables(family: Family, model: PreTrainedModel) -> list[nn.Embedding]:
    others = {id(p.value) for p in parts(base_of(model), family.distances)}
    tables = [m for m in base_of(model).modules() if isinstance(m, nn.Embedding)]
    return [table for table in tables if id(table) not in others]


def matrices_of(model: PreTrainedModel) -> Matrices:
    """Return the parts of a classifier that can be cut, or refuse it."""
    family, base = family_of(model), base_of(model)
    layers = tuple(_layer(family, layer) for layer in layers_of(model))
    tables = tuple(_tables(family, model))
    through = [p.value for p in parts(base, family.start)]
    project = next((m for m in through if isinstance(m, nn.Linear)), None)
    if project is not None:  # what comes before it is narrow, and stays
        tables, through = (), through[through.index(project) + 1 :]
    distances = [p.value for p in parts(base, family.distances)]
    if distances and not isinstance(distances[0], nn.Embedding):
        distances = []  # a norm of no table
    after = [p.value for p in parts(base, family.end)]
    inside = [m for layer in layers for m in layer.norms]
    return Matrices(
        family,
        layers,
        tables,
        project,
        start=tuple(through[-1:]) or (tables if project is None else (project,)),
        distances=tuple(distances),
        norms=(*through, *distances[1:], *inside, *after),
        head=_reading(family, model),
    )


def _reading(family: Family, model: PreTrainedModel) -> nn.Linear:
    """Return the first matrix that reads the last states."""
    heads = parts(base_of(model), family.head) or parts(model, family.head)
    found = (m for p in heads for m in p.value.modules() if isinstance(m, nn.Linear))
    first = next(found, None)
    if first is None:
        raise uncuttable(model, "what its head reads with is not known")
    return first


def _layer(family: Family, layer: nn.Module) -> Layer:
    out = [p.value for p in parts(layer, f"{family.out_of_heads} {family.out_of_units}")]
    writes = [p.value for p in parts(layer, family.writes)]
    norms = [*writes, *(p.value for p in parts(layer, family.reads))]
    return Layer(
        layer,
        parts(layer, family.into_heads, family.attention),
        out[0],
        parts(layer, family.into_units),
        out[1],
        tuple(writes or out),
        tuple(m for m in norms if not isinstance(m, nn.Identity)),
    )


def dimensions(model: PreTrainedModel) -> Dimensions:
    """Return the sizes of a classifier; one that is cut already has no more gates."""
    if getattr(model.config, "cut", None) is not None:
        family_of(model)
        raise InputError(Fault("a classifier that is not cut yet", f"one cut to {model.config.cut}"))
    return sizes_of(model, matrices_of(model))


def sizes_of(model: PreTrainedModel, matrices: Matrices) -> Dimensions:
    """Return the sizes of a classifier nothing of which is cut."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    found = {_sizes(layer, heads, len(matrices.layers)) for layer in matrices.layers}
    if len(found) > 1:
        raise uncuttable(model, "its layers are not all of one size")
    return found.pop()


def _sizes(layer: Layer, heads: int, n_layers: int) -> Dimensions:
    units, hidden = layer.out_of_units.in_features, layer.out_of_units.out_features
    of_heads = [p.of_each(heads) for p in layer.into_heads if p.weight.dim() > 1]
    of_unit = sum(p.of_each(units) for p in layer.into_units) + 1
    return Dimensions(
        n_layers, heads, units, hidden, sum(of_heads) + layer.out_of_heads.in_features // heads, of_unit
    )

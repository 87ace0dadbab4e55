"""An exported file in ONNX Runtime: a window → its logits, and how far each of its pieces came.

Axes: T piece of the window, C logit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np

from eraser.errors import Fault, InputError, first_line
from eraser.files.bounds import regular
from eraser.types import Floats
from rationale.text.windows import Ints, Window
from rationale.text.word_scores import BELOW_ONE

MOST = 2**31  # bytes of a file: the limit of a protocol buffer
INPUTS = ("input_ids", "token_type_ids")  # the second only where the model has types
OUTPUTS = ("logits", "layers", "contribution")
OPSET = re.compile(r"[Oo]pset (\d+) is under development.*?till opset (\d+)", re.DOTALL)
PATIENCE_S = 30.0  # for the first three pieces: a graph may hold a loop without end
FATAL = 4  # log level of the library: lesser errors are raised anyway
UNFUSED = ("SkipLayerNormFusion",)  # its operator adds and normalises several times slower than two do


@dataclass(frozen=True)
class Read:
    """The graph's output for a window: logits [C], layers each piece went through [T], its score [T]."""

    logits: Floats
    layers: Ints
    contribution: Floats

    def survived(self, depth: int) -> Floats:
        """Return each piece's score of the method `survivors` [T], of a model with `depth` layers.

        It is the number of layers that the piece survived, ties broken by contribution. If the text stopped
        early, a piece that survived every layer that ran counts as surviving all layers.
        """
        layers = np.where(self.layers == self.layers.max(), depth, self.layers)  # [T]
        found: Floats = layers + np.minimum(self.contribution, BELOW_ONE)  # [T]
        return found


@dataclass(frozen=True)
class Graph:
    """A graph that reads one text; any number of threads may use it at once."""

    session: Any
    inputs: tuple[str, ...]

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata."""
        found: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        return found

    def read(self, window: Window, how: Any = None) -> Read:
        """Return the graph's output for a window; `how` are options of ONNX Runtime for one run."""
        given = dict(zip(INPUTS, (window.ids[None], window.types[None]), strict=True))  # [1,T], [1,T]
        found = self.session.run(OUTPUTS, {name: given[name] for name in self.inputs}, how)
        logits, layers, contribution = found  # [1,C], [T], [T]
        return Read(logits[0].astype(np.float64), layers, contribution.astype(np.float64))


def open_graph(path: Path, threads: int) -> Graph:
    """Return the graph of an exported file.

    Args:
        path: the file.
        threads: how many cores one text may take.

    Raises:
        InputError: the file is not ONNX, or ONNX Runtime cannot run it.
    """
    if threads < 1:
        raise InputError(Fault("at least 1 thread", str(threads)))
    _check_size(path)
    import onnxruntime

    onnxruntime.set_default_logger_severity(FATAL)  # of what belongs to no session: it would write in colours
    try:
        session = session_of(path, threads)
    except Exception as error:  # the library has a class for each cause, and no common base class
        raise InputError(_why(error, onnxruntime.__version__, path)) from None
    return Graph(session, tuple(i.name for i in session.get_inputs()))


def session_of(graph: Path | bytes, threads: int, without: Sequence[str] = UNFUSED) -> Any:
    """Return a session of ONNX Runtime on a graph, with none of its optimisers named in `without`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = FATAL
    given = graph if isinstance(graph, bytes) else str(graph)
    on = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(given, options, on, disabled_optimizers=list(without))


def check_places(graph: Graph, path: Path) -> None:
    """Refuse a graph whose inputs or outputs are not those of an export."""
    outputs = tuple(o.name for o in graph.session.get_outputs())
    if graph.inputs not in (INPUTS, INPUTS[:1]) or outputs != OUTPUTS:
        expected = f"a graph {', '.join(INPUTS)} → {', '.join(OUTPUTS)}"
        got = f"{', '.join(graph.inputs)} → {', '.join(outputs)}"
        raise InputError(Fault(expected, got, path))


def check_largest(graph: Graph, largest: int, path: Path, labels: Sequence[str]) -> None:
    """Refuse a tokenizer with ids for which the graph has no embedding, or logits without names.

    The only way to see how many embeddings a graph has is to look up the last one.
    """
    ids = np.array([0, largest, largest])  # [T]
    zeros = np.zeros_like(ids)  # [T]
    try:
        with _ended_after(PATIENCE_S) as how:
            found = graph.read(Window(ids, zeros, zeros, zeros), how)
    except Exception as error:  # as above
        if "out of" in str(error) or "bounds" in str(error):
            why = f"its tokenizer does not belong to its model, which has no embedding of id {largest}"
            raise InputError(Fault.of(why, path)) from None
        if how.terminate:
            why = f"the graph takes more than {PATIENCE_S:g} s for three pieces"
            raise InputError(Fault.of(why, path)) from None
        raise InputError(Fault.of(f"the graph does not run: {first_line(error)}", path)) from None
    logits, pieces = found.logits.shape, found.layers.shape  # [C], [T]
    if logits not in {(len(labels),), (1,)} or (pieces, found.contribution.shape) != (ids.shape,) * 2:
        got = f"{logits}, {pieces} and {found.contribution.shape} of {len(ids)} pieces"
        raise InputError(Fault(f"logits of {len(labels)} labels, and a number for each piece", got, path))


@contextmanager
def _ended_after(seconds: float) -> Iterator[Any]:
    """Lend options by which ONNX Runtime gives up a run that takes longer."""
    import onnxruntime

    how = onnxruntime.RunOptions()
    timer = Timer(seconds, setattr, (how, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        yield how
    finally:
        timer.cancel()


def _check_size(path: Path) -> None:
    """Refuse anything but a regular file, and files larger than any ONNX file."""
    try:
        with regular(path) as file:
            size = file.seek(0, 2)
    except IsADirectoryError:
        raise InputError(Fault("the file of an exported model", "a folder", path)) from None
    if size > MOST:
        raise InputError(Fault.of(f"the file is larger than {MOST} bytes", path))


def _why(error: Exception, version: str, path: Path) -> Fault:
    """Return what is wrong with a file that ONNX Runtime cannot load."""
    if found := OPSET.search(str(error)):
        expected = f"an opset up to {found[2]}, as onnxruntime {version} reads (a newer one may read more)"
        return Fault(expected, f"opset {found[1]}", path)
    return Fault.of(f"not an ONNX file that onnxruntime {version} can run: {first_line(error)}", path)

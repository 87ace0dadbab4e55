"""The command `rationale export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eraser import Fault, InputError
from rationale.cli.options import DataPath, DatasetName, LabelNames, Threads, label_names, use_threads
from rationale.process.terminal import digits, say, say_next

if TYPE_CHECKING:
    from eraser import Dataset
    from rationale.hf.classifier import Classifier

WINDOWS = 100  # on which a graph, and texts on which its tokenizer, is checked


def export_model_command(  # noqa: PLR0913 (one option each)
    out: Annotated[Path, typer.Option(help="The ONNX file.")],
    model: Annotated[
        str | None, typer.Option(help="Model folder or hub id; by default the shipped model.")
    ] = None,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Round weights to int8 if accuracy on the split stays within --tolerance."
        ),
    ] = False,
    tolerance: Annotated[
        float,
        typer.Option(help="With --int8: share of accuracy it may lose to float32 on the same texts."),
    ] = 0.01,
    dataset: DatasetName = None,
    data: DataPath = None,
    split: Annotated[str, typer.Option(help="Split used to check the file.")] = "val",
    limit: Annotated[
        int | None, typer.Option(min=1, help="With --int8: use only the first N texts of the split.")
    ] = None,
    labels: LabelNames = None,
    max_length: Annotated[int | None, typer.Option(help="Most pieces per window.")] = None,
    threads: Threads = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an exported file of this suite.")
    ] = False,
) -> None:
    """Write a model as one ONNX file that drops tokens and stops early inside the graph.

    The file returns logits, the layer that each word piece reached, and its contribution. It needs no torch.
    """
    from eraser.load import load
    from rationale.export.graph import finished, traced, write
    from rationale.export.pieces import check_pieces
    from rationale.hf.classifier import SHIPPED, load_classifier

    use_threads(threads)
    _check(out, overwrite, int8, tolerance, limit)
    if model is not None and out.resolve().parent == Path(model).resolve():
        raise InputError(
            Fault.of("the model's own folder, which is only read; choose another --out", out.parent)
        )
    loaded = load(dataset, data, split=split)
    classifier = load_classifier(
        model or SHIPPED, labels=label_names(labels), device="cpu", max_length=max_length
    )
    check_pieces(classifier, [loaded.text(e) for e in loaded.examples(split)[:WINDOWS]], out)
    proto = traced(classifier)
    _check_graph(classifier, finished(proto, classifier, "float32"), loaded, split)
    if int8:
        proto = _int8(classifier, proto, loaded, split, limit, tolerance)
    write(finished(proto, classifier, "int8" if int8 else "float32"), out)
    say(f"{out}: {out.stat().st_size / 1e6:.1f} MB")
    say_next("serve", "--model", out)


def _check(out: Path, overwrite: bool, int8: bool, tolerance: float, limit: int | None) -> None:
    """Refuse invalid options before anything is loaded."""
    from rationale.export.graph import is_exported

    if not 0 <= tolerance <= 1:
        raise InputError(Fault("a tolerance between 0 and 1", f"{tolerance:g}"))
    if limit is not None and not int8:
        raise InputError(Fault.of("--limit needs --int8, which it limits"))
    if out.suffix != ".onnx":
        raise InputError(Fault("a file that ends in .onnx", out.name))
    if out.exists() and not overwrite:
        raise InputError(Fault.of("the file is already there: --overwrite replaces it", out))
    if out.exists() and not is_exported(out):
        raise InputError(Fault.of("no file of `rationale export`, so it is not replaced", out))


def _check_graph(classifier: Classifier, graph: Any, loaded: Dataset, split: str) -> None:
    """Refuse a graph that does not match the model; print how it was checked."""
    from rationale.export.parity import parity, read_by_graph, read_by_model

    texts = [loaded.text(e) for e in loaded.examples(split)[:WINDOWS]]
    windows = [w for of_text in classifier.encoder.encode(texts) for w in of_text][:WINDOWS]
    found = parity(read_by_model(classifier, windows), read_by_graph(graph, windows))
    found.check()
    say(
        f"float32: logits within {found.logits:.1g} of the model's, the same pieces kept in"
        f" {found.n - found.other_pieces} of {found.n} windows ({loaded.name} {split})"
    )


def _int8(  # noqa: PLR0913 (what it is judged by)
    classifier: Classifier, proto: Any, loaded: Dataset, split: str, limit: int | None, tolerance: float
) -> Any:
    """Return the int8 form that is good enough; print the loss of each form that was tried."""
    from rationale.export.int8 import Labelled, int8_forms
    from rationale.text_classifier import labelled_as

    named = labelled_as(classifier, loaded.labels, "the model")
    tried = int8_forms(proto, Labelled(named, loaded, split, limit), tolerance)
    for form in tried:
        loss = form.loss
        say(
            f"int8, {form.form}: accuracy lost {digits(loss.value)} [{digits(loss.low)}, {digits(loss.high)}]"
            f" (n = {loss.n}); same label {digits(form.same_label)} of texts,"
            f" same layer reached {digits(form.readings.pieces)} of pieces"
        )
    return tried[-1].proto

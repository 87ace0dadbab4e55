"""The commands of `rationale`. They import what they need when they run: scoring needs no torch."""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eraser.errors import Fault, InputError, fault_lines, first_line
from eraser.files.whole import is_text, name_fault
from rationale import __version__
from rationale.cli.bench import bench_command
from rationale.cli.data import agreement_lines, export_command, first_command, import_command, listed
from rationale.cli.deploy.export import export_model_command
from rationale.cli.deploy.predict import predict_command
from rationale.cli.deploy.serve import serve_command
from rationale.cli.evaluate import compare_command, evaluate_command, pool_command
from rationale.cli.exits.command import exits_command
from rationale.cli.explanations.importing import explanations_app
from rationale.cli.llm import llm_app
from rationale.cli.options import (
    AsJson,
    DataPath,
    DatasetName,
    ExtraLabels,
    Overwrite,
    SayUnscorable,
    ScoreLabels,
    SkipUnscorable,
    Split,
    label_names,
)
from rationale.cli.protocols.hatexplain import protocol_app
from rationale.cli.reproduce.adapler import reproduce_app
from rationale.cli.reproduce.hatexplain import reproduce_hatexplain_command
from rationale.cli.speeds import speeds_command
from rationale.cli.texts.attribute import attribute_command
from rationale.cli.texts.explain import explain_command
from rationale.cli.train import train_app, tune_app
from rationale.cli.trust.command import trust_command
from rationale.cli.viewer import app_command
from rationale.process.extras import installs
from rationale.process.terminal import digits, say, say_json, say_lines, say_next

if TYPE_CHECKING:
    from eraser.official.skipping import LeftOut

LEAST = 1_500_000_000  # bytes of address space, which the libraries of a model take when they are imported
LIGHT = frozenset(
    ("data", "explanations", "score", "check", "compare", "pool", "predict", "serve")
    + ("--help", "-h", "--version")
)  # commands that import none of them
EXTRAS = {"ray": "ray", "streamlit": "app", "onnx": "export", "onnxscript": "export"} | dict.fromkeys(
    ("onnxruntime", "tokenizers", "fastapi", "uvicorn", "prometheus_client"), "serve"
)  # of a library that is not installed; of all others models
MOST_DIGITS = 3  # of the terminal's width in COLUMNS; help is padded to it, so a million would never end
NO_MEMORY = "expected more memory than there is, or than a limit leaves"

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Evaluate explanations of text classifiers: agreement with annotators, faithfulness and cost.",
)
data_app = typer.Typer(no_args_is_help=True, help="Import, export, list, fetch and describe data sets.")
app.add_typer(data_app, name="data")
data_app.command("import")(import_command)
data_app.command("export")(export_command)
app.add_typer(explanations_app, name="explanations")
app.add_typer(train_app, name="train")
app.add_typer(tune_app, name="tune")
app.add_typer(llm_app, name="llm")
reproduce_app.command("hatexplain")(reproduce_hatexplain_command)
app.add_typer(reproduce_app, name="reproduce")
app.add_typer(protocol_app, name="protocol")
app.command("explain")(explain_command)
app.command("evaluate")(evaluate_command)
app.command("trust")(trust_command)
app.command("attribute")(attribute_command)
app.command("bench")(bench_command)
app.command("compare")(compare_command)
app.command("pool")(pool_command)
app.command("speeds")(speeds_command)
app.command("export")(export_model_command)
app.command("exits")(exits_command)
app.command("app")(app_command)
app.command("predict")(predict_command)
app.command("serve")(serve_command)


def _print_version(asked: bool) -> None:
    """Print the version and exit."""
    if asked:
        say(f"rationale {__version__}")
        raise typer.Exit


@app.callback()
def rationale(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """Evaluate explanations of text classifiers: agreement with annotators, faithfulness and cost."""


def run(command: Callable[[], object]) -> None:
    """Run a command line; each error is one line on standard error, and exit code 2."""
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name or an id may be what no encoding can write
        sys.stdout.reconfigure(errors="backslashreplace")
    if len(os.environ.get("COLUMNS", "")) > MOST_DIGITS:
        del os.environ["COLUMNS"]
    try:
        _refuse_small_limit(sys.argv[1:2])
        command()
    except Exception as error:
        if not (lines := _told(error)):
            raise
        for line in lines:
            say(f"error: {line}", err=True)
        raise SystemExit(2) from None


def _told(error: Exception) -> list[str]:
    """Return what to say of an error, one line per fault; empty if it is a bug of this program."""
    if isinstance(error, InputError):
        return str(error).splitlines()
    if out_of_memory(error):
        return [f"{NO_MEMORY}, got {first_line(error)}"]
    if isinstance(error, OSError):  # a folder that is a file, no permission, a full disk
        place = "" if error.filename is None else f"{error.filename}: "
        return [f"{place}expected a usable file or folder, got {error.strerror or error}"]
    if type(error).__name__ == "SafetensorError":  # that library's own name for an OSError
        return [f"a file of tensors cannot be read or written: {first_line(error)}"]
    if type(error).__module__.startswith("onnxruntime"):
        return [f"ONNX Runtime failed: {first_line(error)}"]
    if isinstance(error, ModuleNotFoundError):
        extra = EXTRAS.get(error.name or "", "models")
        return [f"{error.name} is not installed: {installs(extra)}"]
    odd = [a for a in sys.argv if not is_text(a)] if isinstance(error, UnicodeEncodeError) else []
    return [str(name_fault(a)) for a in odd[:1]]


def _refuse_small_limit(command: Sequence[str]) -> None:
    """Refuse a memory limit in which torch cannot be imported: libraries would abort the process."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit not in (resource.RLIM_INFINITY, -1) and limit < LEAST and not LIGHT.issuperset(command):
        got = f"a limit of {limit / 1e9:.1f} GB (ulimit -v)"
        raise InputError(Fault(f"at least {LEAST / 1e9:.1f} GB of memory for a model", got))


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out: for numbers, a file, or a library's code."""
    signs = ("memory", "bad_alloc", "failed to map segment", "can't start new thread")
    libraries = isinstance(error, RuntimeError | ImportError) and any(s in str(error) for s in signs)
    refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or refused or libraries


@data_app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data sets that can be downloaded, and where the downloaded ones are."""
    from eraser.data.catalog import status

    rows = status()
    if as_json:
        say_json([vars(row) | {"path": str(row.path)} for row in rows])
        return
    for row in rows:
        place = f" ({row.path})" if row.state == "here" else ""
        say(f"{row.name:20} {row.state:10} {row.description}{place}")
    here = [row.name for row in rows if row.state == "here"]
    say_next("data", *(("describe", "--dataset", here[0]) if here else ("fetch", rows[0].name)))


@data_app.command("fetch")
def data_fetch(
    names: Annotated[
        list[str], typer.Argument(help="Names of data sets, as printed by `rationale data list`.")
    ],
    force: Annotated[bool, typer.Option(help="Download data sets again that are already here.")] = False,
) -> None:
    """Download data sets into the cache folder, check and unpack them."""
    from eraser.data.catalog import ARCHIVES
    from eraser.download import fetch

    for name in names:
        say(f"{name}: {fetch(name, force=force)}")
        if None in ARCHIVES[name].sha256.values():
            say(
                f"note: no checksum of {name} is known, so what was downloaded could not be compared with one"
            )
    first = ARCHIVES[names[0]]
    if first.own:
        say_next("data", "import", "--file", fetch(first.name) / next(iter(first.files)), "--out", first.name)
    else:
        say_next("data", "describe", "--dataset", first.name)


@data_app.command("describe")
def data_describe(
    dataset: DatasetName = None,
    data: DataPath = None,
    as_json: AsJson = False,
    table: Annotated[
        Path | None, typer.Option(help="CSV file to write the table to, one row a split.")
    ] = None,
) -> None:
    """Print what a data set contains and what was left out of it."""
    from eraser.describe import describe, table_of
    from eraser.files.cells import as_csv
    from eraser.files.whole import write_text
    from eraser.load import load
    from eraser.metrics.annotators import agreement_rows

    loaded = load(dataset, data)
    found = describe(loaded)
    if table is not None:
        write_text(table, as_csv(table_of(found, digits)))
    agreement = agreement_rows(loaded)
    if as_json:
        splits = {split: facts.record for split, facts in found.items()}
        facts = {"name": loaded.name, "labels": loaded.labels, "notes": loaded.notes, "splits": splits}
        more = {"agreement": agreement} if agreement else {}
        say_json(facts | more)
        return
    say(f"{loaded.name}: labels {listed(list(loaded.labels))}")
    for split, of_split in found.items():
        for number, part in enumerate(of_split.lines(digits)):
            say(f"  {split if number == 0 else '':6}{part}")
    for line in agreement_lines(agreement):
        say(line)
    for note in loaded.notes:
        say(f"  note: {note}")
    say_next(*first_command(loaded, data, dataset))


@app.command("compress")
def compress_command(
    model: Annotated[Path, typer.Option(help="Folder of a trained classifier.")],
    out: Annotated[Path, typer.Option(help="Folder for the compressed copy.")],
    overwrite: Overwrite = False,
) -> None:
    """Store a model at about a quarter of its size: matrices in 8 bits, the rest in 16."""
    from rationale.hf.compress import compress

    say(f"{out}: {digits(compress(model, out, overwrite) / 1e6)} MB")
    say_next("app", "--model", out)


@app.command("score")
def score_command(  # noqa: PLR0913 (one option each)
    predictions: Annotated[
        Path, typer.Option(help="Predictions, a .jsonl file in ERASER's official format.")
    ],
    data: Annotated[Path, typer.Option(help="Data set in ERASER format, a folder or .tar.gz.")],
    split: Split = "test",
    official: Annotated[
        Path | None, typer.Option(help="File to write the official scorer's JSON to, besides printing it.")
    ] = None,
    extra_label: ExtraLabels = None,
    labels: ScoreLabels = None,
    skip_invalid: SkipUnscorable = False,
) -> None:
    """Score any system's predictions as the official ERASER scorer does; needs no torch."""
    from eraser.data.source import Source
    from eraser.files.whole import write_text
    from eraser.official.records import ScorerOptions
    from eraser.official.scorer import score_official, score_valid

    extra, names, source = tuple(extra_label or ()), label_names(labels) or (), Source(data)
    if skip_invalid:
        options = ScorerOptions(extra_labels=extra, labels=names)
        found, left_out = score_valid(source, split, predictions, options)
        _say_left_out(left_out, err=True)
    else:
        found = score_official(source, split, predictions, extra_labels=extra, labels=names)
    text = json.dumps(found, indent=4, sort_keys=True)
    if official is not None:
        write_text(official, text + "\n")
    say_lines(text)
    same = _same(predictions, data, split, extra, labels)
    say_next("check", *same, err=True)  # standard output is JSON


@app.command("check")
def check_command(
    predictions: Annotated[
        Path, typer.Option(help="Predictions, a .jsonl file in ERASER's official format.")
    ],
    data: Annotated[Path, typer.Option(help="Data set in ERASER format, a folder or .tar.gz.")],
    split: Split = "test",
    extra_label: ExtraLabels = None,
    labels: ScoreLabels = None,
    skip_invalid: SayUnscorable = False,
) -> None:
    """List all errors of a prediction file; exit code 2 if the official scorer would refuse it."""
    from eraser.data.source import Source
    from eraser.official.check import check_predictions
    from eraser.official.records import ScorerOptions
    from eraser.official.scorer import score_valid

    extra = tuple(extra_label or ())
    settings = ScorerOptions(extra_labels=extra, labels=label_names(labels) or ())
    found = check_predictions(Source(data), split, predictions, settings)
    for warning in fault_lines(found.warnings):
        say(f"warning: {warning}")
    if found.faults and not skip_invalid:
        raise InputError(*found.faults)
    skip = ("--skip-invalid",) if found.faults else ()
    if found.faults:
        _say_left_out(score_valid(Source(data), split, predictions, settings)[1])
    else:
        say(f"{predictions}: no errors, {len(found.warnings)} warnings")
    say_next("score", *_same(predictions, data, split, extra, labels), *skip)


def _same(
    predictions: Path, data: Path, split: str, extra_labels: Sequence[str], labels: str | None
) -> list[object]:
    """Return the given options that `score` and `check` share."""
    extra = [word for label in extra_labels for word in ("--extra-label", label)]
    names = [] if labels is None else ["--labels", labels]
    return ["--predictions", predictions, "--data", data, "--split", split, *extra, *names]


def _say_left_out(left_out: LeftOut, err: bool = False) -> None:
    """Print what is left out of the scores, why, and what counts as wrong."""
    for line in fault_lines(left_out.why):
        say(f"left out: {line}", err)
    for line in left_out.counts:
        say(line, err)
    for line in fault_lines(left_out.wrong):
        say(f"counts as wrong: {line}", err)

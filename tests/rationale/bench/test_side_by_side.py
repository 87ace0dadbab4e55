from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from eraser import InputError
from rationale.bench import side_by_side as measured
from rationale.bench.onnx_files import OnnxFiles
from rationale.bench.side_by_side import SideBySide, Timed, sample_of, side_by_side
from rationale.bench.speeds import SpeedSettings
from rationale.bench.ways import WAYS, Runner, Way, ways_named
from rationale.bench.ways_table import as_text, names_of
from rationale.hf.classifier import without_removal
from rationale.report.ways_figure import frontier_of, ways_figure
from rationale.training.dense import accuracy

pytestmark = pytest.mark.figures

SETTINGS = SpeedSettings(windows=99, batch_size=32, rounds=3)
TORCH = ("hf", "hf-bf16", "packed", "packed-bf16")


@pytest.fixture
def few(sample):
    return replace(sample, splits={**sample.splits, "test": sample.splits["test"][:6]})


def noted(monkeypatch, of=lambda _: 1):
    """Replace each way by one that gives the same class to all, and note what each was given to read."""
    read: dict[str, list[list[bytes]]] = {name: [] for name in WAYS}

    def made(name):
        def run(windows):
            read[name].append([w.ids.tobytes() for w in windows])
            return np.tile(np.float32([0, of(name)]), (len(windows), 1))

        return lambda classifier, files: Runner(list, run)

    for name, way in WAYS.items():
        monkeypatch.setitem(WAYS, name, replace(way, make=made(name), needs=()))
    return read


# --- what is read


def test_each_way_reads_each_window_once_alone_and_once_in_a_batch(adaptive, few, monkeypatch):
    read = noted(monkeypatch)
    side_by_side(without_removal(adaptive), {"m": adaptive}, few, SETTINGS)
    windows = sorted(w.ids.tobytes() for w in sample_of(adaptive, few, SETTINGS).windows)
    assert len(windows) > 6  # a long text is read in several
    for name in WAYS:
        timed = read[name][measured.WARM_UP + 1 :]
        alone = [batch for batch in timed if len(batch) == 1]
        batches = [batch for batch in timed if len(batch) > 1]
        assert sorted(ids for (ids,) in alone) == windows
        assert sorted(ids for batch in batches for ids in batch) == windows
        assert len(batches) == 3  # one a round


def test_dense_ways_run_the_dense_model_and_ours_each_of_ours(adaptive, few, monkeypatch):
    given = []
    for name, way in WAYS.items():

        def make(classifier, files, name=name):
            given.append((name, classifier))
            return Runner(list, lambda windows: np.zeros((len(windows), 2)))

        monkeypatch.setitem(WAYS, name, replace(way, make=make, needs=()))
    dense = without_removal(adaptive)
    found = side_by_side(dense, {"a": adaptive, "b": adaptive}, few, SETTINGS, ("onnx", "exported"))
    assert [(n, c is dense) for n, c in given] == [
        ("hf", True), ("onnx", True), ("exported", False), ("exported", False)
    ]  # fmt: skip
    rows = sorted(zip(found.table.model, found.table.way, found.table.ours, strict=True))
    assert rows == [
        ("a", "exported", True), ("b", "exported", True), ("dense", "hf", False), ("dense", "onnx", False)
    ]  # fmt: skip


def test_a_sample_holds_whole_texts_in_random_order(adaptive, sample):
    few = replace(adaptive, encoder=type(adaptive.encoder)(adaptive.encoder.tokenizer, 32))
    found = sample_of(few, sample, replace(SETTINGS, windows=30))
    assert 1 < len(found.examples) < 30
    assert sum(map(len, found.texts)) == len(found.windows) <= 30
    first = [e.id for e in sample.splits["test"]]
    assert [e.id for e in found.examples] != first[: len(found.examples)]
    (one,) = sample_of(few, sample, replace(SETTINGS, windows=1, rounds=1)).texts
    assert len(one) > 1  # one text at least, whole
    enough = sample_of(few, sample, replace(SETTINGS, windows=1, rounds=len(one) + 1))
    assert len(enough.examples) == 2  # a window a round at least


def test_fewer_windows_than_rounds_are_refused(adaptive, few):
    n = len(sample_of(adaptive, few, SETTINGS).windows)
    with pytest.raises(InputError) as error:
        side_by_side(adaptive, {}, few, replace(SETTINGS, rounds=n + 1), ())
    assert str(error.value) == f"expected a window for each of {n + 1} rounds, which share them, got {n}"


def test_models_that_cannot_be_compared_are_refused(adaptive, few):
    dense = without_removal(adaptive)

    def refused(model):
        with pytest.raises(InputError) as error:
            side_by_side(dense, {"m": model}, few, SETTINGS, ())
        return str(error.value)

    other = type(adaptive.encoder)(adaptive.encoder.tokenizer, 32)
    differs = "m: the model and the dense model differ in their labels"
    assert refused(replace(adaptive, labels=("a", "b"))) == differs
    pieces = "m: the model and the dense model cut texts into different pieces"
    assert refused(replace(adaptive, encoder=other)) == pieces
    head = "m: expected a model that gives each text one class, got the head sigmoid"
    assert refused(replace(adaptive, head="sigmoid")) == head
    cpu = "m: what people deploy is compared on a CPU, from float32 weights"
    assert refused(replace(adaptive, bf16=True)) == cpu


# --- what is left out


def test_a_way_that_is_not_installed_or_fails_is_a_line_and_the_others_are_timed(adaptive, few, monkeypatch):
    def fails(classifier, files):
        raise RuntimeError("no such operator\nmore")

    monkeypatch.setitem(WAYS, "onnx", Way("ONNX Runtime, float32", fails))
    monkeypatch.setitem(WAYS, "openvino", replace(WAYS["openvino"], needs=("no_such_library",)))
    named = ("hf", "onnx", "openvino", "packed")
    found = side_by_side(without_removal(adaptive), {"m": adaptive}, few, SETTINGS, named)
    assert found.skipped == (
        "left out: dense, ONNX Runtime, float32: RuntimeError: no such operator",
        "left out: dense, OpenVINO, float32: no_such_library is not installed: "
        "pip install 'rationale-suite[bench]' (in a checkout: '.[bench]')",
    )
    assert set(found.table.way) == {"hf", "packed"}
    assert as_text(found).splitlines()[-2:] == list(found.skipped)


def test_without_the_yardstick_there_is_nothing_to_compare_with(adaptive, few, monkeypatch):
    def fails(classifier, files):
        raise RuntimeError("no memory")

    monkeypatch.setitem(WAYS, "hf", replace(WAYS["hf"], make=fails))
    with pytest.raises(RuntimeError, match="no memory"):
        side_by_side(adaptive, {"m": adaptive}, few, SETTINGS, ("packed",))


def test_a_processor_without_bf16_has_no_row_of_it(adaptive, few, monkeypatch):
    monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: False)
    found = side_by_side(without_removal(adaptive), {"m": adaptive}, few, SETTINGS, TORCH)
    assert found.skipped == (
        "left out: dense, Hugging Face, bf16: this processor has no bf16 for torch",
        "left out: m, packed, bf16: this processor has no bf16 for torch",
    )


# --- what comes out


def test_accuracy_and_agreement_are_those_of_the_models_alone(adaptive, few):
    dense = without_removal(adaptive)
    found = side_by_side(dense, {"m": adaptive}, few, SETTINGS, TORCH).table.set_index("way")
    assert found.loc["hf", "agreement"] == 1
    assert found.loc["hf", "accuracy"] == accuracy(dense, few, "test")
    assert found.loc["packed", "accuracy"] == accuracy(adaptive, few, "test")
    assert found.loc["packed", "loss"] == found.loc["hf", "accuracy"] - found.loc["packed", "accuracy"]
    assert (found.n == 6).all()


def test_the_model_stays_in_float32_beside_its_bf16_copies(adaptive, few):
    side_by_side(without_removal(adaptive), {"m": adaptive}, few, SETTINGS, TORCH)
    assert {str(p.dtype) for p in adaptive.model.parameters()} == {"torch.float32"}


def test_labels_of_other_data_give_no_accuracy(adaptive, few, monkeypatch):
    noted(monkeypatch)
    other = replace(adaptive, labels=("x", "y"))
    found = side_by_side(other, {"m": other}, few, SETTINGS, ("packed",))
    assert "accuracy" not in found.table
    assert "accuracy" not in as_text(found)


def test_labels_that_were_never_named_are_the_numbers_of_the_data(adaptive, few, monkeypatch):
    noted(monkeypatch)
    named = tuple(replace(e, label=str(few.labels.index(e.label))) for e in few.splits["test"])
    numbered = replace(few, splits={"test": named})
    other = replace(adaptive, labels=("LABEL_0", "LABEL_1"))
    found = side_by_side(other, {"m": other}, numbered, SETTINGS, ("packed",))
    assert found.table.accuracy.tolist() == [np.mean([e.label == "1" for e in named])] * 2


def test_disagreement_is_counted_by_window(adaptive, few, monkeypatch):
    noted(monkeypatch, of=lambda name: -1 if name == "onnx" else 1)
    found = side_by_side(adaptive, {"m": adaptive}, few, SETTINGS, ("onnx", "packed")).table.set_index("way")
    assert found.agreement.to_dict() == {"hf": 1.0, "onnx": 0.0, "packed": 1.0}


def test_speeds_are_medians_quantiles_and_ratios_of_their_own_round():
    logits = np.zeros((4, 2), dtype=np.float32)
    base = Timed(np.array([4.0, 8.0, 4.0, 8.0]), np.array([10.0, 6.0]), logits)
    ours = Timed(np.array([1.0, 4.0, 1.0, 4.0]), np.array([2.0, 2.0]), logits)
    assert measured._speed(ours, base, 4) == {
        "p50_ms": 2500.0, "p99_ms": 4000.0,
        "faster_alone": 2.4, "faster_alone_low": 2.0, "faster_alone_high": 4.0,
        "windows_per_s": 1.0, "batched_ms": 1000.0,
        "faster_batched": 4.0, "faster_batched_low": 3.0, "faster_batched_high": 5.0,
    }  # fmt: skip


def timed(alone, batched):
    return Timed(np.array(alone), np.array(batched), np.zeros((2, 2), dtype=np.float32))


def test_the_best_of_ours_is_held_against_the_best_of_the_others():
    found = {
        ("dense", "hf"): timed([8.0, 8.0], [3.0, 5.0]),
        ("dense", "onnx"): timed([4.0, 6.0], [9.0, 9.0]),
        ("m", "packed"): timed([9.0, 9.0], [1.0, 1.0]),
        ("m", "exported"): timed([2.0, 2.0], [5.0, 5.0]),
    }
    assert list(measured._verdicts(found)) == [
        "alone, m (exported, float32) is 2.50 [2.00, 3.00] times as fast as the fastest of the others "
        "(ONNX Runtime, float32)",
        "in batches, m (packed, float32) is 4.00 [3.00, 5.00] times as fast as the fastest of the others "
        "(Hugging Face, float32)",
    ]


def test_runtimes_tuned_as_ours_is_are_compared_apart():
    found = {
        ("dense", "hf"): timed([8.0, 8.0], [4.0, 4.0]),
        ("dense", "onnx-tuned"): timed([3.0, 3.0], [6.0, 6.0]),
        ("m", "exported"): timed([2.0, 2.0], [2.0, 2.0]),
    }
    begin = "m (exported, float32) is"
    assert list(measured._verdicts(found)) == [
        f"alone, {begin} 4.00 [4.00, 4.00] times as fast as the fastest of the others "
        "(Hugging Face, float32)",
        f"alone, {begin} 1.50 [1.50, 1.50] times as fast as the fastest tuned as ours is "
        "(ONNX Runtime, float32, tuned)",
        f"in batches, {begin} 2.00 [2.00, 2.00] times as fast as the fastest of the others "
        "(Hugging Face, float32)",
        f"in batches, {begin} 3.00 [3.00, 3.00] times as fast as the fastest tuned as ours is "
        "(ONNX Runtime, float32, tuned)",
    ]


def row(way, ours, ms, right, model="dense"):
    times = {
        f"{name}{end}": 8 / ms for name in ("faster_alone", "faster_batched") for end in ("", "_low", "_high")
    }
    found = {
        "model": model,
        "way": way,
        "title": WAYS[way].title,
        "ours": ours,
        "p50_ms": ms,
        "p99_ms": 2 * ms,
    }
    found |= {**times, "windows_per_s": 1000 / ms, "batched_ms": ms, "agreement": right, "windows": 9}
    found |= {f"accuracy{end}": right + by for end, by in (("", 0.0), ("_low", -0.1), ("_high", 0.1))}
    return found | {f"loss{end}": 1 - right for end in ("", "_low", "_high")} | {"n": 9}


MADE_UP = pd.DataFrame(
    [row("exported", True, 2.0, 0.75, "m"), row("onnx-int8", False, 4.0, 0.5), row("hf", False, 8.0, 1.0)]
)


def test_table_says_how_and_which_are_ours():
    lines = as_text(SideBySide(MADE_UP, ("left out: x",), "where")).splitlines()
    assert lines[0] == "where"
    assert lines[1] == (
        "> ours; times: faster than Hugging Face's float32 pass, [least, most] of the rounds; "
        "same class: as it gives a window"
    )
    assert [line.strip().split("  ")[0] for line in lines[3:-1]] == [
        "> exported, float32", "ONNX Runtime, int8", "Hugging Face, float32"
    ]  # fmt: skip
    assert lines[3].split()[3:10] == ["2.00", "4.00", "4.00", "[4.00,", "4.00]", "500.0", "4.00"]
    assert lines[3].split()[12:] == ["0.750", "0.750", "[0.650,", "0.850]", "0.250", "[0.250,", "0.250]"]
    assert lines[-1] == "left out: x"


def test_several_models_are_named():
    both = pd.concat([MADE_UP, MADE_UP.assign(model="other")[:1]])
    assert names_of(both) == [
        "m: exported, float32", "ONNX Runtime, int8", "Hugging Face, float32", "other: exported, float32"
    ]  # fmt: skip


def test_figure_marks_ours_filled_and_joins_what_none_beats():
    figure = ways_figure(MADE_UP)
    assert [ax.get_xscale() for ax in figure.axes] == ["log", "log"]
    fills = {c.get_label(): c[0].get_markerfacecolor() for c in figure.axes[0].containers}
    assert fills["ONNX Runtime, int8"] == fills["Hugging Face, float32"] == "white"
    assert fills["exported, float32"] != "white"
    (joined,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "-")
    assert joined.get_xydata().tolist() == [[2.0, 0.75], [8.0, 1.0]]
    assert figure.axes[0].get_ylabel() == "accuracy, higher is better"
    bare = MADE_UP.drop(columns=[c for c in MADE_UP if c.startswith("accuracy")])
    assert ways_figure(bare).axes[0].get_ylabel() == "same class as Hugging Face in float32, higher is better"


def test_equal_points_of_a_frontier_are_one():
    assert frontier_of(np.array([1.0, 1.0, 2.0]), np.array([0.5, 0.6, 0.6])) == [1]


# --- names


def test_names_of_ways_come_in_the_order_of_the_table():
    assert ways_named("all") == tuple(WAYS)
    assert ways_named("none") == ()
    assert ways_named("exported-int8, hf") == ("hf", "exported-int8")


def test_unknown_ways_are_refused():
    with pytest.raises(InputError) as error:
        ways_named("onnx,tflite")
    assert str(error.value) == f"expected all, none or ways of {', '.join(WAYS)}, got 'tflite'"


# --- files of other libraries


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Where models are exported once: files are named by what a model computes."""
    return OnnxFiles(tmp_path_factory.mktemp("onnx"))


def logits(runner, windows, size):
    batches = [windows[i : i + size] for i in range(0, len(windows), size)]
    return np.concatenate([runner.run(runner.prepare(batch)) for batch in batches])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch.compile imports
@pytest.mark.parametrize("name", ["compile", "onnx", "onnx-tuned", "onnx-int8", "openvino", "openvino-bf16"])
def test_what_people_deploy_gives_the_dense_models_logits(adaptive, few, files, name):
    for library in WAYS[name].needs:
        pytest.importorskip(library)
    dense = without_removal(adaptive)
    windows = sample_of(dense, few, SETTINGS).windows
    try:
        runner = WAYS[name].make(dense, files)
    except InputError as error:
        pytest.skip(str(error))
    wanted = logits(WAYS["hf"].make(dense, files), windows, 4)
    for size in (1, 4):
        differ = np.abs(logits(runner, windows, size) - wanted)
        assert np.median(differ) < 0.1 if name.endswith(("int8", "bf16")) else differ.max() < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exported", "exported-int8"])
def test_the_exported_file_gives_the_models_logits_text_by_text(adaptive, few, files, name):
    for library in WAYS[name].needs:
        pytest.importorskip(library)
    windows = sample_of(adaptive, few, SETTINGS).windows
    int8 = name.endswith("int8")  # rounding drops other tokens, so there nothing is dropped
    model = without_removal(adaptive) if int8 else adaptive
    packed, runner = (WAYS[n].make(model, files) for n in ("packed", name))
    differ = np.abs(logits(runner, windows, 4) - logits(packed, windows, 4))
    assert np.median(differ) < 0.1 if int8 else differ.max() < 1e-4


@pytest.mark.slow
def test_weights_in_int8_leave_room_for_processors_without_vnni(adaptive, files):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = onnx.load(files.int8(files.dense(without_removal(adaptive))))
    arrays = [onnx.numpy_helper.to_array(w) for w in model.graph.initializer]
    small = [a for a in arrays if a.dtype == np.int8 and a.ndim == 2]
    assert small
    assert max(np.abs(a.astype(int)).max() for a in small) <= 64

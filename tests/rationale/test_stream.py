from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.memory import texts_file
from eraser import InputError
from rationale.explanation import explain
from rationale.settings import StreamSettings
from rationale.stream import MANIFEST, collect, read_stream, stream
from rationale.text.encode import Encoder
from rationale.text.lines import LineChunks
from tests.conftest import save_tiny
from tests.faults.processes import finish, kill_when, run, start
from tests.helpers.other_tokenizers import one_shorter, other_words

TEXTS = ["A warm , moving film .", "Dull .", "Never dull , always good and warm", "So it goes", "An end"]
METHODS = ("integrated_gradients", "attention", "random")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": f"t{i}", "text": t}) + "\n" for i, t in enumerate(TEXTS)))
    return path


def settings(file, **change):
    return replace(StreamSettings(file=str(file), model="m", methods=METHODS, chunk=2), **change)


def test_each_text_is_explained_as_alone(classifier, file, tmp_path):
    found = collect(stream(classifier, settings(file), tmp_path / "out"))
    assert (found["texts"], found["words_unread"], len(found["parts"])) == (5, 0, 3)
    assert found["words"] == sum(len(t.split()) for t in TEXTS)
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["texts"] == 5
    for method in METHODS[:2]:
        rows = list(read_stream(tmp_path / "out", [method]))
        assert [r["id"] for r in rows] == [f"t{i}" for i in range(5)]
        for text, row in zip(TEXTS, rows, strict=True):
            alone = explain(classifier, text, method, words="whitespace")
            assert tuple(row["words"]) == alone.words
            assert row["label"] == alone.label
            np.testing.assert_allclose(row["scores"], alone.scores, atol=1e-5)
            np.testing.assert_allclose(row["probs"], list(alone.probs.values()), atol=1e-6)
    assert len(list(read_stream(tmp_path / "out"))) == 15


def test_words_that_are_read_in_part_are_counted_also_when_a_run_goes_on(classifier, file, tmp_path):
    short = replace(classifier, encoder=Encoder(classifier.encoder.tokenizer, 16))
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in (f"A {'xq' * 40} film", "A film")))
    for _ in range(2):
        found = collect(stream(short, settings(file, methods=("random", "position")), tmp_path / "out"))
        assert found["notes"] == ["words longer than a window, of which only the beginning was read: 1"]
    assert [row["words_in_part"] for row in read_stream(tmp_path / "out", "random")] == [1, 0]


def test_a_method_is_read_by_its_whole_name(classifier, file, tmp_path):
    collect(stream(classifier, settings(file, methods=("attention", "attention_max")), tmp_path / "out"))
    rows = read_stream(tmp_path / "out", "attention_max")
    assert [row["method"] for row in rows] == ["attention_max"] * len(TEXTS)
    with pytest.raises(InputError) as error:
        list(read_stream(tmp_path / "out", ["atention"]))
    expected = "expected methods of the run: attention, attention_max, got 'atention'"
    assert str(error.value) == f"{tmp_path / 'out'}: {expected}"


def test_the_order_of_lines_and_the_size_of_chunks_change_nothing(classifier, file, tmp_path):
    first = collect(stream(classifier, settings(file), tmp_path / "a"))
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    second = collect(stream(classifier, settings(file, chunk=5), tmp_path / "b"))
    assert first["labels"] == second["labels"]
    rows = [
        sorted(((r["id"], r["method"], r["scores"]) for r in read_stream(tmp_path / name)), key=str)
        for name in "ab"
    ]
    for one, other in zip(*rows, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_allclose(one[2], other[2], atol=1e-5)


def test_what_is_there_is_not_computed_again(classifier, file, tmp_path, monkeypatch):
    from rationale import stream as module

    collect(stream(classifier, settings(file), tmp_path / "out"))
    monkeypatch.setattr(module, "attribute", None)
    found = collect(stream(classifier, settings(file), tmp_path / "out"))
    assert found["texts"] == 5
    with file.open("a") as more:
        more.write(json.dumps({"text": "One more"}) + "\n")
    with pytest.raises(InputError, match="holds results with other content_of_file"):
        stream(classifier, settings(file), tmp_path / "out")
    with pytest.raises(TypeError):  # the last chunk is another one now, and has to be computed
        collect(stream(classifier, settings(file), tmp_path / "out", overwrite=True))


def test_a_file_that_changes_while_it_is_read_is_noticed(classifier, file, tmp_path):
    run = stream(classifier, settings(file), tmp_path / "out")
    file.write_text(file.read_text().replace("a", "e"))
    with pytest.raises(InputError) as error:
        collect(run)
    changed = "the file changed while it was being read; run the same command with a new --out"
    assert str(error.value) == f"{file}: {changed}"
    assert not (tmp_path / "out" / MANIFEST).exists()


def test_a_query_is_read_and_has_no_scores(classifier, tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"t": "A warm film", "q": "Is it good ?"}) + "\n")
    asked = settings(path, text="t", query="q", methods=("attention",))
    collect(stream(classifier, asked, tmp_path / "out"))
    (row,) = read_stream(tmp_path / "out")
    assert row["id"] == "1"
    alone = explain(classifier, "A warm film", "attention", query="Is it good ?")
    np.testing.assert_allclose(row["scores"], alone.scores, atol=1e-6)
    assert not np.allclose(row["scores"], explain(classifier, "A warm film", "attention").scores)


def test_each_word_says_its_characters(classifier, file, tmp_path):
    file.write_text(json.dumps({"text": " A warm,  film\n\nNever dull"}) + "\n")
    for how, words in (
        (None, ["A", "warm,", "film", "Never", "dull"]),
        ("punctuation", ["A", "warm", ",", "film", "Never", "dull"]),
    ):
        found = collect(stream(classifier, settings(file, words=how), tmp_path / "out", overwrite=True))
        (row, *_) = read_stream(tmp_path / "out")
        text = json.loads(file.read_text())["text"]
        assert [text[start:end] for start, end in row["spans"]] == row["words"] == words
        assert found["settings"]["words"] == (how or "whitespace")
        assert (found["words"], found["notes"]) == (len(words), [])
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 2  # of each way to cut


def test_texts_without_spaces_are_cut_in_characters_and_it_is_told(classifier, file, tmp_path):
    rows = [{"text": t} for t in ("故事很慢", "A film", "演员很好，我喜欢")]
    file.write_text("not JSON: told when its turn comes\n" + "".join(json.dumps(r) + "\n" for r in rows))
    with pytest.raises(InputError, match=r"texts\.jsonl:1: expected one JSON object"):
        collect(stream(classifier, settings(file), tmp_path / "out"))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = settings(file, methods=("random",))
    found = collect(stream(classifier, asked, tmp_path / "out", overwrite=True))
    assert found["settings"]["words"] == "characters"
    assert found["notes"] == ["words: characters, as 2 of 3 texts are written without spaces between words"]
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["notes"] == found["notes"]
    assert [len(row["words"]) for row in read_stream(tmp_path / "out")] == [4, 2, 8]


def test_a_text_that_a_cutter_finds_no_word_in_is_named(classifier, file, tmp_path):
    file.write_text(json.dumps({"text": "a"}) + "\n" + json.dumps({"text": "\u200b"}) + "\n")
    told = r"texts\.jsonl:2: expected a text with words in 'text', cut by punctuation, got '\\u200b'$"
    with pytest.raises(InputError, match=told):
        collect(stream(classifier, settings(file, words="punctuation"), tmp_path / "out"))


@pytest.mark.parametrize(("line", "message"), [
    ('{"text": 3}', r"texts\.jsonl:6: expected a text with words in 'text', got 3"),
    ('{"text": " "}', r"texts\.jsonl:6: expected a text with words in 'text', got"),
    ('{"other": "a"}', r"texts\.jsonl:6: expected a text with words in 'text', got None"),
    ("{", r"texts\.jsonl:6: expected one JSON object, got"),
    ("[1]", r"texts\.jsonl:6: expected one JSON object, got"),
])  # fmt: skip
def test_a_bad_line_is_named_and_what_was_before_it_is_kept(classifier, file, tmp_path, line, message):
    with file.open("a") as more:
        more.write(line + "\n")
    with pytest.raises(InputError, match=message):
        collect(stream(classifier, settings(file), tmp_path / "out"))
    assert len(list((tmp_path / "out" / "parts").glob("*.parquet"))) == 2
    with pytest.raises(InputError, match="not a finished run of `rationale attribute`: no manifest"):
        list(read_stream(tmp_path / "out"))


def test_bytes_that_are_no_text(classifier, file, tmp_path):
    file.write_bytes(file.read_bytes() + b"\x81\n")
    with pytest.raises(InputError, match=r"texts\.jsonl:5: expected UTF-8 text"):
        collect(stream(classifier, settings(file), tmp_path / "out"))


def test_settings_and_files_that_cannot_be_used(classifier, file, tmp_path):
    bad = settings(file, methods=("magic", "random", "random"), chunk=0, ig_steps=0, words="lines")
    with pytest.raises(InputError) as error:
        stream(classifier, bad, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 5
    assert "expected each method once, got magic, random, random" in str(error.value)
    assert "expected words cut by whitespace, punctuation, characters, got 'lines'" in str(error.value)
    assert "'magic'" in str(error.value)
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    for path, message in ((empty, "the file is empty"), (tmp_path / "none", "expected a readable file")):
        with pytest.raises(InputError, match=message):
            stream(classifier, settings(path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("end", ["", "\n"])
def test_chunks_are_the_file(tmp_path, chunk, end):
    path = tmp_path / "x"
    path.write_bytes(("a\n\nb\r\nc\nd" + end).encode())
    lines = LineChunks(path, chunk)
    assert b"".join(lines.read(n) for n in range(len(lines))) == path.read_bytes()
    assert len(lines) == -(-5 // chunk)
    assert all(lines.read(n).count(b"\n") == chunk for n in range(len(lines) - 1))


@pytest.mark.slow
@pytest.mark.faults
def test_killed_and_gone_on_with_by_two_workers(tmp_path, tokenizer):
    save_tiny(tmp_path / "model", tokenizer)
    texts_file(tmp_path / "t.jsonl", 600)
    command = ("attribute", "--model", tmp_path / "model", "--file", tmp_path / "t.jsonl", "--chunk", 10)
    command += ("--methods", "attention", "--out")
    run(*command, tmp_path / "whole")
    parts = tmp_path / "cut" / "parts"
    kill_when(start(*command, tmp_path / "cut"), lambda: len(list(parts.glob("*.parquet"))) > 4)
    assert not (tmp_path / "cut" / MANIFEST).exists()
    run(*command, tmp_path / "cut", "--runner", "local", "--workers", 2)
    one, other = (
        [(r["id"], r["scores"], r["probs"]) for r in read_stream(tmp_path / name)]
        for name in ("whole", "cut")
    )
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize(
    "runner", ["local", *(pytest.param(name, marks=pytest.mark.faults) for name in ("accelerate", "ray"))]
)
def test_whoever_meets_a_bad_line_its_message_is_the_same(file, tmp_path, tokenizer, runner):
    save_tiny(tmp_path / "model", tokenizer)
    with file.open("a") as more:
        more.write('{"text": 3}\n')
    command = (
        "attribute",
        "--model",
        tmp_path / "model",
        "--file",
        file,
        "--methods",
        "random",
        "--chunk",
        2,
    )
    process = start(*command, "--out", tmp_path / "out", "--runner", runner, "--workers", 2)
    *_, last = finish(process, 2).strip().splitlines()
    told = "expected a text with words in 'text', got 3 (--skip-invalid leaves such rows out)"
    assert last == f"error: {file}:6: {told}"


def test_a_missing_library_is_named_with_its_extra(capsys, monkeypatch):
    from rationale import cli

    for name, extra in (("ray", "ray"), ("streamlit", "app"), ("onnx", "export"), ("torch", "models")):

        def missing(name=name):
            raise ModuleNotFoundError(name, name=name)

        monkeypatch.setattr(cli, "app", missing)
        with pytest.raises(SystemExit):
            cli.main()
        expected = f"error: {name} is not installed: pip install 'rationale-suite[{extra}]'"
        assert capsys.readouterr().err.startswith(expected)


def test_another_tokenizer_is_another_work(classifier, file, tmp_path):
    collect(stream(classifier, settings(file), tmp_path / "out"))
    for changed in (other_words(classifier, tmp_path), one_shorter(classifier)):
        with pytest.raises(InputError, match=r"holds results with other content_of_tokenizer \(\w+ there\)"):
            stream(changed, settings(file), tmp_path / "out")


def test_a_part_of_a_stranger_that_unpacks_to_a_giant_is_refused_before_it_is_held(tmp_path):
    """A word of two megabytes stands there once, and 1,024 rows say that it is theirs."""
    part = tmp_path / "parts" / "00000000-0123456789abcdef.parquet"
    part.parent.mkdir()
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 1024), ["a " * 2**20])
    table = pa.table({"word": words}).replace_schema_metadata({"part": part.stem})
    pq.write_table(table, part, compression="zstd")
    manifest = {"parts": [part.name], "settings": {"methods": ["random"]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=rf"^{part}: the file unpacks to more than 268435456 bytes$"):
        list(read_stream(tmp_path))

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict

import pytest
import torch

from benchmarks import peers
from benchmarks.ferret_half import Half, PassCache, Reading, Timed, cpu_name


def timed(name: str, explain: float, evaluate: float) -> Timed:
    return Timed(
        name, Half(explain, explain, 700, 640, 102, 9000), Half(evaluate, evaluate, 850, 200, 0, 8000)
    )


# --- the text


@pytest.mark.parametrize(
    ("room", "words"),
    [(1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (99, 3)],
)
def test_a_word_fits_with_all_its_pieces_or_not_at_all(room, words):
    assert peers.words_that_fit([0, 0, 1, 2, 2, 2], 3, room) == words


def test_words_without_pieces_at_the_end_are_kept_where_all_fits():
    assert peers.words_that_fit([0, 1], 3, 2) == 3


def test_a_reading_holds_its_specials_within_the_limit_and_marks_pieces(tokenizer):
    words = ("the", "movie", "was", "good", "and", "the", "plot", "was", "bad")
    marked = [word in ("movie", "bad") for word in words]
    pieces = tokenizer(" ".join(words), add_special_tokens=False)
    for limit in range(4, len(pieces.input_ids) + 4):
        reading = peers.read(tokenizer, "x", words, marked, limit)
        assert len(reading.ids) <= limit
        assert len(reading.marked) == len(reading.ids) - 2
        assert reading.words == words[: len(reading.words)]
        again = [tokenizer(word, add_special_tokens=False).input_ids for word in reading.words]
        assert reading.marked == tuple(int(m) for m, ids in zip(marked, again, strict=False) for _ in ids)
        if len(reading.words) < len(words):
            longer = tokenizer(" ".join(words[: len(reading.words) + 1]))
            assert len(longer.input_ids) > limit
    assert reading.words == words


# --- passes


def test_passes_count_rows_and_see_through_padding_and_embeddings():
    passes = PassCache()
    ids, real = torch.tensor([[5, 6, 0], [5, 6, 7]]), torch.tensor([[1, 1, 0], [1, 1, 1]])
    with torch.no_grad():
        passes(None, (), {"input_ids": ids, "attention_mask": real})
        passes(None, (ids[:1, :2],), {"attention_mask": real[:1, :2]})
    passes(None, (), {"inputs_embeds": torch.ones(2, 3, 4, dtype=torch.bfloat16), "attention_mask": real[1:]})
    assert (passes.rows, len(passes.seen), passes.with_gradient, passes.pieces) == (5, 3, 2, 14)


# --- the table


def test_the_table_compares_sums_and_prints_medians():
    slow = [timed("a", 20, 20), timed("b", 30, 30), timed("c", 100, 40)]
    fast = [timed("a", 4, 4), timed("b", 5, 5), timed("c", 20, 10)]
    head, peer, our = peers.table("ferret-xai 1", {"ferret-xai 1": slow, "ours, bf16": fast}).splitlines()
    assert head.split()[4:] == ["explain", "evaluate", "both", "sum", "passes", "ratio"]
    assert peer.split() == ["ferret-xai", "1", "30.00", "30.00", "60.00", "240.00", "1550", "1.00"]
    assert our == f"{'ours, bf16':18}      5.00       5.00   10.00   48.00    1550    5.00 (target: 8.0)"
    assert len(head) == len(peer)


def test_detail_says_where_the_passes_went():
    explain, evaluate = peers.detail([timed("a", 20, 21)]).splitlines()
    assert explain == (
        "  explain  700 passes, 640 distinct, 102 with gradient, 9000 pieces; 20.00 s by the clock"
    )
    assert evaluate.startswith("  evaluate 850 passes, 200 distinct, 0 with gradient")


# --- what was measured where


def test_the_cpu_is_called_what_it_calls_itself_or_its_architecture(tmp_path):
    (tmp_path / "two").write_text("flags\t: fpu\nmodel name\t: AMD EPYC 9\nmodel name\t: AMD EPYC 9\n")
    (tmp_path / "none").write_text("Features\t: fp\n")
    assert cpu_name(tmp_path / "two") == "AMD EPYC 9"
    assert cpu_name(tmp_path / "none") == cpu_name(tmp_path / "nowhere") == platform.machine()


VERSIONS = {"ferret-xai": "0.4.2", "torch": "2.13.0"}


@pytest.mark.parametrize(
    ("record", "now", "said"),
    [
        ({"cpu": "here"}, True, "measured now on here"),
        ({"cpu": "Xeon"}, False, "recorded in another run on Xeon, ours on here"),
        ({}, False, "recorded in another run on an unnamed CPU, ours on here"),
    ],
)
def test_versions_and_cpus_are_named(record, now, said):
    found = peers.origin({"versions": VERSIONS} | record, now, "here")
    assert found == f"ferret-xai 0.4.2 (torch 2.13.0) {said}"


def test_a_record_is_printed_and_passed_on_with_its_cpu(tmp_path, monkeypatch, capsys):
    record = {"versions": VERSIONS, "cpu": "Xeon", "texts": [asdict(timed("a", 1, 2))]}
    monkeypatch.setattr(peers, "readings", lambda _: [Reading("a", ("good",), (1, 2, 3), (1,))])
    monkeypatch.setattr(peers, "peer", lambda *_: (record, False))
    monkeypatch.setattr(peers, "ours", lambda *_: [timed("a", 1, 1)])
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["peers.py", "--model", str(tmp_path), "--out", str(out)])
    peers.main()
    said = "ferret-xai 0.4.2 (torch 2.13.0) recorded in another run on Xeon, ours on"
    assert f"100 LIME samples; {said} {cpu_name()}\n" in capsys.readouterr().out
    saved = json.loads(out.read_text())
    assert (saved["peer"], saved["cpu"]) == ([record | {"measured_now": False}], cpu_name())


def test_rounds_are_measured_in_turn_and_each_has_its_ratio(tmp_path, monkeypatch, capsys):
    seconds = iter([8, 4, 2, 9, 3, 1])  # peer, float32, bf16; again
    order: list[str] = []

    def peer(*_):
        order.append("peer")
        return {"versions": VERSIONS, "cpu": "here", "texts": [asdict(timed("a", next(seconds), 0))]}, True

    def ours(model, texts, precision, samples):
        order.append(precision)
        return [timed("a", next(seconds), 0)]

    monkeypatch.setattr(peers, "readings", lambda _: [Reading("a", ("good",), (1, 2, 3), (1,))])
    monkeypatch.setattr(peers, "peer", peer)
    monkeypatch.setattr(peers, "ours", ours)
    monkeypatch.setattr(sys, "argv", ["peers.py", "--model", str(tmp_path), "--rounds", "2"])
    peers.main()
    assert order == ["peer", "float32", "bf16"] * 2
    said = capsys.readouterr().out
    assert "ratio of each round:\n  ours, float32: 2.00 3.00\n  ours, bf16: 4.00 9.00\n" in said
    assert "ours, float32" in said.split("ratio of")[0]


def test_without_a_model_the_shipped_one_reads_with_nothing_removed():
    from rationale.hf.classifier import load_classifier

    with peers.model_of(None) as folder:
        classifier = load_classifier(folder, device="cpu")
        assert (type(classifier.model).__name__, classifier.labels) == (
            "BertForSequenceClassification",
            ("NEG", "POS"),
        )
    assert not folder.exists()


# --- the peer


def test_no_such_python_is_one_line(tmp_path):
    with pytest.raises(SystemExit) as stopped:
        peers.call_peer(str(tmp_path / "none"), {})
    assert str(stopped.value) == (
        f"peers.py: cannot run --peer-python {tmp_path / 'none'}: No such file or directory "
        "(its docstring says how to install the peer)"
    )


def test_a_python_without_ferret_is_one_line():
    with pytest.raises(SystemExit) as stopped:
        peers.call_peer(sys.executable, {})
    assert str(stopped.value) == (
        f"peers.py: --peer-python {sys.executable}: ferret-xai is not installed there "
        "(its docstring says how to install the peer)"
    )


def test_complaints_are_one_line():
    assert peers.complaint("a\n  b") == "peers.py: a b (its docstring says how to install the peer)"


def test_results_are_used_again_only_for_the_same_texts_and_model(tmp_path):
    (tmp_path / "model").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "model" / name).write_text(name)
    text = Reading("a", ("good",), (1, 2, 3), (1,))
    wanted = peers.settings(tmp_path / "model", [text], 100)
    file = tmp_path / "peer.json"
    record = {"settings": wanted, "texts": [asdict(timed("a", 1, 2))]}
    file.write_text(json.dumps(record))
    assert peers.recorded(file, wanted) == record
    assert peers.of_record(record) == [timed("a", 1, 2)]
    assert peers.recorded(None, wanted) is None
    assert peers.recorded(tmp_path / "none.json", wanted) is None
    others = [
        peers.settings(tmp_path / "model", [Reading("a", ("good",), (1, 2, 3), (0,))], 100),
        peers.settings(tmp_path / "model", [text], 5000),
    ]
    (tmp_path / "model" / "model.safetensors").write_text("another")
    others.append(peers.settings(tmp_path / "model", [text], 100))
    assert [peers.recorded(file, other) for other in others] == [None] * 3

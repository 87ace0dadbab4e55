"""What all tests share. Every process of a run reads this first: what is slow to import is so at its use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from eraser import Dataset
from eraser.load import load
from tests.helpers.command_line import run

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from rationale.hf.classifier import Classifier
    from rationale.models.adapler import AdaplerForSequenceClassification

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is there: files are tested side by side
hypothesis.settings.register_profile("patient", deadline=None)  # a busy machine fails no test
hypothesis.settings.load_profile("patient")

SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


FAMILIES = {"bert": "Bert", "roberta": "Roberta", "electra": "Electra"}  # name → how its classes begin


@pytest.fixture
def rationale(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """The command line, run in an empty folder; returns (exit code, output, errors)."""
    monkeypatch.chdir(tmp_path)
    return partial(run, capsys, monkeypatch)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATIONALE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _work_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a slow machine would say of how far it is, is no part of what a command says."""
    monkeypatch.setattr("eraser.progress.QUIET_S", inf)


@pytest.fixture(autouse=True, scope="module")
def _main_is_pytest() -> Iterator[None]:
    """Streamlit's AppTest leaves its page as `__main__`, which processes started later would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True, scope="module")
def _figures_are_left_blank(request: pytest.FixtureRequest) -> Iterator[None]:
    """Drawing takes longer than all else of a small run: only modules that look at figures do it."""
    from tests.helpers.blank_figures import leave_blank

    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("figures") is None:
            leave_blank(patch)
        yield


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that looks at none, in a module that draws."""
    from tests.helpers.blank_figures import leave_blank

    leave_blank(monkeypatch)


@pytest.fixture(scope="session")
def sample() -> Dataset:
    return load("sample")


def sample_tokenizer(dataset: Dataset) -> PreTrainedTokenizerBase:
    """Every word of the train split is a piece; others are spelt.

    Not learned: the library's trainer breaks ties by the order of a hash table, another one in every run.
    """
    import tokenizers
    from tokenizers import normalizers, pre_tokenizers
    from tokenizers.models import WordPiece
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = {w.lower() for e in dataset.splits["train"] for w in dataset.text(e).words}
    letters = sorted(set("".join(words)))
    pieces = dict.fromkeys([*SPECIALS.values(), *letters, *(f"##{x}" for x in letters), *sorted(words)])
    inner = tokenizers.Tokenizer(WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(t, inner.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    inner.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=256, **SPECIALS)


@pytest.fixture(scope="session")
def tokenizer(sample: Dataset) -> PreTrainedTokenizerBase:
    return sample_tokenizer(sample)


@pytest.fixture(scope="session")
def all_kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PreTrainedTokenizerBase]:
    """A tokenizer of every kind, written to a folder and loaded as a model's is."""
    from rationale.hf.classifier import load_tokenizer
    from tests.helpers.tokenizers import KINDS, trained, training_texts

    texts = training_texts()
    models = {model: trained(model, texts) for model, _ in KINDS.values()}
    root = tmp_path_factory.mktemp("kinds")
    for name, (model, make) in KINDS.items():
        make(models[model]).save_pretrained(root / name)
    return {name: load_tokenizer(root / name) for name in KINDS}


def tiny_model(family: str, tokenizer: PreTrainedTokenizerBase, labels: tuple[str, ...]) -> PreTrainedModel:
    """A random model of the family, with weights large enough that its answers differ between texts."""
    import torch
    import transformers

    torch.manual_seed(0)
    begins = FAMILIES[family]
    names = dict(enumerate(labels))
    config = getattr(transformers, f"{begins}Config")(
        vocab_size=len(tokenizer),
        hidden_size=32,
        embedding_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=130,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    model: PreTrainedModel = getattr(transformers, f"{begins}ForSequenceClassification")(config)
    return model.eval()


def dropping(dense: PreTrainedModel, eta: float = 0.6) -> AdaplerForSequenceClassification:
    """A model around a dense one, with predictors sharp enough that some tokens go and some stay."""
    import torch

    from rationale.models.adapler import AdaplerForSequenceClassification

    model = AdaplerForSequenceClassification.wrap(dense)
    torch.manual_seed(3)
    for predictor in model.contribution_predictors:
        torch.nn.init.normal_(predictor.dense.weight, std=0.5)
        torch.nn.init.normal_(predictor.scorer.weight, std=0.3)
    model.eta.data.fill_(eta)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def make_classifier(
    tokenizer: PreTrainedTokenizerBase,
) -> Callable[..., Classifier]:
    import torch

    from rationale.hf.classifier import Classifier
    from rationale.text.encode import Encoder

    def make(family: str = "bert", max_length: int = 128) -> Classifier:
        model = tiny_model(family, tokenizer, ("NEG", "POS")).requires_grad_(False)
        encoder = Encoder(tokenizer, max_length)
        return Classifier(model, encoder, ("NEG", "POS"), torch.device("cpu"))

    return make


@pytest.fixture(scope="session")
def _shared(make_classifier: Callable[..., Classifier]) -> tuple[Classifier, dict[str, Any]]:
    from tests.helpers.left_behind import state_of

    made = make_classifier()
    return made, state_of(made.model)


@pytest.fixture(scope="session")
def classifier(_shared: tuple[Classifier, dict[str, Any]]) -> Classifier:
    return _shared[0]


@pytest.fixture(autouse=True)
def _classifier_is_left_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one test changes in it would fail others, far away and only in some orders: it fails here."""
    if "_shared" not in request.fixturenames:
        yield
        return
    from tests.helpers.left_behind import changed, settings, state_of

    (shared, state), process = request.getfixturevalue("_shared"), settings()
    yield
    left = changed(state, state_of(shared.model)) + changed(process, settings())
    shared.model.load_state_dict({name: state[name] for name in shared.model.state_dict()})
    assert not left, f"left behind for the tests after this one: {left}"


@pytest.fixture
def adaptive(classifier: Classifier) -> Classifier:
    """`classifier` with removal, its very weights inside."""
    return replace(classifier, model=dropping(classifier.model))


def save_tiny(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write a random model and its tokenizer."""
    from rationale.hf.classifier import quiet

    quiet()  # else the library's progress bar is the first thing a command seems to print
    tiny_model("bert", tokenizer, ("NEG", "POS")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture
def model_folder(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> Path:
    save_tiny(tmp_path / "model", tokenizer)
    return tmp_path / "model"

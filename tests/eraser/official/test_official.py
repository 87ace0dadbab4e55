from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import pytest

from eraser.data.source import Source
from eraser.errors import InputError
from eraser.official.check import check_predictions
from eraser.official.records import ScorerOptions
from eraser.official.scorer import score_official
from tests.helpers.eraser.prediction_files import assert_same, write_lines, write_source
from tests.helpers.paths import SHARED, data, golden

FOLDER = Path(os.environ.get("RATIONALE_GOLDEN") or SHARED / "golden") / "scorer"
FILES = sorted(path.name for path in FOLDER.glob("*_official_scores*.json")) or ["(none found)"]
CASES = FOLDER / "degenerate_cases.json"
DEGENERATE = json.loads(CASES.read_text()) if CASES.is_file() else {"cases": [{"name": "(none found)"}]}
ARCHIVES = {"hatexplain": "hatexplain_eraser", "hatexplain3": "hatexplain_eraser"}


@functools.cache
def archive(path):
    return Source(path)


@pytest.mark.parametrize("name", FILES)
def test_scores_are_the_official_scorers(name):
    folder = golden() / "scorer"
    stem, libraries = name.removesuffix(".json").split("_official_scores")
    dataset = stem.split("_")[0]
    source = archive(data(ARCHIVES.get(dataset, dataset)))
    extra = ("normal",) if dataset == "hatexplain3" else ()
    found = score_official(
        source,
        "test",
        folder / f"{stem}_predictions.jsonl.gz",
        extra_labels=extra,
        libraries="pinned" if libraries == "_pinned" else "modern",
    )
    assert_same(found, json.loads((folder / name).read_text()))


# What the official scorer ends at, in our words; {p} is the prediction file, {g} gold.
REFUSED = {
    "later_has_no_rationales_soft": "{p}:2: a2: soft_rationale_predictions is missing, but is in the other 6 "
    "predictions",
    "all_zero_length_predictions": "{p}:1: a1: all predicted spans are empty (1:1, …)",
    "no_instances": "{p}: no predictions",
    "missing_instances_with_classification": "{p}: a2: no prediction for this annotation of {g} "
    "(--skip-invalid scores the rest)",
    "unknown_document": "{p}:1: a1: expected a docid of the data set, got 'nope'",
    "duplicate_annotation_id": "{p}:8: a1: duplicate annotation_id, first on line 1",
    "soft_wrong_length": "{p}:1: a1: expected 20 soft_rationale_predictions, one for each token of d1, "
    "got 19",
    "soft_missing_in_one": "{p}:2: a2: soft_rationale_predictions is missing, "
    "but is in the other 6 predictions",
    "soft_missing_in_one_of_two": "{p}:6: a6: expected soft_rationale_predictions for all of its 2 "
    "documents, got for 1",
    "soft_null_everywhere": "{p}:1: a1: expected a list of soft_rationale_predictions for d1, got None",
    "hard_null": "{p}:2: a2: expected a list of hard_rationale_predictions for d2, got None",
    "sentence_scores_wrong_length": "{p}:1: a1: expected 3 soft_sentence_predictions, one for each sentence "
    "of d1, got 2",
    "classification_unknown_label": "{p}:3: a3: expected one of the labels ['X', 'Y'], got 'Z'",
    "classification_without_scores": "{p}:1: a1: classification needs classification_scores, "
    "which is missing",
    "scores_without_classification": "{p}:1: a1: classification_scores needs classification, "
    "which is missing",
    "classification_missing_in_one": "{p}:4: a4: classification is missing, "
    "but is in the other 6 predictions",
    "comp_missing_label": "{p}:1: a1: expected comprehensiveness_classification_scores with a number for "
    "'X', got {{'Y': 0.37}}",
    "thresholds_fewer": "{p}:1: a1: expected thresholded_scores with each AOPC threshold of "
    "[0.01, 0.05, 0.1, 0.2, 0.5] once, got [0.01, 0.05, 0.1, 0.5]",
    "thresholds_repeated": "{p}:1: a1: expected thresholded_scores with each AOPC threshold of "
    "[0.01, 0.05, 0.1, 0.2, 0.5] once, got [0.01, 0.05, 0.1, 0.2, 0.5, 0.5]",
    "thresholds_without_comp": "{p}:1: a1: thresholded_scores needs "
    "comprehensiveness_classification_scores, which is missing",
    "tokens_to_flip": "{g}:3: a3: the evidence documents have no tokens to divide tokens_to_flip by",
    "strict_without_classification": "{p}:1: a1: strict scoring needs a classification",
}


def options(arguments):
    """The official command line's arguments as ours."""
    found, name = {}, ""
    for argument in arguments:
        if argument.startswith("--"):
            name = argument.removeprefix("--")
            found[name] = True if name == "strict" else []
        else:
            found[name].append(float(argument))
    return found


@pytest.mark.parametrize("libraries", ["modern", "pinned"])
@pytest.mark.parametrize("case", DEGENERATE["cases"], ids=lambda case: case["name"])
def test_degenerate_files_end_as_officially(case, libraries, tmp_path):
    golden()
    gold = DEGENERATE["dataset"]
    source = write_source(tmp_path, gold["annotations"], gold["docs"], gold["split"])
    path = write_lines(tmp_path / "predictions.jsonl", case["predictions"])
    arguments = options(case["args"])
    official = case["official"][libraries]
    if official["outcome"] == "scores":
        assert_same(
            score_official(source, gold["split"], path, libraries=libraries, **arguments), official["scores"]
        )
        assert check_predictions(source, gold["split"], path, ScorerOptions(**arguments)).faults == ()
        return
    with pytest.raises(InputError) as caught:
        score_official(source, gold["split"], path, libraries=libraries, **arguments)
    expected = REFUSED[case["name"]].format(p=path, g=tmp_path / f"{gold['split']}.jsonl")
    assert str(caught.value).splitlines()[0] == expected
    assert (
        check_predictions(source, gold["split"], path, ScorerOptions(**arguments)).faults
        == caught.value.faults
    )

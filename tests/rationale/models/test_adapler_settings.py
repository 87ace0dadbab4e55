from __future__ import annotations

import pytest

from eraser import InputError
from rationale.training.recipes.adapler.settings import AdaplerSettings, AdaplerStepSettings, parse_steepness
from rationale.training.targets import parse_target, target_names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": -1, "hard_epochs": 2}, "expected epochs of at least 0, got (0, -1, 2)"),
        ({"hard_epochs": -1}, "expected epochs of at least 0, got (0, 5, -1)"),
        ({"predictor_epochs": -1}, "expected epochs of at least 0, got (-1, 5, 0)"),
        ({"epochs": 0}, "expected at least 1 epoch, got (0, 0, 0)"),
        ({"eta": 0.0}, "expected --eta in (0, 1], got 0.0"),
        (
            {"eta_max": 0.5, "hard_epochs": 1, "speedup": 2.0},
            "expected --eta-max of at least 1, got 0.5",
        ),
        (
            {"eta_max": 2.0, "hard_epochs": 1},
            "expected --hard-epochs and --speedup with --eta-max, got (1, None)",
        ),
        (
            {"eta_max": 2.0, "speedup": 3.0},
            "expected --hard-epochs and --speedup with --eta-max, got (0, 3.0)",
        ),
        ({"eta": 1.5}, "expected --eta in (0, 1], got 1.5"),
        ({"eta": float("nan")}, "expected --eta in (0, 1], got nan"),
        ({"distill": 1.1}, "expected --distill in [0, 1], got 1.1"),
        ({"word_drop": 1.0, "distill": 1.0, "hard_epochs": 1}, "expected --word-drop in [0, 1), got 1.0"),
        ({"word_drop": 0.1, "distill": 1.0}, "expected --hard-epochs with --word-drop, got 0"),
        ({"teacher_epochs": 2}, "expected --distill above 0 with --teacher-epochs, got 0.0"),
        (
            {"word_drop": 0.1, "hard_epochs": 1},
            "expected --distill 1 with --word-drop (shortened texts have no labels but the dense "
            "model's), got 0.0",
        ),
        ({"temperature": 0.0}, "expected a temperature above 0, got 0.0"),
        ({"gamma": -1.0}, "expected --gamma and --phi of at least 0, got (-1.0, 0.0005)"),
        ({"phi": -1.0}, "expected --gamma and --phi of at least 0, got (0.005, -1.0)"),
        ({"lr": 0.0}, "expected learning rates above 0, got (0.0, 3e-05"),
        ({"hard_lr": -1.0}, "expected learning rates above 0, got (3e-05, -1.0"),
        ({"predictor_lr": -1.0}, "expected learning rates above 0, got "),
        ({"hard_lr": float("nan")}, "expected learning rates above 0, got "),
        ({"phi": float("nan")}, "expected --gamma and --phi of at least 0, got (0.005, nan)"),
        ({"clip": 0.0}, "expected --clip above 0, got 0.0"),
        ({"weight_decay": -0.1}, "expected --weight-decay of at least 0, got -0.1"),
        ({"warmup": 1.0}, "expected --warmup in [0, 1), got 1.0"),
        ({"tolerance": float("nan")}, "expected --tolerance above 0, got nan"),
        ({"tolerance": 0.0}, "expected --tolerance above 0, got 0.0"),
        (
            {"epochs": 0, "hard_epochs": 1, "gamma": 0.1, "phi": 0.1},
            "expected --epochs above 0 with --gamma, --phi, got 0",
        ),
        (
            {"epochs": 0, "hard_epochs": 1, "threshold_lr": 0.1, "steepness": (10.0, 3.0)},
            "expected --epochs above 0 with --threshold-lr, --steepness, got 0",
        ),
        ({"steepness": (0.0, 3.0)}, "expected a steepness above 0, got (0.0, 3.0)"),
        ({"threshold_lr": 0.0}, "expected learning rates above 0, got "),
        ({"speedup": 0.5}, "expected a speedup of at least 1, got 0.5"),
        ({"speedup": float("nan")}, "expected a speedup of at least 1, got nan"),
        ({"target_class": "best"}, "expected --target-class gold or predicted, got best"),
        ({"batch_size": 0}, "expected --batch-size of at least 1, got 0"),
        ({"saliency_epochs": 0}, "expected --saliency-epochs of at least 1, got 0"),
        ({"teacher_epochs": 0}, "expected --teacher-epochs of at least 1, got 0"),
        ({"seed": -1}, "expected --seed of at least 0, got -1"),
    ],
)
def test_settings_that_cannot_train_are_refused(change, message):
    with pytest.raises(InputError) as error:
        AdaplerSettings.of(change).check()
    assert str(error.value).startswith(message)
    assert len(error.value.faults) == 1
    AdaplerSettings().check()


def test_all_faults_of_settings_are_told_at_once():
    with pytest.raises(InputError) as error:
        AdaplerSettings.of({"eta": 2.0, "seed": -1, "batch_size": 0}).check()
    assert len(str(error.value).splitlines()) == 3


def test_settings_by_name_reach_the_run_and_the_step():
    found = AdaplerSettings.of({"gamma": 0.5, "predictor_lr": 0.1, "epochs": 7, "dataset": "sample"})
    step = AdaplerStepSettings(gamma=0.5, predictor_lr=0.1)
    assert found == AdaplerSettings(epochs=7, step=step)


def test_steepness_is_read_or_refused():
    assert parse_steepness(None) is None
    assert parse_steepness("50,2.5") == (50.0, 2.5)
    for text in ("50", "1,2,3", "a,b", ""):
        with pytest.raises(InputError) as error:
            parse_steepness(text)
        assert str(error.value) == f"expected --steepness as FIRST,GROWTH, two numbers, got {text!r}"


def test_target_is_read_or_refused():
    assert target_names()[:4] == ("gradient_x_input", "human", "attention", "attention_max")
    assert not {"random", "position"} & set(target_names())
    assert parse_target("gradient_x_input") == ("gradient_x_input",)
    assert parse_target("human+attention") == ("human", "attention")
    for text, bad in (("huamn", "huamn"), ("human+", ""), ("human+random", "random"), ("", "")):
        with pytest.raises(InputError) as error:
            parse_target(text)
        assert str(error.value).startswith(
            "expected a target of gradient_x_input, human, attention, attention_max,"
        )
        assert str(error.value).endswith(f", or several joined by +, got {bad!r}")
    with pytest.raises(InputError, match="expected a target of .* got 'huamn'$"):
        AdaplerSettings.of({"target": "huamn"}).check()

"""The settings that all trainings share; our additions are off by default. Nothing here needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self, get_args

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.settings import DEVICE_HELP, ErasureMode, Precision, setting

SEED_HELP = "Random seed of weights, batch order and dropout."
PRECISION_HELP = "Numerical precision; auto is bf16 where that is faster."
CLASS_WEIGHTS_HELP = (
    "Weight of each class in the task loss: balanced (inverse to its number of texts in train), or numbers, "
    "comma-separated, in the order of the labels, which is alphabetical."
)
BALANCED = "balanced"
POSITIVE_WEIGHTS = "class weights that are finite and above 0"
ClassWeights = Literal["balanced"] | tuple[float, ...] | None
Rule = tuple[bool, str, Any]  # (holds, what was expected, what came)


def parse_class_weights(text: str | None) -> ClassWeights:
    """Read `balanced`, or numbers separated by commas.

    Raises:
        InputError: it is neither.

    >>> parse_class_weights("1,2.5")
    (1.0, 2.5)
    """
    if text is None or text == BALANCED:
        return text  # type: ignore[return-value]  # the one word
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        expected = f"class weights as {BALANCED}, or numbers, comma-separated"
        raise InputError(Fault(expected, short_repr(text))) from None


def are_class_weights(wanted: ClassWeights) -> bool:
    """Return whether weights are finite and above 0, if they are numbers."""
    if wanted is None or isinstance(wanted, str):
        return wanted in (None, BALANCED)
    return all(0 < w < math.inf for w in wanted)


def option_name(name: str) -> str:
    """Return how the command line writes a field's name."""
    return "--" + name.replace("_", "-")


def record_of(settings: Any, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name; those added later only if they differ from their default."""
    return {k: v for k, v in asdict(settings).items() if k not in usual or v != usual[k]}


@dataclass(frozen=True)
class AlignSettings:
    """How a dense classifier learns from annotators' marks; by default it does not."""

    align: Literal["none", "human"] = setting("none", "Teach the model what annotators marked: human.")
    align_form: Literal["attention", "head", "both"] = setting(
        "attention", "What is taught: its attention, a rationale head (method `learned`), or both."
    )
    align_weight: float = setting(1.0, "Weight of the marks' loss beside the task loss.")
    align_layers: str = setting("last", "Layers whose attention is taught: last, all, or numbers from 1.")
    align_heads: str = setting("all", "Heads whose mean is taught: all, or numbers from 1.")
    align_gold: Literal["union", "share"] = setting(
        "union", "Marks: the union of the annotators', or the share of them who marked a word."
    )

    @property
    def has_head(self) -> bool:
        """Whether a rationale head is taught."""
        return self.align != "none" and self.align_form != "attention"

    def layers(self, depth: int) -> frozenset[int]:
        """Return the layers whose attention is trained, counted from 0."""
        if self.align_form == "head":
            return frozenset()
        if self.align_layers == "last":
            return frozenset({depth - 1})
        return frozenset(_numbers("layers", self.align_layers, depth))

    def heads(self, count: int) -> list[int]:
        """Return the heads that are trained, counted from 0."""
        return _numbers("heads", self.align_heads, count)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        changed = [option_name(f.name) for f in fields(self) if getattr(self, f.name) != f.default]
        unused = changed and self.align == "none"
        return [
            (0 < self.align_weight < math.inf, "--align-weight above 0", self.align_weight),
            (not unused, "--align human with its other options", ", ".join(changed)),
        ]


def _numbers(what: str, text: str, count: int) -> list[int]:
    """Return numbers from 0 of `all`, or of numbers from 1, comma-separated."""
    if text == "all":
        return list(range(count))
    found = [int(x) - 1 for x in text.split(",") if x.strip().isdecimal()]
    if len(found) != text.count(",") + 1 or not all(0 <= n < count for n in found):
        raise InputError(Fault(f"--align-{what} of numbers from 1 to {count}, or all", repr(text)))
    return sorted(set(found))


@dataclass(frozen=True)
class TrainSettings:
    """How a classifier is trained; saved beside its weights.

    The best epoch's model is the result; with `keep_epochs` above 1 the best ones stay in `epochs/`.
    """

    epochs: int = setting(2, "Epochs of fine-tuning; the best one on val is kept.")
    lr: float = setting(5e-5, "Learning rate of the model weights.")
    batch_size: int = setting(32, "Windows per optimiser step.")
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip: float = 1.0
    max_length: int = setting(512, "Longest window in word pieces; longer texts are read in several windows.")
    precision: Precision = setting("auto", PRECISION_HELP)
    device: str = setting("auto", DEVICE_HELP)
    seed: int = setting(0, SEED_HELP)
    checkpoint_seconds: float = 120.0
    keep_epochs: int = setting(1, "Number of best epochs whose weights are kept for `train adapler`.")
    class_weights: ClassWeights = setting(None, CLASS_WEIGHTS_HELP, parse=parse_class_weights)
    faithful: bool = setting(
        False,
        "Take random words out of half of each batch, so that the model has seen texts with words missing.",
    )
    faithful_by: ErasureMode = setting("mask", "How --faithful takes words out: masked, or deleted.")
    marks: AlignSettings = field(default_factory=AlignSettings)
    added: ClassVar[Mapping[str, Any]] = {  # later than others: their usual values
        "class_weights": None, "faithful": False, "faithful_by": "mask"
    }  # fmt: skip

    def as_record(self) -> dict[str, Any]:
        """Return the settings by name; `marks` and those in `added` only if they differ from the default."""
        found = record_of(self, self.added)
        marks = found.pop("marks")
        return found if self.marks == AlignSettings() else found | marks

    def check(self) -> None:
        """Refuse settings that cannot train.

        Raises:
            InputError: all faults at once.
        """
        least = {
            "epochs": 1,
            "keep_epochs": 1,
            "batch_size": 1,
            "max_length": 1,
            "seed": 0,
            "warmup": 0,
            "weight_decay": 0,
        }
        values = asdict(self)
        named = {f.name: option_name(f.name) if f.metadata else f.name for f in fields(self)}
        faults = [
            Fault(f"{named[name]} of at least {low}", str(values[name]))
            for name, low in least.items()
            if not values[name] >= low
        ]
        if not 0 < self.lr < math.inf:
            faults.append(Fault("a learning rate above 0", str(self.lr)))
        faults += [Fault(expected, str(got)) for holds, expected, got in self.marks.rules() if not holds]
        if not are_class_weights(self.class_weights):
            faults.append(Fault(POSITIVE_WEIGHTS, str(self.class_weights)))
        if self.faithful_by not in get_args(ErasureMode):
            faults.append(
                Fault(f"--faithful-by of {', '.join(get_args(ErasureMode))}", repr(self.faithful_by))
            )
        if self.faithful_by != self.added["faithful_by"] and not self.faithful:
            faults.append(Fault("--faithful-by together with --faithful", f"{self.faithful_by} without it"))
        if self.faithful and self.batch_size < 2:  # noqa: PLR2004 (half of a batch is erased)
            faults.append(Fault("--batch-size of at least 2 with --faithful", str(self.batch_size)))
        if self.faithful and self.marks.align != "none":
            faults.append(Fault("either --faithful or --align human", "both"))
        if faults:
            raise InputError(*faults)


@dataclass(frozen=True)
class StepSettings:
    """The constants of an optimiser's step."""

    lr: float = setting(3e-5, "Learning rate of the model weights.")
    weight_decay: float = setting(0.01, "Weight decay of the weight matrices.")
    clip: float = setting(1.0, "Largest norm of the gradient; a larger one is scaled down.")
    eps: float = 1e-12
    warmup: float = setting(0.06, "Fraction of the steps over which learning rates rise from 0.")
    distill: float = setting(
        0.0, "Fraction of the task loss that is distillation from the dense model, 0 to 1."
    )
    temperature: float = setting(2.0, "Temperature of the distillation.")

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        return [
            (0 <= self.distill <= 1, "--distill in [0, 1]", self.distill),
            (0 < self.temperature < math.inf, "a temperature above 0", self.temperature),
            (self.clip > 0, "--clip above 0", self.clip),
            (0 <= self.weight_decay < math.inf, "--weight-decay of at least 0", self.weight_decay),
            (0 <= self.warmup < 1, "--warmup in [0, 1)", self.warmup),
        ]


@dataclass(frozen=True)
class AdaptiveSettings:
    """How an adaptive model is trained; saved beside its weights."""

    epochs: int = setting(3, "Epochs of the published training.")
    hard_epochs: int = setting(0, "Epochs of hard removal after the published training (our addition).")
    hard_lr: float = setting(3e-5, "Learning rate of the model weights in the hard-removal stage.")
    speedup: float | None = setting(None, "Target FLOPs speed-up in the hard-removal stage.")
    word_drop: float = setting(
        0.0,
        "Fraction of words left out at random in training (for AdapLeR in hard removal only); our addition; "
        "needs --distill 1.",
    )
    step: StepSettings = field(default_factory=StepSettings)
    teacher_epochs: int = setting(
        1, "Number of best dense epochs whose mean probability is distilled (our addition)."
    )
    tolerance: float = setting(0.01, "The drop in validation accuracy must be smaller than this.")
    batch_size: int = setting(32, "Windows per optimiser step.")
    precision: Precision = setting("auto", PRECISION_HELP)
    device: str = setting("auto", DEVICE_HELP)
    seed: int = setting(0, SEED_HELP)
    checkpoint_seconds: float = 120.0
    class_weights: ClassWeights = setting(None, CLASS_WEIGHTS_HELP, parse=parse_class_weights)
    added: ClassVar[Mapping[str, Any]] = {"class_weights": None}  # later than others: their usual values

    def as_record(self) -> dict[str, Any]:
        """Return the settings by name; those of `added` only if they differ from their default."""
        return record_of(self, self.added)

    def rules(self) -> list[Rule]:
        """Return the rules that settings must meet: (holds, expected, got)."""
        s = self.step
        return [
            *s.rules(),
            (min(self.stages()) >= 0, "epochs of at least 0", self.stages()),
            (sum(self.stages()) >= 1, "at least 1 epoch", self.stages()),
            (all(0 < r < math.inf for r in self.rates()), "learning rates above 0", self.rates()),
            (0 <= self.word_drop < 1, "--word-drop in [0, 1)", self.word_drop),
            (
                not self.word_drop or s.distill == 1,
                "--distill 1 with --word-drop (shortened texts have no labels but the dense model's)",
                s.distill,
            ),
            (self.teacher_epochs <= 1 or s.distill > 0, "--distill above 0 with --teacher-epochs", s.distill),
            (0 < self.tolerance < math.inf, "--tolerance above 0", self.tolerance),
            (self.speedup is None or 1 <= self.speedup < math.inf, "a speedup of at least 1", self.speedup),
            (self.batch_size >= 1, "--batch-size of at least 1", self.batch_size),
            (self.teacher_epochs >= 1, "--teacher-epochs of at least 1", self.teacher_epochs),
            (self.seed >= 0, "--seed of at least 0", self.seed),
            (are_class_weights(self.class_weights), POSITIVE_WEIGHTS, self.class_weights),
        ]

    def stages(self) -> tuple[int, ...]:
        """Return the epochs of each stage."""
        return (self.epochs, self.hard_epochs)

    def rates(self) -> tuple[float, ...]:
        """Return the learning rates."""
        return (self.step.lr, self.hard_lr)

    def check(self) -> None:
        """Refuse settings that cannot train.

        Raises:
            InputError: all faults at once.
        """
        if faults := [Fault(expected, str(got)) for holds, expected, got in self.rules() if not holds]:
            raise InputError(*faults)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return settings from values by name, nested ones too; unknown names are ignored."""
        step = cls().step
        of_step = {f.name: values[f.name] for f in fields(step) if f.name in values}
        of_run = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**of_run | {"step": replace(step, **of_step)})

"""Explanations of text classifiers: which words decided, do annotators agree, can it be trusted?

`load` a classifier, `explain` its answers, `evaluate` explanations against annotators and the model,
`compare` two runs, measure `speeds`, test which methods to `trust`; `load_data` reads data of your own,
`from_scores` explanations that other tools made; `METHODS` are the methods there are.
"""

from rationale.process.lazy import lazily
from rationale.registration import register_with_auto_classes

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.attribution import METHODS
    from rationale.explanation import Explanation
    from rationale.front.data import load_data
    from rationale.front.explanations import Explanations, explain, load
    from rationale.front.finished_run import FinishedRun, compare, evaluate
    from rationale.front.imported import ImportedExplanations, from_scores
    from rationale.front.speed import Speeds, speeds
    from rationale.front.trust import trust
    from rationale.hf.classifier import SHIPPED
    from rationale.report.several.compare import Comparison
    from rationale.trusting.card import Card

__version__ = "0.2.0"
__all__ = [
    "METHODS",
    "SHIPPED",
    "Card",
    "Comparison",
    "Explanation",
    "Explanations",
    "FinishedRun",
    "ImportedExplanations",
    "Speeds",
    "compare",
    "evaluate",
    "explain",
    "from_scores",
    "load",
    "load_data",
    "speeds",
    "trust",
]
PLACES = {
    "METHODS": "rationale.attribution",
    "SHIPPED": "rationale.hf.classifier",
    "Card": "rationale.trusting.card",
    "Comparison": "rationale.report.several.compare",
    "Explanation": "rationale.explanation",
    "Explanations": "rationale.front.explanations",
    "ImportedExplanations": "rationale.front.imported",
    "Speeds": "rationale.front.speed",
    "FinishedRun": "rationale.front.finished_run",
    "compare": "rationale.front.finished_run",
    "evaluate": "rationale.front.finished_run",
    "explain": "rationale.front.explanations",
    "from_scores": "rationale.front.imported",
    "load": "rationale.front.explanations",
    "load_data": "rationale.front.data",
    "speeds": "rationale.front.speed",
    "trust": "rationale.front.trust",
}
__getattr__ = lazily(__name__, PLACES)
__dir__ = lambda: sorted({*globals(), *__all__})  # noqa: E731 (what is not imported yet is offered, too)

register_with_auto_classes()

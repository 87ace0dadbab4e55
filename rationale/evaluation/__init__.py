"""Methods on a data set: planned, computed chunk by chunk into parts on disk, and collected."""

from rationale.process.lazy import lazily

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.evaluation.plan import Evaluation, Plan, evaluate

__all__ = ["Evaluation", "Plan", "evaluate"]
PLACES = {
    "Evaluation": "rationale.evaluation.plan",
    "Plan": "rationale.evaluation.plan",
    "evaluate": "rationale.evaluation.plan",
}
__getattr__ = lazily(__name__, PLACES)

"""Can a method's explanations be believed? Tests, a card of them, and sentences that answer.

**The contract of a test** (one file in `rationale/trusting/checks`, one line in `TESTS`, see `table.py`):

- A test is a function `(subject) -> list[Finding]`. It returns exactly one `Finding` for each method it is
  asked of (`subject.methods`), in their order; what more there is to say goes to `Finding.details`, as JSON.
- `Subject` holds what is tested: the classifier, the texts with human evidence, the class explained of each
  and, of each method, scores and rationale of each text, computed once and kept on disk as an evaluation
  keeps them. `subject.answers(…)` asks the model about changed texts, `subject.explain(…)` runs a method
  again: on other texts, another model, with another seed. Both count what they ask.
- All that takes long goes through `subject.part(name, depends, compute)`: rows on disk by a hash of what
  they depend on, so that a killed run goes on where it was. A test's findings are such a part themselves.
- Outcomes: `pass` and `fail` are the test's answer; `cannot tell` where the data are too few, the method did
  not run, or the answer turns with a choice that nobody can justify; `told` where there is no right answer.
  `sentence` says it in one line a reader understands alone, with its number, interval and n.
- What a test needs beyond scores stands in its line of `TESTS` (`NEEDS`: gold, annotators, weights, training
  data, other models): where it is missing every method gets `cannot tell` with the reason, unasked.
- Random numbers come from `subject.rng(name, item)`, never from a text's neighbours.
"""

from rationale.process.lazy import lazily

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.trusting.contract import Finding, Outcome, TestResult, TrustSettings
    from rationale.trusting.subject import Subject
    from rationale.trusting.table import TESTS, TrustTest

__all__ = ["TESTS", "Finding", "Outcome", "Subject", "TestResult", "TrustSettings", "TrustTest"]
PLACES = {
    "Finding": "rationale.trusting.contract",
    "Outcome": "rationale.trusting.contract",
    "TestResult": "rationale.trusting.contract",
    "TrustSettings": "rationale.trusting.contract",
    "Subject": "rationale.trusting.subject",
    "TESTS": "rationale.trusting.table",
    "TrustTest": "rationale.trusting.table",
}
__getattr__ = lazily(__name__, PLACES)

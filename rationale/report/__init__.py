"""What a run has to show: tables, figures, one page, and runs beside each other."""

from rationale.process.lazy import lazily

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.report.several.compare import compared
    from rationale.report.write import write_run

__all__ = ["write_run", "compared"]
PLACES = {
    "write_run": "rationale.report.write",
    "compared": "rationale.report.several.compare",
}
__getattr__ = lazily(__name__, PLACES)

"""Measured speed and FLOPs: one model, a grid of models, accuracy against both."""

from rationale.process.lazy import lazily

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.bench.removal import bench, table

__all__ = ["bench", "table"]
PLACES = {
    "bench": "rationale.bench.removal",
    "table": "rationale.bench.removal",
}
__getattr__ = lazily(__name__, PLACES)

"""What HateXplain's protocol is run with. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from eraser import Fault, InputError
from eraser.errors import short_repr
from rationale.settings import DEVICE_HELP, AttributionSettings, Precision, named_twice, setting

UNIT_NAMES = ("pieces", "text_pieces", "words")  # of rationale.hatexplain.units
USUAL_METHODS = ("attention", "saliency", "random")


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings(AttributionSettings):
    """What is scored; `limit` takes the first posts of the split, for a trial."""

    methods: tuple[str, ...] = USUAL_METHODS
    units: tuple[str, ...] = UNIT_NAMES
    split: str = setting("test", "Split to score.")
    limit: int | None = setting(None, "Score only the first N posts of the split: not the protocol.")
    seed: int = setting(0, "Random seed of intervals, baselines and perturbations.")
    precision: Precision = setting("float32", "Numerical precision of the model.")
    device: str = setting("auto", DEVICE_HELP)
    chunk: int = setting(256, "Posts per part file, the unit of work that is saved and resumed.")

    def check(self) -> None:
        """Refuse what cannot be carried out.

        Raises:
            InputError: all faults at once.
        """
        faults = self.faults()
        unknown = [name for name in self.units if name not in UNIT_NAMES]
        faults += [Fault(f"a unit of {', '.join(UNIT_NAMES)}", short_repr(name)) for name in unknown]
        named = {"method": self.methods, "unit": self.units}
        faults += [Fault(f"at least one {what}", "none") for what, names in named.items() if not names]
        faults += [fault for what, names in named.items() for fault in named_twice(what, names)]
        faults += [Fault(f"{name} of at least 1", str(n)) for name, n in self._sizes().items() if n < 1]
        if faults:
            raise InputError(*faults)

    def _sizes(self) -> dict[str, int]:
        return {"chunk": self.chunk} | ({} if self.limit is None else {"limit": self.limit})

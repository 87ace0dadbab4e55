"""The configuration of a model around another one: the inner configuration as a plain dict."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig


class NestedConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The configuration of the classifier inside, as a plain dict."""

    keys_to_ignore_at_inference = ["trace", "exit_layer", "hidden_states"]  # a Trainer cannot gather them

    def __init__(self, encoder: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.encoder = encoder or {}
        super().__init__(**kwargs)

    @property
    def type_vocab_size(self) -> int:
        """Return how many token types the encoder tells apart."""
        return int(innermost(self.encoder).get("type_vocab_size", 0))

    @property
    def max_position_embeddings(self) -> int:
        """Return the rows of the encoder's position table."""
        return int(innermost(self.encoder).get("max_position_embeddings", 512))

    def encoder_config(self) -> PreTrainedConfig:
        """Return the configuration of the classifier inside."""
        settings = {k: v for k, v in self.encoder.items() if k != "model_type"}
        return AutoConfig.for_model(self.encoder["model_type"], **settings)


def innermost(encoder: dict[str, Any]) -> dict[str, Any]:
    """Return the dense classifier's configuration inside any number of wrappers."""
    while "encoder" in encoder:
        encoder = encoder["encoder"]
    return encoder

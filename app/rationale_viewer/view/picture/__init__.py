"""Pictures of a highlighted text that stand alone: a card for a chat, and the layers as an animation."""

"""Which words decided, do people agree, can it be trusted, what did it cost?"""

from rationale.registration import register_with_auto_classes

__version__ = "0.1.0"

register_with_auto_classes()

"""Which words decided, do people agree, can it be trusted, what did it cost?"""

__version__ = "0.1.0"

"""The version, for whoever writes it into a file; nothing else, so that anything may import it."""

__version__ = "0.1.0"

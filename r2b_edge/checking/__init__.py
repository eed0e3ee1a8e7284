"""Compares every executor with the reference, step by step: what `r2b-edge check` does."""

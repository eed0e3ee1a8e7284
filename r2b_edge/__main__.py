"""`python -m r2b_edge` is the command `r2b-edge`."""

from __future__ import annotations

from r2b_edge.cli import main

if __name__ == "__main__":
    main(prog_name="r2b-edge")

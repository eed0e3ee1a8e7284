"""Networks and trainings that accompany r2b-edge; not part of the installed package."""

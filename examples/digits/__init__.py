"""A Real-to-Binary network for 8x8 digits that fits the smallest microcontrollers."""

"""Stage 5: find compilers and emulators, build, and measure what was built."""

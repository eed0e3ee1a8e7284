"""Stage 4: the graph to each output format."""

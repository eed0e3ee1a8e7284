"""What kernels and networks cost, in emulated instructions."""

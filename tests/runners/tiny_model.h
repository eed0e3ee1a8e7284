// The smallest model that exercises the runner: out = 2 * in + 1, in two steps of 4 floats.
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include "r2b.h"

#define R2B_TINY_ARENA_BYTES 48
#define R2B_TINY_ARENA_ALIGNMENT 16

extern const r2b_model r2b_tiny_model;

#endif

// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_lut4_v7m.c: binary convolution by table lookup for Cortex-M3; see r2b_lut4.h.
#define LUT4_KERNEL r2b_bconv_lut4_v7m
#define LUT4_V7M(part) r2b_lut4_##part##_v7m

#include "r2b_lut4_v7m.h"

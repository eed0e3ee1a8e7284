// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_1x1_v7m.c: signs of 1x1 binary convolutions for Cortex-M3; see r2b_bconv_1x1.h.
#define R2B_1X1_KERNEL r2b_bconv_1x1_v7m
#define R2B_1X1_ROW r2b_1x1_row_v7m

#include "r2b_bconv_1x1.h"

// SPDX-License-Identifier: MIT-0
//
// r2b_bconv_1x1_dsp.c: signs of 1x1 binary convolutions for Cortex-M4, M7 and M33; see r2b_bconv_1x1.h.
#define R2B_1X1_KERNEL r2b_bconv_1x1_dsp
#define R2B_1X1_ROW r2b_1x1_row_v7m

#include "r2b_bconv_1x1.h"

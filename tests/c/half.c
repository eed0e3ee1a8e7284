// SPDX-License-Identifier: MIT-0
//
// Writes all 65,536 halves as floats.
#include <stdio.h>

#include "r2b_half.h"

int main(void) {
    for (uint32_t half = 0; half <= UINT16_MAX; half++) {
        const float value = r2b_half_to_float((uint16_t)half);
        if (fwrite(&value, sizeof value, 1, stdout) != 1) return 1;
    }
    return 0;
}

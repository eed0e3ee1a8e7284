// SPDX-License-Identifier: MIT-0
//
// Reads floats, writes their sigmoids.
#include <stdio.h>

#include "r2b_kernels.h"

int main(void) {
    float x;
    while (fread(&x, sizeof x, 1, stdin) == 1) {
        const float y = r2b_sigmoid(x);
        if (fwrite(&y, sizeof y, 1, stdout) != 1) return 1;
    }
    return 0;
}

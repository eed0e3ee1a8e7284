// SPDX-License-Identifier: MIT-0
//
// r2b_fconv_winograd_neon.h: what r2b_fconv_winograd_neon.c computes, and its parts.
//
// A convolution of stride 2 is a sum of four of stride 1, one for each parity (py, px) of rows and columns: of the even
// taps 0, 2, 4, 6 of a 7x7 kernel with the even rows and columns of the padded map, and so on; odd parities have a tap
// less. Each of them is computed by Winograd's algorithm F(4x4, RxR), R = 4 (R = 2 for 3x3 kernels): 4 neighbouring
// results of a filter of R taps along an axis are the product of two polynomials, which R + 3 points determine,
//     y = A^T [(G w) * (B^T d)],    d: R + 3 neighbouring inputs
// and in two dimensions Y = A^T [(G w G^T) * (B^T d B)] A: (R + 3)^2 products for 16 results of each channel and
// parity. The products of all channels and parities of a point add up before A. (Lavin and Gray, Fast Algorithms for
// Convolutional Neural Networks, 2015.)
//
// Points, in order: 1, -1, 2, -2, -1/2, 0, infinity for R = 4 (POINTS = 7); 1, -1, 2, 0, infinity for R = 2 (POINTS =
// 5). With f_i the product of (a_i - a_l) over the other finite points l, s_i = 2 for the point -1/2 and else 1:
//     A^T row j, column i: s_i a_i^j          infinity: 1 for j = 3, else 0
//     G row i, column k:   a_i^k / (s_i f_i)  infinity: 1 for k = R - 1, else 0
//     B^T row i: the coefficients of the product of (x - a_l) over the other finite points, of all for infinity
// A filter of R - 1 taps has no product at infinity: an odd parity has none there.
//
// What is multiplied, K steps k at each point (iy, ix), iy first: k counts py, px, channel, of the parities that the
// point has; K is made even by a zero (at both infinities, where there are as many as channels).
//     weights    [output channels / 8][iy][ix][k][8 output channels]
//     inputs     [iy][ix][k][tiles], for 8 or 4 tiles of 4x4 pixels side by side
#ifndef R2B_FCONV_WINOGRAD_NEON_H
#define R2B_FCONV_WINOGRAD_NEON_H

#include <stdint.h>

// 8 output channels of a group of tiles, r2b_winograd_<points>_<tiles>. `weights` are those of the 8 channels; `sums`
// is float [POINTS - 2 + 4 * POINTS][tiles][8]; of `to`, float [4 rows][4 * tiles pixels][any channels], the first 8
// channels of each pixel are written. Distances in bytes: from a row to the next, and of 4 pixels.
typedef void r2b_winograd(const float *inputs, const float *weights, const float *bias, float *sums, float *to,
                          int64_t row, int64_t four_pixels, int32_t in_channels);

r2b_winograd r2b_winograd_7_8, r2b_winograd_7_4, r2b_winograd_5_8, r2b_winograd_5_4;

// What r2b_fconv_winograd_neon_input.h computes, for 7 points: along x for 8 tiles, with `plane` floats from a plane to
// the next; along y for 8 columns of 3 channels, with `row` floats from a row to the next.
void r2b_winograd_inputs_7_8(const float *planes, int64_t plane, float *inputs, int64_t channels);
void r2b_winograd_columns_7_3(const float *x, int64_t row, float *planes, int64_t plane);

#endif  // R2B_FCONV_WINOGRAD_NEON_H

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * The loops of the Gram matrix. kernel.c includes this file once for each kind of NUMBER, with what NAME, LANES, VECTOR, ADD_PRODUCT
 * and LANE_SUM are for it. Loads are what the tiles wait for: KEEP has a value that is used twice loaded once.
 */

/* Two rows by four: eight sums for six loads. Each pair has the same lanes and the same order of sums, whatever tile it is in. */
static void NAME(_tile)(const NUMBER *a, const NUMBER *b, size_t stride, size_t count, double *out, size_t n)
{
    VECTOR s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s10 = {0}, s11 = {0}, s12 = {0}, s13 = {0};
    for (size_t k = 0; k < count; k += LANES) {
        VECTOR x = *(const VECTOR *)(a + k), y = *(const VECTOR *)(a + stride + k);
        VECTOR b0 = *(const VECTOR *)(b + k), b1 = *(const VECTOR *)(b + stride + k);
        VECTOR b2 = *(const VECTOR *)(b + 2 * stride + k), b3 = *(const VECTOR *)(b + 3 * stride + k);
        KEEP(b0);
        KEEP(b1);
        KEEP(b2);
        KEEP(b3);
        ADD_PRODUCT(s00, x, b0);
        ADD_PRODUCT(s01, x, b1);
        ADD_PRODUCT(s02, x, b2);
        ADD_PRODUCT(s03, x, b3);
        ADD_PRODUCT(s10, y, b0);
        ADD_PRODUCT(s11, y, b1);
        ADD_PRODUCT(s12, y, b2);
        ADD_PRODUCT(s13, y, b3);
    }
    out[0] += LANE_SUM(s00);
    out[1] += LANE_SUM(s01);
    out[2] += LANE_SUM(s02);
    out[3] += LANE_SUM(s03);
    out[n] += LANE_SUM(s10);
    out[n + 1] += LANE_SUM(s11);
    out[n + 2] += LANE_SUM(s12);
    out[n + 3] += LANE_SUM(s13);
}

/* Four rows among themselves: ten sums for four loads. */
static void NAME(_corner)(const NUMBER *a, size_t stride, size_t count, double *out, size_t n)
{
    VECTOR s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s11 = {0}, s12 = {0}, s13 = {0}, s22 = {0}, s23 = {0}, s33 = {0};
    for (size_t k = 0; k < count; k += LANES) {
        VECTOR x = *(const VECTOR *)(a + k), y = *(const VECTOR *)(a + stride + k);
        VECTOR z = *(const VECTOR *)(a + 2 * stride + k), w = *(const VECTOR *)(a + 3 * stride + k);
        ADD_PRODUCT(s00, x, x);
        ADD_PRODUCT(s01, x, y);
        ADD_PRODUCT(s02, x, z);
        ADD_PRODUCT(s03, x, w);
        ADD_PRODUCT(s11, y, y);
        ADD_PRODUCT(s12, y, z);
        ADD_PRODUCT(s13, y, w);
        ADD_PRODUCT(s22, z, z);
        ADD_PRODUCT(s23, z, w);
        ADD_PRODUCT(s33, w, w);
    }
    out[0] += LANE_SUM(s00);
    out[1] += LANE_SUM(s01);
    out[2] += LANE_SUM(s02);
    out[3] += LANE_SUM(s03);
    out[n + 1] += LANE_SUM(s11);
    out[n + 2] += LANE_SUM(s12);
    out[n + 3] += LANE_SUM(s13);
    out[2 * n + 2] += LANE_SUM(s22);
    out[2 * n + 3] += LANE_SUM(s23);
    out[3 * n + 3] += LANE_SUM(s33);
}

static void NAME(_pair)(const NUMBER *a, const NUMBER *b, size_t count, double *out)
{
    VECTOR sum = {0};
    for (size_t k = 0; k < count; k += LANES)
        ADD_PRODUCT(sum, *(const VECTOR *)(a + k), *(const VECTOR *)(b + k));
    *out += LANE_SUM(sum);
}

/* Corners along the diagonal, tiles to the right of them, and what is left over pair by pair. */
static void NAME()(const NUMBER *rows, size_t n, size_t stride, size_t count, double *out)
{
    size_t whole = n & ~(size_t)3;
    for (size_t i = 0; i < whole; i += 4) {
        NAME(_corner)(rows + i * stride, stride, count, out + i * n + i, n);
        for (size_t row = i; row < i + 4; row += 2)
            for (size_t j = i + 4; j < whole; j += 4)
                NAME(_tile)(rows + row * stride, rows + j * stride, stride, count, out + row * n + j, n);
    }
    for (size_t row = 0; row < n; row++)
        for (size_t column = row < whole ? whole : row; column < n; column++)
            NAME(_pair)(rows + row * stride, rows + column * stride, count, out + row * n + column);
}

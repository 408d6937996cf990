/* Two rows by four: eight sums for six loads. Each pair has the same LANES and the same order of sums, whatever tile it is in. */
static void NAME(_tile)(const NUMBER *a, const NUMBER *b, size_t stride, size_t count, double *out, size_t n)
{
    LANES s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s10 = {0}, s11 = {0}, s12 = {0}, s13 = {0};
    for (size_t k = 0; k < count; k += COUNT) {
        LANES x = *(const LANES *)(a + k), y = *(const LANES *)(a + stride + k);
        LANES b0 = *(const LANES *)(b + k), b1 = *(const LANES *)(b + stride + k);
        LANES b2 = *(const LANES *)(b + 2 * stride + k), b3 = *(const LANES *)(b + 3 * stride + k);
        KEEP(b0);
        KEEP(b1);
        KEEP(b2);
        KEEP(b3);
        FMA(s00, x, b0);
        FMA(s01, x, b1);
        FMA(s02, x, b2);
        FMA(s03, x, b3);
        FMA(s10, y, b0);
        FMA(s11, y, b1);
        FMA(s12, y, b2);
        FMA(s13, y, b3);
    }
    out[0] += SUM(s00);
    out[1] += SUM(s01);
    out[2] += SUM(s02);
    out[3] += SUM(s03);
    out[n] += SUM(s10);
    out[n + 1] += SUM(s11);
    out[n + 2] += SUM(s12);
    out[n + 3] += SUM(s13);
}

/* Four rows among themselves: ten sums for four loads. */
static void NAME(_corner)(const NUMBER *a, size_t stride, size_t count, double *out, size_t n)
{
    LANES s00 = {0}, s01 = {0}, s02 = {0}, s03 = {0}, s11 = {0}, s12 = {0}, s13 = {0}, s22 = {0}, s23 = {0}, s33 = {0};
    for (size_t k = 0; k < count; k += COUNT) {
        LANES x = *(const LANES *)(a + k), y = *(const LANES *)(a + stride + k);
        LANES z = *(const LANES *)(a + 2 * stride + k), w = *(const LANES *)(a + 3 * stride + k);
        FMA(s00, x, x);
        FMA(s01, x, y);
        FMA(s02, x, z);
        FMA(s03, x, w);
        FMA(s11, y, y);
        FMA(s12, y, z);
        FMA(s13, y, w);
        FMA(s22, z, z);
        FMA(s23, z, w);
        FMA(s33, w, w);
    }
    out[0] += SUM(s00);
    out[1] += SUM(s01);
    out[2] += SUM(s02);
    out[3] += SUM(s03);
    out[n + 1] += SUM(s11);
    out[n + 2] += SUM(s12);
    out[n + 3] += SUM(s13);
    out[2 * n + 2] += SUM(s22);
    out[2 * n + 3] += SUM(s23);
    out[3 * n + 3] += SUM(s33);
}

static void NAME(_pair)(const NUMBER *a, const NUMBER *b, size_t count, double *out)
{
    LANES sum = {0};
    for (size_t k = 0; k < count; k += COUNT)
        FMA(sum, *(const LANES *)(a + k), *(const LANES *)(b + k));
    *out += SUM(sum);
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


/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "privacy/rdp.h"
#include <math.h>

#define TERMS_MOST 1000
#define NEGLIGIBLE 30 /* e^-30 of the sum */

double rdp_order(int index)
{
    static const double large[] = {128, 256, 512, 1024};
    if (index < 99)
        return 1 + (index + 1) / 10.0;
    return index < 152 ? index - 88 : large[index - 152];
}

/* The logarithm of e^a + e^b. */
static double log_sum(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return isinf(low) && low < 0 ? high : high + log1p(exp(low - high));
}

/* lgamma_r: lgamma writes to a global. */
static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

/* Of its absolute value; what that is too much makes epsilon larger, never smaller. */
static double log_binomial(double n, double k)
{
    return log_gamma(n + 1) - log_gamma(k + 1) - log_gamma(n - k + 1);
}

/* erfc itself underflows; far out its asymptotic series is exact to double precision's taste. */
static double log_erfc(double x)
{
    if (x < 10)
        return log(erfc(x));
    double y = 1 / (2 * x * x);
    return -x * x - log(x * sqrt(M_PI)) + log1p(-y + 3 * y * y - 15 * y * y * y + 105 * y * y * y * y);
}

static double log_moment_whole(double q, double sigma, double order)
{
    double sum = -INFINITY;
    for (double k = 0; k <= order; k++)
        sum = log_sum(sum, log_binomial(order, k) + k * log(q) + (order - k) * log1p(-q) +
                               k * (k - 1) / (2 * sigma * sigma));
    return sum;
}

/* The integral is split at the point where both densities weigh the same; each half is a series. */
static double log_moment_fraction(double q, double sigma, double order)
{
    double split = sigma * sigma * log(1 / q - 1) + 0.5, root = sqrt(2) * sigma;
    double below = -INFINITY, above = -INFINITY, last_low = -INFINITY, last_high = -INFINITY;
    for (int k = 0; k < TERMS_MOST; k++) {
        double rest = order - k, binomial = log_binomial(order, k) + log(0.5);
        double low = binomial + k * log(q) + rest * log1p(-q) + (double)k * (k - 1) / (2 * sigma * sigma) +
                     log_erfc((k - split) / root);
        double high = binomial + rest * log(q) + k * log1p(-q) + rest * (rest - 1) / (2 * sigma * sigma) +
                      log_erfc((split - rest) / root);
        below = log_sum(below, low);
        above = log_sum(above, high);
        double total = log_sum(below, above);
        if (low < last_low && high < last_high && fmax(low, high) < total - NEGLIGIBLE)
            return total;
        last_low = low;
        last_high = high;
    }
    return INFINITY;
}

double rdp_of_round(double sampling, double sigma, double order)
{
    if (sampling <= 0)
        return 0;
    if (sigma <= 0)
        return INFINITY;
    if (sampling >= 1)
        return order / (2 * sigma * sigma);
    double moment =
        order == floor(order) ? log_moment_whole(sampling, sigma, order) : log_moment_fraction(sampling, sigma, order);
    return moment / (order - 1);
}

double rdp_epsilon(double sampling, double sigma, double rounds, double delta)
{
    double best = INFINITY;
    if (rounds <= 0)
        return 0;
    for (int i = 0; i < RDP_ORDERS; i++) {
        double order = rdp_order(i), spent = rounds * rdp_of_round(sampling, sigma, order);
        if (delta * delta + expm1(-spent) > 0) /* by the divergence of Kullback and Leibler it is within delta */
            return 0;
        best = fmin(best, spent + log1p(-1 / order) - log(delta * order) / (order - 1));
    }
    return fmax(best, 0);
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cohort/finder.h"

#include <math.h>

#define SECURITY_BITS 41 /* 40, and one more as two things may go wrong */
#define CORRECTNESS_BITS 20
#define ROUNDING 1e-14 /* so that a rate such as 0.33 times 100 is not rounded the unsafe way */

/* lgamma() itself writes to a variable that all threads share. */
static double log_factorial(double n)
{
    int sign;
    return lgamma_r(n + 1, &sign);
}

static double log_choose(double n, double k)
{
    return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

/* Of `total` members `marked` have a mark; of `drawn` among them so many have it, each draw as likely. */
struct draws {
    int total, marked, drawn;
};

static double chance(struct draws of, int count)
{
    if (count < 0 || count > of.marked || count > of.drawn || of.drawn - count > of.total - of.marked)
        return 0;
    return exp(log_choose(of.marked, count) + log_choose(of.total - of.marked, of.drawn - count) -
               log_choose(of.total, of.drawn));
}

/* The least number that is exceeded with a chance of at most `rare`. */
static int seldom_exceeded(struct draws of, double rare)
{
    double tail = 0;
    for (int count = of.drawn; count > 0; count--) {
        tail += chance(of, count);
        if (tail > rare)
            return count;
    }
    return 0;
}

static double chance_of_at_most(struct draws of, int most)
{
    double sum = 0;
    for (int count = 0; count <= most; count++)
        sum += chance(of, count);
    return sum;
}

/*
 * The ring falls apart only when degree / 2 in a row are gone at two places. There are members * (members - degree - 1) / 2 such pairs of
 * gaps; the sum of their chances bounds that of any.
 */
static double log_chance_of_parting(int members, int bad, int degree)
{
    if (degree > bad)
        return -INFINITY;
    double pairs = log(members) + log(members - degree - 1) - log(2);
    return pairs + log_choose(members - degree, bad - degree) - log_choose(members, bad);
}

static bool try_degree(int members, struct cohort_rates rates, int degree, int *threshold)
{
    int adversaries = (int)floor((rates.adversarial + ROUNDING) * members);
    int dropouts = (int)floor((rates.dropout + ROUNDING) * members);
    int staying = (int)ceil((1 - rates.dropout - ROUNDING) * members);
    if (log_chance_of_parting(members, adversaries + dropouts, degree) >= -SECURITY_BITS * log(2))
        return false;
    int hostile = seldom_exceeded((struct draws){members, adversaries, degree}, exp2(-SECURITY_BITS) / members);
    /* A hub that lies may ask the honest neighbours for one secret each as it likes. */
    if (rates.malicious)
        hostile = (int)ceil((hostile + degree - 1.25) / 2);
    if (chance_of_at_most((struct draws){members, staying, degree}, hostile) >= exp2(-CORRECTNESS_BITS) / members)
        return false;
    *threshold = hostile + 1 > 2 ? hostile + 1 : 2;
    return true;
}

bool cohort_find(int members, struct cohort_rates rates, int *degree, int *threshold)
{
    double gone = rates.adversarial + rates.dropout * (rates.malicious ? 2 : 1);
    if (!(rates.adversarial >= 0) || !(rates.dropout >= 0) || !(gone <= 0.9))
        return false;
    for (int k = 2; k < members - 1; k += 2)
        if (try_degree(members, rates, k, threshold)) {
            *degree = k;
            return true;
        }
    return false;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What privacy is spent, for the comparison with dp_accounting (tests/e2e/test_robust.py): each line of the input, "sampling sigma rounds
 * delta order", is answered by "epsilon rdp".
 */
#include "privacy/rdp.h"
#include <stdio.h>

int main(void)
{
    double sampling, sigma, rounds, delta, order;
    while (scanf("%lf %lf %lf %lf %lf", &sampling, &sigma, &rounds, &delta, &order) == 5)
        printf("%.17g %.17g\n", rdp_epsilon(sampling, sigma, rounds, delta), rdp_of_round(sampling, sigma, order));
    return 0;
}

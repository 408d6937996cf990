/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_PRIVACY_RDP_H
#define CAIRN_PRIVACY_RDP_H

/*
 * What privacy has been spent: Rényi differential privacy of the Gaussian mechanism on a Poisson sample, composed over rounds, and
 * turned into (epsilon, delta) (federated 3.5; Mironov, Talwar, Zhang 2019; Canonne, Kamath, Steinke 2020, proposition 12).
 *
 * sampling  the chance of each participant to be in a round; 1 where all may be
 * sigma     standard deviation of the noise over the most that one participant can change the sum
 */
#define RDP_ORDERS 156

/* The orders at which it is computed: 1.1 to 10.9 by tenths, 11 to 63, 128, 256, 512, 1024. */
double rdp_order(int index);

/* Of one round, at an order above 1. INFINITY where the series does not converge, and without noise. */
double rdp_of_round(double sampling, double sigma, double order);

/* Of so many rounds, at delta: the least over all orders. 0 for no rounds; INFINITY without noise. */
double rdp_epsilon(double sampling, double sigma, double rounds, double delta);

#endif

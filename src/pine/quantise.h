/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_PINE_QUANTISE_H
#define CAIRN_PINE_QUANTISE_H

#include "base/error.h"
#include <stddef.h>

/*
 * From a model's update to the integers that PINE shares (federated.md 2.3 step 2). The unit is 1 / scale: an update of norm C becomes
 * integers of a norm of about C scale, and pine_unshard() gives scale times the sum.
 *
 * The update is clipped to a norm that leaves room for rounding, then rounded up or down at random so that its expectation is kept; seed (32
 * random bytes, never used twice) decides. The result's norm is at most bound, as the proof wants it.
 *
 * INVALID for a number that is not finite, and when bound is too small for so many coordinates: rounding alone would use it up.
 */
enum status pine_quantise(const float *update, size_t count, double scale, uint64_t bound, const uint8_t seed[32],
                          int32_t *out, struct error *err);

#endif

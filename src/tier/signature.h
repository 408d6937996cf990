/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_SIGNATURE_H
#define CAIRN_TIER_SIGNATURE_H

#include "base/str.h"

/* The header of a signed message, "t=TIME,v1=HEX[,v1=HEX]…": does one of its signatures fit, over "TIME.BODY", and is TIME within
 * five minutes of now_s? Parts of other names are skipped; at most 16 parts are looked at. */
bool signature_matches(struct str header, struct str body, struct str secret, int64_t now_s);

#endif

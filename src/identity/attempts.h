/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_IDENTITY_ATTEMPTS_H
#define CAIRN_IDENTITY_ATTEMPTS_H

#include "base/str.h"

/*
 * Guessing takes longer with each guess: for one account, whoever guesses (but no longer than a minute, or a stranger
 * could keep its owner out), and for one network, whatever accounts it guesses at. Names that nobody has are counted
 * alike. Kept in memory, of bounded size; half is forgotten every quarter of an hour.
 */

/* Counts an attempt before it is looked at, so that many at once are no way around. The seconds to wait, when it is too
 * early: then it is not counted, and must not be looked at. 0: go on. */
int64_t attempt_begin(struct str account, struct str remote);
/* It was right: the account's count begins anew, and the network's is taken back. */
void attempt_good(struct str account, struct str remote);
/* For tests: forgets all. */
void attempts_forget(void);

#endif

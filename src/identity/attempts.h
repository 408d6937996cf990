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
/*
 * Wrong tokens, by network, after the fact: whoever holds a right one is not slowed by the guesses of neighbours, and as the same wrong
 * one again and again is no guessing, it counts once. The seconds for which that network has to wait; 0: this is the first
 * one after the last wait, or there was none. Half is forgotten as above.
 */
int64_t token_was_wrong(struct str token, struct str remote);
/* The same, about a token that was right, and was found by guessing perhaps: counts nothing. */
int64_t token_must_wait(struct str remote);
int64_t tokens_wrong(void); /* since the start, for GET /metrics */

/* For tests: forgets all. */
void attempts_forget(void);

#endif

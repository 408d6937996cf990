/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_SIGNALS_H
#define CAIRN_MISUSE_SIGNALS_H

#include "base/str.h"

/*
 * The signs of misuse (access.md C14), and what follows from them. All numbers that a newcomer may want to change are in
 * the two tables of signals.c; GET /api/misuse/signals shows them to everybody.
 *
 * A signal counts once, however often it is seen, and its points halve every seven days since it was last seen. So no
 * single habit ever leads to more than its points.
 */
enum signal {
    /* Seen in the requests of one key, as they come (trail.h). */
    FAN_OUT,
    TRAVEL,
    CONCURRENT,
    HAULING,
    BURST,
    NEW_CLIENT,
    DORMANCY,
    PROBING,
    RESALE,
    KEY_SIGNALS,
    /* Of an account: they count for each of its keys. */
    THROWAWAY = KEY_SIGNALS,
    MANY_ACCOUNTS,
    HONEY,
    REUPLOAD,
    LEAK, /* of one key again */
    SIGNALS,
};

struct signal_spec {
    const char *code, *words; /* for machines; for the person whom it is said to */
    int64_t threshold;        /* what is more than that counts; 0: any */
    const char *unit;         /* of the threshold */
    int points;
};
extern const struct signal_spec signal_specs[SIGNALS];
int signal_named(struct str code); /* -1 when there is none */

/* What is done from so many points on. */
enum level { LEVEL_NONE, LEVEL_ASK, LEVEL_SLOW, LEVEL_SUSPEND, LEVEL_BAR, LEVELS };
struct level_spec {
    const char *code, *words;
    int points;
};
extern const struct level_spec level_specs[LEVELS];

/* Points at that second of signals last seen then; 0: never. */
double score_of(const uint32_t seen_s[SIGNALS], uint32_t now_s);
enum level level_of(double score);

#endif

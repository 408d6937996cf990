/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/signals.h"
#include <math.h>

#define HALF_LIFE_HOURS (7 * 24)

/* Starting values, to be tuned on real traffic. */
const struct signal_spec signal_specs[SIGNALS] = {
    [FAN_OUT] = {"fan-out", "it was used from many networks within an hour", 6, "networks in an hour", 20},
    [TRAVEL] = {"travel", "gated files were fetched from two countries in less time than a flight takes", 900,
                "km in an hour", 25},
    [CONCURRENT] = {"concurrent", "three or more networks used it at the same time", 2,
                    "networks, by turns in 5 minutes (or 4, in any order)", 15},
    [HAULING] = {"hauling", "the same files of a gated repo were fetched again and again", 5, "times in a day", 15},
    [BURST] = {"burst", "nearly all repos behind a gate were fetched within an hour, soon after you were let in", 80,
               "% of a gate's repos in an hour", 10},
    [NEW_CLIENT] = {"new-client", "after a long silence, a program used it that had not before", 30, "quiet days", 5},
    [DORMANCY] = {"dormancy", "after a very long silence, it downloaded more than nearly all others do", 60,
                  "quiet days", 15},
    [PROBING] = {"probing", "it asked for many gated repos that it may not have", 20, "gated repos in an hour", 15},
    [RESALE] = {"resale", "for days, different networks used it at different times of the day, as if it were shared", 2,
                "times of the day in a week, with a network of its own each", 20},
    [THROWAWAY] = {"throwaway-mail", "the account is new, and its address is one to be thrown away", 24,
                   "hours of the account's age, or less", 10},
    [MANY_ACCOUNTS] =
        {"many-accounts",
         "several accounts were signed up from the same network in a day or by the same browser, or paid for by the "
         "same means",
         3, "accounts", 20},
    [HONEY] = {"honey-key", "somebody used a key that lay in your place only to be found", 0, "uses", 100},
    [LEAK] = {"reported-leak", "it was reported as found in public", 0, "reports", 100},
    [REUPLOAD] = {"re-upload", "files of a gated repo were uploaded to another", 0, "holds", 60},
};

const struct level_spec level_specs[LEVELS] = {
    [LEVEL_NONE] = {"none", "nothing", 0},
    [LEVEL_ASK] = {"ask", "no gated files until you have signed in and said that it was you", 30},
    [LEVEL_SLOW] = {"slow", "it is slowed to 30 requests a minute", 50},
    [LEVEL_SUSPEND] = {"suspend", "it is suspended, and a person looks at it within 24 hours", 80},
    [LEVEL_BAR] = {"bar", "it is suspended, and so is your access to gated repos; a person looks at it within 24 hours",
                   100},
};

int signal_named(struct str code)
{
    for (int i = 0; i < SIGNALS; i++)
        if (str_eq(code, str_of(signal_specs[i].code)))
            return i;
    return -1;
}

/* In whole hours, so that signals of one hour add up in full. */
double score_of(const uint32_t seen_s[SIGNALS], uint32_t now_s)
{
    double score = 0;
    for (int i = 0; i < SIGNALS; i++)
        if (seen_s[i]) {
            uint32_t hours = now_s > seen_s[i] ? (now_s - seen_s[i]) / 3600 : 0;
            score += signal_specs[i].points * exp2(-(double)hours / HALF_LIFE_HOURS);
        }
    return score;
}

enum level level_of(double score)
{
    enum level level = LEVEL_NONE;
    while (level + 1 < LEVELS && score >= level_specs[level + 1].points)
        level++;
    return level;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_TRAIL_H
#define CAIRN_MISUSE_TRAIL_H

#include "misuse/signals.h"

/*
 * What is remembered of one key to tell misuse from use: sketches of bounded size, never an address or a name. Distinct
 * things are counted by linear counting: a bit for each, and n = -m ln(share of zeros).
 */

/* Where an address is, as the operator's file says. */
struct place {
    char country[2];
    float latitude, longitude; /* degrees */
};

/* A reply that is out: what there is to know of it. Hashes are of whatever has to be told apart; 0: not known. */
struct sight {
    int64_t key_id, account_id; /* key or session */
    int64_t at_us;
    int64_t used_us;          /* when the key was used before, as the database knows it */
    uint32_t network, client; /* what one party has to itself (network_around()); the program, without its version */
    const struct place *place;
    bool is_ci;         /* of a CI job: the machines of one are many, and nobody's in particular */
    bool has_addresses; /* its owner has said from which networks it is used */
    bool gated;         /* it was for bytes behind a gate */
    bool refused;       /* by the gate */
    bool whole;         /* a file from its beginning, and not a small one */
    int64_t bytes;      /* of files */
    int64_t repo_id, gate_id;
    uint32_t revision, file;
    bool throwaway; /* the account is young and its mail domain is on the operator's list */
};

struct trail_place {
    uint32_t network;
    uint16_t at_s, back_s; /* last use; last return from another network; of the clock's low bits, 0: never */
};
struct trail_haul {
    uint32_t revision, file; /* of the files fetched whole, the one with the least hash: it stands for all */
    uint16_t day, count;
};

#define TRAIL_PLACES 4
#define TRAIL_HAULS 2
#define TRAIL_BANDS 6 /* of four hours */

struct trail {
    uint16_t
        raised_half[KEY_SIGNALS + 1]; /* and THROWAWAY: the half hour in which it was written down last; 0: never */
    uint32_t seen_s;
    uint32_t clients; /* a bit a client */
    uint32_t half;    /* the half hour of the sketches: [half % 2] is of it, the other of the one before */
    uint32_t travel_s, burst_gate, burst_s, burst_repos, day_kib;
    uint8_t networks[2][32], refused[2][8];
    struct trail_place places[TRAIL_PLACES];
    struct trail_haul hauls[TRAIL_HAULS];
    uint32_t band_networks[TRAIL_BANDS];
    uint8_t band_days[TRAIL_BANDS];
    uint16_t day, woke_day, week;
    int16_t latitude, longitude; /* hundredths of a degree */
    char country[2];
    bool new_clients; /* clients has changed since it was written down */
};
_Static_assert(sizeof(struct trail) + sizeof(int64_t) <= 256, "100,000 active keys fit into 64 MiB (access.md C14)");

/* What a sight shows besides. */
struct found {
    unsigned signals;     /* a bit for each signal that is there now; BURST: to be compared with the size of the gate */
    unsigned burst_repos; /* repos of the gate fetched in the hour */
    uint32_t day_kib;     /* of a day that is over: one more volume to compare with; 0: none */
    uint32_t woke_clients; /* clients of before are not known, and the key has slept: these may be new */
};

/* So many repos of a gate that has gate_repos, whose grant was given at granted_us: is that a burst after approval? */
bool trail_bursts(unsigned repos, int64_t gate_repos, int64_t granted_us, int64_t now_us);

/* busy_kib: what 99 % of days with downloads stay below; 0: not known yet. */
struct found trail_add(struct trail *trail, const struct sight *sight, uint32_t busy_kib);

#endif

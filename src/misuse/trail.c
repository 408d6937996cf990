/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/trail.h"
#include "base/time.h"
#include <math.h>
#include <string.h>

#define DAY_S 86400
#define TOGETHER_S 300
#define TRAVEL_LEAST_KM 100.0 /* a file of countries is not more exact near borders */
#define BURST_LEAST_REPOS 5   /* whoever is let in to few fetches all of them: that is what they came for */
#define STEADY_DAYS 4         /* of a week */

static int64_t limit(enum signal signal)
{
    return signal_specs[signal].threshold;
}

/* Sketches. */

/* True when the bit was not set. */
static bool mark(uint8_t *bits, size_t size, uint32_t hash)
{
    size_t at = hash % (size * 8);
    bool is_new = !(bits[at / 8] & 1U << at % 8);
    bits[at / 8] |= (uint8_t)(1U << at % 8);
    return is_new;
}

static unsigned distinct(const uint8_t *a, const uint8_t *b, size_t size)
{
    unsigned ones = 0, bits = (unsigned)size * 8;
    for (size_t i = 0; i < size; i++)
        ones += (unsigned)__builtin_popcount(a[i] | (b ? b[i] : 0U));
    return ones == bits ? bits * 4 : (unsigned)lround(-(double)bits * log1p(-(double)ones / bits));
}

static void turn_halves(struct trail *t, uint32_t half)
{
    if (half == t->half)
        return;
    bool follows = half == t->half + 1;
    memset(t->networks[half % 2], 0, sizeof *t->networks);
    memset(t->refused[half % 2], 0, sizeof *t->refused);
    if (!follows) {
        memset(t->networks[1 - half % 2], 0, sizeof *t->networks);
        memset(t->refused[1 - half % 2], 0, sizeof *t->refused);
    }
    t->half = half;
}

static bool fans_out(struct trail *t, const struct sight *s)
{
    return mark(t->networks[t->half % 2], sizeof *t->networks, s->network) &&
           distinct(t->networks[0], t->networks[1], sizeof *t->networks) > limit(FAN_OUT);
}

static bool probes(struct trail *t, const struct sight *s)
{
    return mark(t->refused[t->half % 2], sizeof *t->refused,
                (uint32_t)((uint64_t)s->repo_id * 0x9e3779b97f4a7c15 >> 32)) &&
           distinct(t->refused[0], t->refused[1], sizeof *t->refused) > limit(PROBING);
}

/* At the same time: networks that come back while others are in use. Moving on, as travellers do, is not that. */

static uint16_t low(uint32_t at_s)
{
    return (uint16_t)at_s ? (uint16_t)at_s : 1;
}

static bool is_recent(uint16_t then, uint32_t now_s)
{
    return then && (uint16_t)(low(now_s) - then) <= TOGETHER_S;
}

/* The places stand in the order of their last use, the latest first. */
static bool is_concurrent(struct trail *t, const struct sight *s, uint32_t now_s)
{
    size_t at = 0;
    int back = 0;
    for (size_t i = 0; i < TRAIL_PLACES; i++)
        if (!is_recent(t->places[i].at_s, now_s) || now_s - t->seen_s > TOGETHER_S)
            t->places[i] = (struct trail_place){0};
    while (at < TRAIL_PLACES - 1 && t->places[at].network != s->network)
        at++;
    struct trail_place here = {s->network, low(now_s), 0}, gone = t->places[at];
    if (t->places[at].network == s->network)
        here.back_s = at ? here.at_s : t->places[at].back_s;
    memmove(&t->places[1], &t->places[0], at * sizeof here);
    t->places[0] = here;
    for (size_t i = 0; i < TRAIL_PLACES; i++)
        back += is_recent(t->places[i].back_s, now_s);
    bool is_crowd = gone.at_s && gone.network != s->network; /* nobody passes through so many in five minutes */
    return back > limit(CONCURRENT) || is_crowd;
}

/* Where. */

static double radians(double degrees)
{
    return degrees * M_PI / 180;
}

/* Haversine, on a sphere. */
static double distance_km(double lat1, double lon1, double lat2, double lon2)
{
    double a = sin(radians(lat2 - lat1) / 2), b = sin(radians(lon2 - lon1) / 2);
    double h = a * a + cos(radians(lat1)) * cos(radians(lat2)) * b * b;
    return 2 * 6371 * asin(sqrt(h < 1 ? h : 1));
}

static bool travels(struct trail *t, const struct sight *s, uint32_t now_s)
{
    const struct place *here = s->place;
    double km = 0, hours = (now_s - t->travel_s) / 3600.0;
    if (t->country[0] && memcmp(t->country, here->country, 2) != 0)
        km = distance_km(t->latitude / 100.0, t->longitude / 100.0, here->latitude, here->longitude);
    memcpy(t->country, here->country, 2);
    t->latitude = (int16_t)lrintf(here->latitude * 100);
    t->longitude = (int16_t)lrintf(here->longitude * 100);
    t->travel_s = now_s;
    return km > TRAVEL_LEAST_KM && km > hours * (double)limit(TRAVEL);
}

/* How much. */

static bool hauls(struct trail *t, const struct sight *s, uint16_t day)
{
    struct trail_haul *slot = &t->hauls[0];
    for (size_t i = 0; i < TRAIL_HAULS; i++) {
        struct trail_haul *h = &t->hauls[i];
        if (h->day == day && h->revision == s->revision) {
            slot = h;
            break;
        }
        if (h->day != day || (slot->day == day && h->count < slot->count))
            slot = h;
    }
    if (slot->day != day || slot->revision != s->revision || s->file < slot->file)
        *slot = (struct trail_haul){s->revision, s->file, day, 0};
    if (slot->file == s->file && slot->count < UINT16_MAX)
        slot->count++;
    return slot->count > limit(HAULING);
}

static unsigned burst(struct trail *t, const struct sight *s, uint32_t now_s)
{
    if (t->burst_gate != (uint32_t)s->gate_id || now_s - t->burst_s > 3600) {
        t->burst_gate = (uint32_t)s->gate_id;
        t->burst_s = now_s;
        t->burst_repos = 0;
    }
    bool is_new = mark((uint8_t *)&t->burst_repos, sizeof t->burst_repos,
                       (uint32_t)((uint64_t)s->repo_id * 0x9e3779b97f4a7c15 >> 32));
    unsigned repos = is_new ? distinct((uint8_t *)&t->burst_repos, NULL, sizeof t->burst_repos) : 0;
    return repos >= BURST_LEAST_REPOS ? repos : 0;
}

#define BURST_AFTER_US (7 * DAY_S * SECOND_US)

bool trail_bursts(unsigned repos, int64_t gate_repos, int64_t granted_us, int64_t now_us)
{
    return now_us - granted_us < BURST_AFTER_US && repos * INT64_C(100) > gate_repos * limit(BURST);
}

/* The most of the bands, steadily used, of which no two share a network. */
static int bands_apart(const struct trail *t)
{
    int most = 0;
    for (unsigned set = 1; set < 1U << TRAIL_BANDS; set++) {
        uint32_t taken = 0;
        bool fits = true;
        for (size_t i = 0; i < TRAIL_BANDS; i++)
            if (set & 1U << i) {
                fits = fits && __builtin_popcount(t->band_days[i]) >= STEADY_DAYS && !(taken & t->band_networks[i]);
                taken |= t->band_networks[i];
            }
        if (fits && __builtin_popcount(set) > most)
            most = __builtin_popcount(set);
    }
    return most;
}

static bool resells(struct trail *t, const struct sight *s, uint32_t now_s)
{
    uint16_t week = (uint16_t)(now_s / (7 * DAY_S)), band = now_s % DAY_S / (DAY_S / TRAIL_BANDS);
    if (week != t->week) {
        memset(t->band_networks, 0, sizeof t->band_networks);
        memset(t->band_days, 0, sizeof t->band_days);
        t->week = week;
    }
    uint8_t days = t->band_days[band] | (uint8_t)(1U << now_s / DAY_S % 7);
    /* Two networks that share a bit in one week do not in the next. */
    uint32_t networks = t->band_networks[band] | 1U << ((s->network ^ week * 0x9e3779b9U) * 0x85ebca6bU >> 27);
    if (days == t->band_days[band] && networks == t->band_networks[band])
        return false;
    t->band_days[band] = days;
    t->band_networks[band] = networks;
    return bands_apart(t) > limit(RESALE);
}

/* After a silence. */

static bool wakes_busy(struct trail *t, const struct sight *s, uint16_t day, uint32_t busy_kib, struct found *found)
{
    if (day != t->day) {
        found->day_kib = t->day_kib;
        t->day = day;
        t->day_kib = 0;
    }
    uint64_t kib = t->day_kib + ((uint64_t)s->bytes + 1023) / 1024;
    t->day_kib = kib < UINT32_MAX ? (uint32_t)kib : UINT32_MAX;
    return t->woke_day && busy_kib && t->day_kib > busy_kib;
}

static bool is_new_client(struct trail *t, const struct sight *s, int64_t quiet_s, struct found *found)
{
    uint32_t bit = 1U << s->client % 32, before = t->clients;
    if (before & bit)
        return false;
    t->clients |= bit;
    t->new_clients = true;
    if (quiet_s <= limit(NEW_CLIENT) * DAY_S)
        return false;
    if (!before)
        found->woke_clients = bit;
    return before != 0;
}

/* All of it. */

static unsigned where_from(struct trail *t, const struct sight *s, uint32_t now_s)
{
    unsigned signals = 0;
    if (s->place && s->gated && !s->refused && travels(t, s, now_s))
        signals |= 1U << TRAVEL;
    if (!s->network || s->has_addresses)
        return signals;
    if (!s->is_ci && fans_out(t, s))
        signals |= 1U << FAN_OUT;
    if (is_concurrent(t, s, now_s))
        signals |= 1U << CONCURRENT;
    if (s->bytes && resells(t, s, now_s))
        signals |= 1U << RESALE;
    return signals;
}

static unsigned what_of(struct trail *t, const struct sight *s, uint32_t now_s, struct found *found)
{
    if (!s->gated)
        return 0;
    if (s->refused)
        return probes(t, s) ? 1U << PROBING : 0;
    found->burst_repos = burst(t, s, now_s);
    unsigned signals = found->burst_repos ? 1U << BURST : 0;
    if (s->whole && hauls(t, s, (uint16_t)(now_s / DAY_S)))
        signals |= 1U << HAULING;
    return signals;
}

struct found trail_add(struct trail *t, const struct sight *s, uint32_t busy_kib)
{
    struct found found = {0};
    uint32_t now_s = (uint32_t)(s->at_us / SECOND_US);
    int64_t last_s = t->seen_s > s->used_us / SECOND_US ? t->seen_s : s->used_us / SECOND_US;
    int64_t quiet_s = last_s && last_s < now_s ? now_s - last_s : 0;
    uint16_t day = (uint16_t)(now_s / DAY_S);
    if (quiet_s > limit(DORMANCY) * DAY_S)
        t->woke_day = day;
    else if (day - t->woke_day > 1) /* a day and the next it counts as just awake */
        t->woke_day = 0;
    turn_halves(t, now_s / 1800);
    found.signals = where_from(t, s, now_s) | what_of(t, s, now_s, &found);
    if (wakes_busy(t, s, day, busy_kib, &found))
        found.signals |= 1U << DORMANCY;
    if (s->client && is_new_client(t, s, quiet_s, &found))
        found.signals |= 1U << NEW_CLIENT;
    if (s->throwaway)
        found.signals |= 1U << THROWAWAY;
    t->seen_s = now_s;
    return found;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limiter.h"
#include "base/time.h"
#include "quota/quota.h"
#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RATE_SLOTS (1 << 17) /* 2 MiB */
#define ACCOUNT_BUCKETS 4096 /* with WAYS: 16,384 accounts that are active at once */
#define PARALLEL_BUCKETS 4096
#define WAYS 4
#define LOCKS 64
#define FRESH_NS INT64_C(5000000000)
#define SLOW_FACTOR 10 /* what a download costs once its sender is slowed */

struct known_account {
    int64_t account_id; /* and 1 added, so that 0 is a free place */
    int64_t read_ns;
    const struct limits *limits;
    int64_t shares; /* of bytes.egress, from sponsors */
};
struct present {
    uint64_t subject;
    int64_t count;
};
struct limiter {
    struct db *db;
    struct rate_table *rates;
    atomic_int_fast64_t generation_ns; /* what was read before is read anew */
    pthread_mutex_t locks[LOCKS];      /* of accounts and parallel, by bucket */
    struct known_account accounts[ACCOUNT_BUCKETS][WAYS];
    struct present parallel[PARALLEL_BUCKETS][WAYS];
    struct meters *meters;
};

struct limiter *limiter_new(struct db *db)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        abort();
    limiter->db = db;
    limiter->rates = rate_table_new(RATE_SLOTS);
    limiter->meters = meters_new(db);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&limiter->locks[i], NULL);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    meters_free(limiter->meters);
    rate_table_free(limiter->rates);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&limiter->locks[i]);
    free(limiter);
}

void limiter_changed(struct limiter *limiter)
{
    if (limiter)
        atomic_store(&limiter->generation_ns, rate_now_ns());
}

/* Accounts. */

static struct known_account *find_account(struct limiter *limiter, int64_t account_id)
{
    struct known_account *bucket = limiter->accounts[(uint64_t)account_id % ACCOUNT_BUCKETS], *oldest = bucket;
    for (size_t i = 0; i < WAYS; i++) {
        if (bucket[i].account_id == account_id + 1)
            return &bucket[i];
        if (bucket[i].read_ns < oldest->read_ns)
            oldest = &bucket[i];
    }
    *oldest = (struct known_account){.account_id = account_id + 1};
    return oldest;
}

static enum status read_account(struct limiter *limiter, struct db_conn *conn, int64_t account_id,
                                struct known_account *out, struct error *err)
{
    auto_conn struct db_conn *own = NULL;
    if (!conn)
        TRY(db_reader(limiter->db, &own, err));
    conn = conn ? conn : own;
    *out = (struct known_account){.account_id = account_id + 1, .read_ns = rate_now_ns()};
    TRY(limits_of(conn, account_id, &out->limits, err));
    const struct limit *egress = &out->limits->of[SCOPE_PERSON][UNIT_EGRESS];
    return account_id && egress->given && egress->over == OVER_SPONSOR
               ? quota_shares(conn, account_id, UNIT_EGRESS, &out->shares, err)
               : OK;
}

static enum status account_now(struct limiter *limiter, struct db_conn *conn, int64_t account_id, int64_t now,
                               struct known_account *out, struct error *err)
{
    pthread_mutex_t *lock = &limiter->locks[(uint64_t)account_id % ACCOUNT_BUCKETS % LOCKS];
    pthread_mutex_lock(lock);
    *out = *find_account(limiter, account_id);
    pthread_mutex_unlock(lock);
    if (out->limits && now - out->read_ns < FRESH_NS && out->read_ns > atomic_load(&limiter->generation_ns))
        return OK;
    TRY(read_account(limiter, conn, account_id, out, err));
    pthread_mutex_lock(lock);
    *find_account(limiter, account_id) = *out;
    pthread_mutex_unlock(lock);
    return OK;
}

/* What is there at once. */

/* False when most are there already. A full bucket counts nobody: those in it are few, and the others keep their limit. */
static bool parallel_enter(struct limiter *limiter, uint64_t subject, int64_t most, uint64_t *counted)
{
    struct present *bucket = limiter->parallel[subject % PARALLEL_BUCKETS], *slot = NULL;
    pthread_mutex_t *lock = &limiter->locks[subject % PARALLEL_BUCKETS % LOCKS];
    bool room = true;
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < WAYS; i++)
        if (bucket[i].subject == subject || (!bucket[i].count && (!slot || slot->subject != subject)))
            slot = &bucket[i];
    if (slot && slot->subject != subject)
        *slot = (struct present){.subject = subject};
    if (slot && slot->count >= most)
        room = false;
    else if (slot)
        slot->count++;
    pthread_mutex_unlock(lock);
    *counted = slot && room ? subject : 0;
    return room;
}

static void parallel_leave(struct limiter *limiter, uint64_t subject)
{
    struct present *bucket = limiter->parallel[subject % PARALLEL_BUCKETS];
    pthread_mutex_t *lock = &limiter->locks[subject % PARALLEL_BUCKETS % LOCKS];
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < WAYS; i++)
        if (bucket[i].subject == subject)
            bucket[i].count--;
    pthread_mutex_unlock(lock);
}

/* Who asks. */

/* A network is one address of IPv4, and of IPv6 what a subscriber is given: 64 bits. */
static void network_of(struct str address, uint64_t *high, uint64_t *low)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    struct in_addr four;
    *high = *low = 0;
    if (address.len >= sizeof text)
        return;
    memcpy(text, address.data, address.len);
    text[address.len] = '\0';
    if (inet_pton(AF_INET, text, &four) == 1) {
        *low = (uint64_t)four.s_addr | UINT64_C(1) << 32;
    } else if (inet_pton(AF_INET6, text, &six) == 1) {
        memcpy(high, six.s6_addr, sizeof *high);
        if (IN6_IS_ADDR_V4MAPPED(&six)) {
            *high = 0;
            *low = (uint64_t)six.s6_addr32[3] | UINT64_C(1) << 32;
        }
    }
}

static uint64_t subject_of(const struct limiter *limiter, const struct caller *caller, enum scope scope, enum unit unit)
{
    uint64_t high = 0, low = 0;
    if (scope == SCOPE_NETWORK)
        network_of(caller->address, &high, &low);
    else
        low = (uint64_t)(scope == SCOPE_KEY ? caller->key_id : caller->account_id);
    return rate_subject(limiter->rates, scope, unit, high, low);
}

static bool holds(const struct caller *caller, const struct limits *limits, enum scope scope, enum unit unit)
{
    if (!limits->of[scope][unit].given || (limits->local_free && caller->local))
        return false;
    return scope == SCOPE_NETWORK ? !caller->account_id
           : scope == SCOPE_KEY   ? caller->key_id != 0
                                  : caller->account_id != 0;
}

/* Coming in. */

static int64_t seconds(int64_t ns)
{
    return (ns + 999999999) / 1000000000;
}

static enum status enter_parallel(struct limiter *limiter, const struct caller *caller, const struct limits *limits,
                                  struct visit *visit, struct error *err)
{
    for (enum scope scope = 0; scope < SCOPES; scope++) {
        int64_t most = limits->of[scope][UNIT_PARALLEL].hard;
        if (!holds(caller, limits, scope, UNIT_PARALLEL) ||
            parallel_enter(limiter, subject_of(limiter, caller, scope, UNIT_PARALLEL), most, &visit->parallel[scope]))
            continue;
        visit->answer = (struct rate_answer){.wait_ns = 1000000000};
        return fail(err, TOO_MANY, "TooManyAtOnce",
                    "You have %lld requests open at once, as many as the tier %s allows. Wait until some of them are "
                    "answered.",
                    (long long)most, limits->slug);
    }
    return OK;
}

/* Downloads: of the person, and of the key where that has a limit of its own. */

#define DAY_S 86400

static int64_t wait_for(const struct metered *metered)
{
    int64_t wait = metered->again_us - now_us();
    return (wait > 0 ? wait : 1) * 1000;
}

/* What fits nowhere shall not be tried again and again: its ranges can be had. */
static const char *too_large_for(int64_t bytes, int64_t most)
{
    return bytes > most ? " This is more than all of it: ask for ranges of it." : "";
}

static enum status refuse_egress(struct visit *visit, const struct metered *metered, int64_t bytes, struct error *err)
{
    const struct limit *limit = &visit->limits->of[SCOPE_PERSON][UNIT_EGRESS];
    long long most = (long long)visit->account_most, left = most - (long long)metered->bytes;
    visit->answer = (struct rate_answer){.wait_ns = wait_for(metered)};
    long long wait = (long long)seconds(visit->answer.wait_ns);
    left = left > 0 ? left : 0;
    if (limit->over == OVER_CHARGE)
        return fail(err, UNPAID, "PaymentRequired",
                    "Of the %lld bytes of downloads that the tier %s includes, %lld are left, and this would be %lld. "
                    "More is to be paid for: see /api/usage. Otherwise you can go on in %lld seconds.%s",
                    most, visit->limits->slug, left, (long long)bytes, wait, too_large_for(bytes, most));
    return fail(err, TOO_MANY, "QuotaExceeded",
                "The tier %s allows to download %lld bytes in %lld seconds. Of these %lld are left, and this would be "
                "%lld. You can go on in %lld seconds; /api/usage says how to be allowed more.%s",
                visit->limits->slug, most, (long long)limit->per_s, left, (long long)bytes, wait,
                too_large_for(bytes, most));
}

static enum status refuse_day(struct visit *visit, const struct metered *metered, int64_t bytes, struct error *err)
{
    int64_t left = visit->key_most - metered->bytes;
    visit->answer =
        (struct rate_answer){.wait_ns = metered->again_us ? wait_for(metered) : DAY_S * INT64_C(1000000000)};
    return fail(
        err, TOO_MANY, "TokenBytes",
        "This token may download %lld bytes a day. Of these %lld are left, and this would be %lld. It can go on "
        "in %lld seconds.%s",
        (long long)visit->key_most, (long long)(left > 0 ? left : 0), (long long)bytes,
        (long long)seconds(visit->answer.wait_ns), too_large_for(bytes, visit->key_most));
}

/* Who has nothing left is told before anything is looked up. */
static enum status enter_downloads(struct limiter *limiter, struct db_conn *conn, const struct caller *caller,
                                   const struct known_account *account, struct visit *visit, struct error *err)
{
    const struct limit *limit = &account->limits->of[SCOPE_PERSON][UNIT_EGRESS];
    struct metered metered = {0};
    bool limited = caller->account_id && limit->given;
    /* Days, where nothing is limited: so that people see what they use. */
    visit->account = (struct meter){METER_ACCOUNT, caller->account_id, limit->given ? limit->per_s : DAY_S};
    visit->account_most = INT64_MAX;
    if (limited)
        visit->account_most = account->shares < INT64_MAX - limit->hard ? limit->hard + account->shares : INT64_MAX;
    if (caller->bytes_per_day) {
        visit->key = (struct meter){METER_KEY, caller->key_id, 0};
        visit->key_most = caller->bytes_per_day;
    }
    if (visit->unit != UNIT_RESOLVE)
        return OK;
    if (limited)
        TRY(meter_read(limiter->meters, conn, &visit->account, &metered, err));
    if (limited && metered.bytes >= visit->account_most)
        return refuse_egress(visit, &metered, 1, err);
    if (limited && limit->over == OVER_SLOW && metered.bytes >= limit->soft)
        visit->tenths *= SLOW_FACTOR;
    if (!visit->key.id)
        return OK;
    TRY(meter_read(limiter->meters, conn, &visit->key, &metered, err));
    return metered.bytes < visit->key_most ? OK : refuse_day(visit, &metered, 1, err);
}

enum status limiter_promise(struct limiter *limiter, struct db_conn *conn, struct visit *visit, int64_t bytes,
                            struct error *err)
{
    struct metered metered;
    bool fits = true;
    assert(!visit->promised);
    if (visit->key.id)
        TRY(meter_promise(limiter->meters, conn, &visit->key, bytes, visit->key_most, &fits, &metered, err));
    if (!fits)
        return refuse_day(visit, &metered, bytes, err);
    enum status status = OK;
    if (visit->account_most < INT64_MAX)
        status =
            meter_promise(limiter->meters, conn, &visit->account, bytes, visit->account_most, &fits, &metered, err);
    if (status == OK && fits) {
        visit->promised = bytes;
        return OK;
    }
    if (visit->key.id)
        meter_settle(limiter->meters, &visit->key, bytes, 0);
    return status == OK ? refuse_egress(visit, &metered, bytes, err) : status;
}

/* The floor: what is left to a key that looks misused. */
#define FLOOR rate_of(30, 60, 30)

static enum status enter_rates(struct limiter *limiter, const struct caller *caller, const struct limits *limits,
                               int64_t now, struct visit *visit, struct error *err)
{
    for (enum scope scope = 0; scope < SCOPES; scope++)
        if (holds(caller, limits, scope, visit->unit))
            visit->asks[visit->ask_count++] =
                (struct rate_ask){subject_of(limiter, caller, scope, visit->unit), limits->of[scope][visit->unit].rate};
    if (caller->slowed)
        visit->asks[visit->ask_count++] =
            (struct rate_ask){rate_subject(limiter->rates, SCOPES, visit->unit, 0, (uint64_t)caller->key_id), FLOOR};
    visit->answer = rate_take(limiter->rates, visit->asks, visit->ask_count, visit->tenths, now);
    if (visit->answer.allowed)
        return OK;
    const struct rate *rate = &visit->asks[visit->answer.strictest].rate;
    if (caller->slowed && visit->answer.strictest == visit->ask_count - 1)
        return fail(err, TOO_MANY, "TokenSlowed",
                    "This token looked misused, and is slowed to %lld requests in %lld seconds. Wait %lld seconds; "
                    "GET /api/misuse tells why, and how to appeal.",
                    (long long)rate->most, (long long)seconds(rate->burst_ns),
                    (long long)seconds(visit->answer.wait_ns));
    return fail(err, TOO_MANY, "RateLimited",
                "The tier %s allows %lld %s in %lld seconds, and these are used up. Wait %lld seconds, then go on; "
                "/api/usage says how to be allowed more.",
                limits->slug, (long long)rate->most, unit_specs[visit->unit].what, (long long)seconds(rate->burst_ns),
                (long long)seconds(visit->answer.wait_ns));
}

enum status limiter_floor(struct limiter *limiter, int64_t account_id, int64_t owner_id, struct visit *visit,
                          struct error *err)
{
    uint64_t subject = rate_subject(limiter->rates, SCOPES + 1, visit->unit, (uint64_t)owner_id, (uint64_t)account_id);
    struct rate_ask ask = {subject, FLOOR};
    struct rate_answer answer = rate_take(limiter->rates, &ask, 1, visit->tenths, rate_now_ns());
    if (answer.allowed)
        return OK;
    visit->answer = answer;
    return fail(err, TOO_MANY, "AccessSlowed",
                "Its owner has slowed you to %lld requests in %lld seconds. Wait %lld seconds; GET /api/enforcement "
                "tells why, and how to appeal.",
                (long long)ask.rate.most, (long long)seconds(ask.rate.burst_ns), (long long)seconds(answer.wait_ns));
}

enum status limiter_enter(struct limiter *limiter, struct db_conn *conn, const struct caller *caller, enum unit unit,
                          bool little, struct visit *visit, struct error *err)
{
    struct known_account account;
    int64_t now = rate_now_ns();
    *visit = (struct visit){.unit = unit, .tenths = little ? RATE_LITTLE : RATE_WHOLE};
    TRY(account_now(limiter, conn, caller->account_id, now, &account, err));
    visit->limits = account.limits;
    TRY(enter_parallel(limiter, caller, account.limits, visit, err));
    TRY(enter_downloads(limiter, conn, caller, &account, visit, err));
    return enter_rates(limiter, caller, account.limits, now, visit, err);
}

/* Going out. */

#define NOT_MODIFIED 304

void limiter_leave(struct limiter *limiter, struct visit *visit, int status, int64_t bytes)
{
    for (enum scope scope = 0; scope < SCOPES; scope++)
        if (visit->parallel[scope])
            parallel_leave(limiter, visit->parallel[scope]);
    memset(visit->parallel, 0, sizeof visit->parallel);
    if (status == NOT_MODIFIED && visit->answer.allowed && visit->tenths > RATE_LITTLE)
        rate_give(limiter->rates, visit->asks, visit->ask_count, visit->tenths - RATE_LITTLE);
    int64_t sent = visit->promised && status < 300 ? bytes : 0;
    if (visit->limits)
        meter_settle(limiter->meters, &visit->account, visit->account_most < INT64_MAX ? visit->promised : 0, sent);
    if (visit->key.id)
        meter_settle(limiter->meters, &visit->key, visit->promised, sent);
    visit->promised = 0;
}

bool limiter_peek(struct limiter *limiter, const struct limits *limits, int64_t account_id, enum unit unit,
                  struct rate_answer *out)
{
    const struct limit *limit = &limits->of[SCOPE_PERSON][unit];
    if (!limit->given || unit_specs[unit].measure != MEASURE_RATE)
        return false;
    struct rate_ask ask = {rate_subject(limiter->rates, SCOPE_PERSON, unit, 0, (uint64_t)account_id), limit->rate};
    *out = rate_take(limiter->rates, &ask, 1, 0, rate_now_ns());
    return true;
}

enum status limiter_flush(struct limiter *limiter, bool now, struct error *err)
{
    return meters_flush(limiter->meters, now, err);
}

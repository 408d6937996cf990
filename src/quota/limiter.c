/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/limiter.h"
#include "base/time.h"
#include "quota/quota.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RATE_SLOTS (1 << 17) /* 2 MiB */
#define ACCOUNT_BUCKETS 4096 /* with WAYS: 16,384 accounts that are active at once */
#define PARALLEL_BUCKETS 4096
#define SENT_BUCKETS 1024
#define DAY_BUCKETS 4096 /* 384 KiB: 16,384 limited keys that download in the same day */
#define WAYS 4
#define LOCKS 64
#define FRESH_NS INT64_C(5000000000)
#define FLUSH_NS INT64_C(5000000000)
#define FLUSH_BYTES (INT64_C(64) << 20)
#define SLOW_FACTOR 10 /* what a download costs once its sender is slowed */

struct known_account {
    int64_t account_id; /* and 1 added, so that 0 is a free place */
    int64_t read_ns;
    const struct limits *limits;
    int64_t sent, span; /* bytes.egress of the current span, as far as it was limited when read */
    int64_t shares;     /* of it, from sponsors */
};
struct present {
    uint64_t subject;
    int64_t count;
};
struct sent {
    int64_t account_id; /* and 1 */
    int64_t bytes;
};

/* What a key with a limit of its own has downloaded since the first byte of its day. */
struct key_day {
    int64_t key_id, began_us, bytes;
};

struct limiter {
    struct db *db;
    struct rate_table *rates;
    atomic_int_fast64_t generation_ns; /* what was read before is read anew */
    pthread_mutex_t locks[LOCKS];      /* of accounts and parallel, by bucket */
    struct known_account accounts[ACCOUNT_BUCKETS][WAYS];
    struct present parallel[PARALLEL_BUCKETS][WAYS];

    struct key_day days[DAY_BUCKETS][WAYS];

    pthread_mutex_t sent_lock;
    struct sent sent[SENT_BUCKETS][WAYS];
    int64_t sent_total, flushed_ns;
};

struct limiter *limiter_new(struct db *db)
{
    struct limiter *limiter = calloc(1, sizeof *limiter);
    if (!limiter)
        abort();
    limiter->db = db;
    limiter->rates = rate_table_new(RATE_SLOTS);
    limiter->flushed_ns = rate_now_ns();
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&limiter->locks[i], NULL);
    pthread_mutex_init(&limiter->sent_lock, NULL);
    return limiter;
}

void limiter_free(struct limiter *limiter)
{
    if (!limiter)
        return;
    limiter_flush(limiter, true, NULL);
    rate_table_free(limiter->rates);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&limiter->locks[i]);
    pthread_mutex_destroy(&limiter->sent_lock);
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

static int64_t sent_so_far(struct limiter *limiter, int64_t account_id)
{
    int64_t bytes = 0;
    pthread_mutex_lock(&limiter->sent_lock);
    const struct sent *bucket = limiter->sent[(uint64_t)account_id % SENT_BUCKETS];
    for (size_t i = 0; i < WAYS; i++)
        if (bucket[i].account_id == account_id + 1)
            bytes = bucket[i].bytes;
    pthread_mutex_unlock(&limiter->sent_lock);
    return bytes;
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
    if (!account_id || !egress->given)
        return OK;
    struct quota_use use;
    out->span = quota_span(egress->per_s, now_us());
    TRY(quota_used(conn, account_id, UNIT_EGRESS, out->span, &use, err));
    out->sent = use.used + sent_so_far(limiter, account_id);
    return egress->over == OVER_SPONSOR ? quota_shares(conn, account_id, UNIT_EGRESS, &out->shares, err) : OK;
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

static void account_sent(struct limiter *limiter, int64_t account_id, int64_t bytes)
{
    pthread_mutex_t *lock = &limiter->locks[(uint64_t)account_id % ACCOUNT_BUCKETS % LOCKS];
    pthread_mutex_lock(lock);
    find_account(limiter, account_id)->sent += bytes;
    pthread_mutex_unlock(lock);
}

/* Bytes a day of a key. In memory alone: a hub that starts anew starts the days anew. */

#define KEY_DAY_US (INT64_C(86400) * SECOND_US)

/* The day of a key with these bytes added: none is begun without. One that is over makes room, else the one with the
 * least. */
static struct key_day add_day(struct limiter *limiter, int64_t key_id, int64_t bytes, int64_t now)
{
    struct key_day *bucket = limiter->days[(uint64_t)key_id % DAY_BUCKETS], *slot = bucket, day = {key_id, now, 0};
    pthread_mutex_t *lock = &limiter->locks[(uint64_t)key_id % DAY_BUCKETS % LOCKS];
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < WAYS; i++) {
        if (bucket[i].began_us + KEY_DAY_US <= now)
            bucket[i] = (struct key_day){0};
        if (bucket[i].bytes < slot->bytes)
            slot = &bucket[i];
    }
    for (size_t i = 0; i < WAYS; i++)
        if (bucket[i].key_id == key_id)
            day = *(slot = &bucket[i]);
    day.bytes += bytes;
    if (bytes)
        *slot = day;
    pthread_mutex_unlock(lock);
    return day;
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

static enum status enter_parallel(struct limiter *limiter, const struct caller *caller, const struct limits *limits,
                                  struct visit *visit, struct error *err)
{
    for (enum scope scope = 0; scope < SCOPES; scope++) {
        int64_t most = limits->of[scope][UNIT_PARALLEL].hard;
        if (visit->parallel || !holds(caller, limits, scope, UNIT_PARALLEL))
            continue;
        if (parallel_enter(limiter, subject_of(limiter, caller, scope, UNIT_PARALLEL), most, &visit->parallel))
            continue;
        visit->answer = (struct rate_answer){.wait_ns = 1000000000};
        return fail(err, TOO_MANY, "TooManyAtOnce",
                    "You have %lld requests open at once, as many as the tier %s allows. Wait until some of them are "
                    "answered.",
                    (long long)most, limits->slug);
    }
    return OK;
}

static int64_t seconds(int64_t ns)
{
    return (ns + 999999999) / 1000000000;
}

/* Bytes sent are known afterwards only: who is over the limit is told when asking for the next. */
static enum status enter_egress(const struct known_account *account, struct visit *visit, struct error *err)
{
    const struct limit *limit = &account->limits->of[SCOPE_PERSON][UNIT_EGRESS];
    int64_t now = now_us();
    if (!visit->account_id || visit->unit != UNIT_RESOLVE || !limit->given ||
        account->span != quota_span(limit->per_s, now))
        return OK;
    int64_t most = limit->over == OVER_SLOW ? limit->soft : limit->hard;
    if (account->sent < most || account->sent - most < account->shares)
        return OK;
    int64_t again = (account->span + 1) * limit->per_s * SECOND_US - now;
    visit->answer = (struct rate_answer){.wait_ns = again * 1000};
    if (limit->over == OVER_SLOW && account->sent < limit->hard) {
        visit->tenths *= SLOW_FACTOR;
        return OK;
    }
    if (limit->over == OVER_CHARGE)
        return fail(err, UNPAID, "PaymentRequired",
                    "You have downloaded the %lld bytes that the tier %s includes. More is to be paid for: see "
                    "/api/usage. Otherwise you can go on in %lld seconds.",
                    (long long)limit->hard, account->limits->slug, (long long)seconds(again * 1000));
    return fail(err, TOO_MANY, "QuotaExceeded",
                "You have downloaded %lld bytes, as many as the tier %s allows in %lld seconds. You can go on in %lld "
                "seconds; /api/usage says how to be allowed more.",
                (long long)limit->hard, account->limits->slug, (long long)limit->per_s,
                (long long)seconds(again * 1000));
}

static enum status enter_day(struct limiter *limiter, const struct caller *caller, struct visit *visit,
                             struct error *err)
{
    int64_t now = now_us();
    if (!caller->bytes_per_day)
        return OK;
    visit->limited_key = caller->key_id;
    struct key_day day = add_day(limiter, caller->key_id, 0, now);
    if (visit->unit != UNIT_RESOLVE || day.bytes < caller->bytes_per_day)
        return OK;
    visit->answer = (struct rate_answer){.wait_ns = (day.began_us + KEY_DAY_US - now) * 1000};
    return fail(err, TOO_MANY, "TokenBytes",
                "This token may download %lld bytes a day, and has. It can go on in %lld seconds.",
                (long long)caller->bytes_per_day, (long long)seconds(visit->answer.wait_ns));
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
    *visit =
        (struct visit){.unit = unit, .account_id = caller->account_id, .tenths = little ? RATE_LITTLE : RATE_WHOLE};
    TRY(account_now(limiter, conn, caller->account_id, now, &account, err));
    TRY(enter_parallel(limiter, caller, account.limits, visit, err));
    TRY(enter_egress(&account, visit, err));
    TRY(enter_day(limiter, caller, visit, err));
    return enter_rates(limiter, caller, account.limits, now, visit, err);
}

/* Going out. */

static void count_sent(struct limiter *limiter, int64_t account_id, int64_t bytes)
{
    struct sent *bucket = limiter->sent[(uint64_t)account_id % SENT_BUCKETS], *slot = NULL;
    pthread_mutex_lock(&limiter->sent_lock);
    for (size_t i = 0; i < WAYS && (!slot || slot->account_id != account_id + 1); i++)
        if (bucket[i].account_id == account_id + 1 || (!slot && !bucket[i].account_id))
            slot = &bucket[i];
    /* More than fit in five seconds: these bytes count for nobody in particular, and all is written at once. */
    if (!slot || (slot->account_id && slot->account_id != account_id + 1)) {
        limiter->sent_total += FLUSH_BYTES;
    } else {
        slot->account_id = account_id + 1;
        slot->bytes += bytes;
        limiter->sent_total += bytes;
    }
    pthread_mutex_unlock(&limiter->sent_lock);
}

#define NOT_MODIFIED 304

void limiter_leave(struct limiter *limiter, struct visit *visit, int status, int64_t bytes, bool counts)
{
    if (visit->parallel)
        parallel_leave(limiter, visit->parallel);
    visit->parallel = 0;
    if (status == NOT_MODIFIED && visit->answer.allowed && visit->tenths > RATE_LITTLE)
        rate_give(limiter->rates, visit->asks, visit->ask_count, visit->tenths - RATE_LITTLE);
    if (!counts || bytes <= 0)
        return;
    count_sent(limiter, visit->account_id, bytes);
    if (visit->limited_key)
        add_day(limiter, visit->limited_key, bytes, now_us());
    if (visit->account_id)
        account_sent(limiter, visit->account_id, bytes);
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

/* Writing down what was sent. */

struct flush {
    struct sent sent[SENT_BUCKETS * WAYS];
    size_t count;
};

static enum status write_flush(struct db_conn *tx, void *context, struct error *err)
{
    const struct flush *flush = context;
    for (size_t i = 0; i < flush->count; i++) {
        const struct limits *limits;
        int64_t account_id = flush->sent[i].account_id - 1;
        TRY(limits_of(tx, account_id, &limits, err));
        const struct limit *egress = &limits->of[SCOPE_PERSON][UNIT_EGRESS];
        /* Days, where nothing is limited: so that people see what they use. */
        int64_t span = quota_span(egress->given ? egress->per_s : 86400, now_us());
        TRY(quota_add(tx, account_id, UNIT_EGRESS, span, flush->sent[i].bytes, err));
    }
    return OK;
}

static void give_back(struct limiter *limiter, const struct flush *flush)
{
    for (size_t i = 0; i < flush->count; i++)
        count_sent(limiter, flush->sent[i].account_id - 1, flush->sent[i].bytes);
}

enum status limiter_flush(struct limiter *limiter, bool now, struct error *err)
{
    int64_t at = rate_now_ns();
    struct flush *flush = NULL;
    pthread_mutex_lock(&limiter->sent_lock);
    bool due = now || limiter->sent_total >= FLUSH_BYTES || at - limiter->flushed_ns >= FLUSH_NS;
    if (due && limiter->sent_total) {
        flush = calloc(1, sizeof *flush);
        if (!flush)
            abort();
        for (size_t i = 0; i < SENT_BUCKETS * WAYS; i++)
            if (limiter->sent[i / WAYS][i % WAYS].account_id)
                flush->sent[flush->count++] = limiter->sent[i / WAYS][i % WAYS];
        memset(limiter->sent, 0, sizeof limiter->sent);
        limiter->sent_total = 0;
    }
    if (due)
        limiter->flushed_ns = at;
    pthread_mutex_unlock(&limiter->sent_lock);
    if (!flush)
        return OK;
    enum status status = db_write(limiter->db, write_flush, flush, err);
    if (status != OK)
        give_back(limiter, flush);
    free(flush);
    return status;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "identity/attempts.h"
#include "base/hash.h"
#include "base/network.h"
#include "base/time.h"
#include <ctype.h>
#include <pthread.h>

#define SETS 2048
#define WAYS 8 /* of a set; the one unused longest gives way */
#define HALF_LIFE_US (15 * 60 * SECOND_US)

/* So many for nothing, then a second, two, four… to the most. */
struct pace {
    uint32_t free;
    int64_t most_seconds;
};
static const struct pace account_pace = {5, 60}, network_pace = {30, 900}, token_pace = {100, 900};

struct slot {
    uint64_t who; /* 0: empty */
    uint32_t count;
    int64_t last_us, until_us;
    uint64_t what; /* of tokens: the last one */
};

static struct {
    pthread_mutex_t lock;
    uint8_t secret[32]; /* so that nobody can aim at the slot of another */
    bool ready;
    struct slot accounts[SETS][WAYS], networks[SETS][WAYS], tokens[SETS][WAYS];
    int64_t wrong_tokens;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t number_of(char kind, const void *data, size_t len)
{
    uint8_t digest[SHA256_SIZE];
    char text[1 + 256];
    uint64_t number;
    text[0] = kind;
    len = len < 256 ? len : 256;
    for (size_t i = 0; i < len; i++)
        text[1 + i] = kind == 'a' ? (char)tolower(((const unsigned char *)data)[i]) : ((const char *)data)[i];
    hmac_sha256((struct str){(const char *)table.secret, sizeof table.secret}, (struct str){text, 1 + len}, digest);
    memcpy(&number, digest, sizeof number);
    return number ? number : 1;
}

static struct slot *find(struct slot slots[SETS][WAYS], uint64_t who, int64_t now)
{
    struct slot *set = slots[who % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].who == who)
            return &set[i];
        if (set[i].last_us < oldest->last_us)
            oldest = &set[i];
    }
    *oldest = (struct slot){.who = who, .last_us = now};
    return oldest;
}

static void fade(struct slot *slot, int64_t now)
{
    while (slot->count && now - slot->last_us >= HALF_LIFE_US) {
        slot->count /= 2;
        slot->last_us += HALF_LIFE_US;
    }
}

static void count(struct slot *slot, const struct pace *pace, int64_t now)
{
    slot->count++;
    slot->last_us = now;
    if (slot->count <= pace->free)
        return;
    uint32_t over = slot->count - pace->free - 1;
    int64_t seconds = over < 20 ? INT64_C(1) << over : pace->most_seconds;
    slot->until_us = now + (seconds < pace->most_seconds ? seconds : pace->most_seconds) * SECOND_US;
}

struct pair {
    struct slot *account, *network;
};

/* With the lock held. */
static struct slot *find_network(struct slot slots[SETS][WAYS], struct str remote, int64_t now)
{
    struct network network;
    if (!table.ready)
        random_bytes(table.secret, sizeof table.secret);
    table.ready = true;
    network_address(remote, &network); /* of what is none, zeros: all such are one */
    network = network_around(&network);
    return find(slots, number_of('n', network.bytes, sizeof network.bytes), now);
}

static struct pair find_pair(struct str account, struct str remote, int64_t now)
{
    struct pair pair = {.network = find_network(table.networks, remote, now)};
    pair.account = find(table.accounts, number_of('a', account.data, account.len), now);
    return pair;
}

static int64_t seconds_until(int64_t until, int64_t now)
{
    return until <= now ? 0 : (until - now + SECOND_US - 1) / SECOND_US;
}

int64_t attempt_begin(struct str account, struct str remote)
{
    int64_t now = now_us();
    pthread_mutex_lock(&table.lock);
    struct pair pair = find_pair(account, remote, now);
    fade(pair.account, now);
    fade(pair.network, now);
    int64_t until = pair.account->until_us > pair.network->until_us ? pair.account->until_us : pair.network->until_us;
    if (until <= now) {
        count(pair.account, &account_pace, now);
        count(pair.network, &network_pace, now);
    }
    pthread_mutex_unlock(&table.lock);
    return seconds_until(until, now);
}

int64_t token_was_wrong(struct str token, struct str remote)
{
    int64_t now = now_us();
    pthread_mutex_lock(&table.lock);
    struct slot *slot = find_network(table.tokens, remote, now);
    uint64_t what = number_of('t', token.data, token.len);
    fade(slot, now);
    int64_t until = slot->until_us;
    if (until <= now && slot->what != what) {
        slot->what = what;
        count(slot, &token_pace, now);
    }
    table.wrong_tokens++;
    pthread_mutex_unlock(&table.lock);
    return seconds_until(until, now);
}

int64_t token_must_wait(struct str remote)
{
    int64_t now = now_us();
    pthread_mutex_lock(&table.lock);
    int64_t until = find_network(table.tokens, remote, now)->until_us;
    pthread_mutex_unlock(&table.lock);
    return seconds_until(until, now);
}

int64_t tokens_wrong(void)
{
    pthread_mutex_lock(&table.lock);
    int64_t wrong = table.wrong_tokens;
    pthread_mutex_unlock(&table.lock);
    return wrong;
}

void attempt_good(struct str account, struct str remote)
{
    pthread_mutex_lock(&table.lock);
    struct pair pair = find_pair(account, remote, now_us());
    pair.account->count = 0;
    pair.account->until_us = 0;
    if (pair.network->count)
        pair.network->count--;
    if (pair.network->count <= network_pace.free)
        pair.network->until_us = 0;
    pthread_mutex_unlock(&table.lock);
}

void attempts_forget(void)
{
    pthread_mutex_lock(&table.lock);
    memset(table.accounts, 0, sizeof table.accounts);
    memset(table.networks, 0, sizeof table.networks);
    memset(table.tokens, 0, sizeof table.tokens);
    pthread_mutex_unlock(&table.lock);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/internal.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define NO_PLACE UINT32_MAX

static uint64_t word_of(uint64_t count, unsigned owner)
{
    return count << 2 | owner;
}
static uint64_t count_of(uint64_t word)
{
    return word >> 2;
}
static unsigned owner_of(uint64_t word)
{
    return word & 3;
}

struct connection *table_reserve(struct http_server *server)
{
    struct connection *c = NULL;
    pthread_mutex_lock(&server->lock);
    if (server->first_free != NO_PLACE) {
        c = &server->connections[server->first_free];
        server->first_free = c->next_free;
    } else if (server->fresh < server->config.max_connections) {
        c = &server->connections[server->fresh++];
    } else {
        server->accept_paused = true;
    }
    if (c)
        atomic_fetch_add(&server->open, 1);
    pthread_mutex_unlock(&server->lock);
    if (!c)
        return NULL;
    uint64_t count = count_of(atomic_load(&c->word));
    c->server = server;
    c->exchange = NULL;
    c->registered = false;
    c->fd = -1;
    atomic_store(&c->state, READING_HEAD);
    atomic_store(&c->word, word_of(count + 1, OWNED));
    return c;
}

static void resume_locked(struct http_server *server, bool *resume)
{
    *resume = server->accept_paused && !atomic_load(&server->stopping);
    server->accept_paused = false;
}

void table_release(struct connection *c)
{
    struct http_server *server = c->server;
    bool resume;
    atomic_store(&c->word, word_of(count_of(atomic_load(&c->word)) + 1, FREE));
    pthread_mutex_lock(&server->lock);
    c->next_free = server->first_free;
    server->first_free = (uint32_t)(c - server->connections);
    bool last = atomic_fetch_sub(&server->open, 1) == 1;
    resume_locked(server, &resume);
    pthread_mutex_unlock(&server->lock);
    if (resume)
        listen_arm(server, EPOLL_CTL_MOD);
    if (last && atomic_load(&server->stopping))
        server_wake_keeper(server);
}

void table_resume_accept(struct http_server *server)
{
    bool resume;
    pthread_mutex_lock(&server->lock);
    resume_locked(server, &resume);
    pthread_mutex_unlock(&server->lock);
    if (resume)
        listen_arm(server, EPOLL_CTL_MOD);
}

struct connection *table_claim(struct http_server *server, uint64_t event)
{
    uint32_t place = (uint32_t)event, count = (uint32_t)(event >> 32);
    assert(place < server->config.max_connections);
    struct connection *c = &server->connections[place];
    uint64_t word = atomic_load(&c->word);
    while ((uint32_t)count_of(word) == count) {
        if (owner_of(word) == PARKED) {
            if (atomic_compare_exchange_weak(&c->word, &word, word_of(count_of(word), OWNED)))
                return c;
        } else if (owner_of(word) == OWNED) {
            if (atomic_compare_exchange_weak(&c->word, &word, word_of(count_of(word), KNOCKED)))
                return NULL;
        } else {
            return NULL;
        }
    }
    return NULL;
}

/*
 * Arms first and lets go second: once the word says PARKED the connection may be closed and its fd number be another's,
 * so nothing may touch the fd after that. The event can come in between; then the word says KNOCKED and the connection
 * stays ours.
 */
bool table_park(struct connection *c, enum step step, int64_t deadline)
{
    struct http_server *server = c->server;
    uint64_t count = count_of(atomic_load(&c->word)) + 1, owned = word_of(count, OWNED);
    struct epoll_event event = {.events = (step == WAIT_WRITE ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT};
    event.data.u64 = (uint64_t)(uint32_t)count << 32 | (uint32_t)(c - server->connections);
    int operation = c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    c->registered = true;
    atomic_store(&c->deadline, deadline);
    if (owner_of(atomic_exchange(&c->word, owned)) == KNOCKED)
        return false; /* there may be news since the owner looked */
    if (epoll_ctl(server->epoll, operation, c->fd, &event) != 0) {
        connection_close(c); /* the kernel has no memory for it */
        return true;
    }
    if (atomic_compare_exchange_strong(&c->word, &owned, word_of(count, PARKED)))
        return true;
    atomic_store(&c->word, word_of(count, OWNED));
    return false;
}

static uint32_t places_used(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    uint32_t used = server->fresh;
    pthread_mutex_unlock(&server->lock);
    return used;
}

/* Once the server stops: nobody has asked for anything that is still to come. */
static bool must_not_wait(const struct connection *c)
{
    unsigned char state = atomic_load(&c->state);
    return state == READING_HEAD || state == LISTENING;
}

/* The count in the word guarantees that the deadline and state read in between belong to the parking that the swap
 * ends. */
void table_sweep(struct http_server *server, int64_t now)
{
    uint32_t used = places_used(server);
    bool stopping = atomic_load(&server->stopping), cut = atomic_load(&server->cut);
    for (uint32_t i = 0; i < used; i++) {
        struct connection *c = &server->connections[i];
        uint64_t word = atomic_load(&c->word);
        if (owner_of(word) != PARKED)
            continue;
        bool expired = cut || atomic_load(&c->deadline) <= now || (stopping && must_not_wait(c));
        if (expired && atomic_compare_exchange_strong(&c->word, &word, word_of(count_of(word), OWNED)))
            connection_expire(c);
    }
}

/* To whatever topic they listen: a look costs little. A connection that begins to listen after its place was passed looks
 * itself, after it has said LISTENING. */
void table_tell(struct http_server *server)
{
    uint32_t used = places_used(server);
    for (uint32_t i = 0; i < used; i++) {
        struct connection *c = &server->connections[i];
        uint64_t word = atomic_load(&c->word);
        while (atomic_load(&c->state) == LISTENING && (owner_of(word) == PARKED || owner_of(word) == OWNED)) {
            bool parked = owner_of(word) == PARKED;
            if (!atomic_compare_exchange_weak(&c->word, &word, word_of(count_of(word), parked ? OWNED : KNOCKED)))
                continue;
            if (parked)
                connection_serve(c);
            break;
        }
    }
}

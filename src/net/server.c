/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define TICK_MS 2      /* of the keeper while threads are scarce */
#define CALM_TICKS 100 /* without scarcity, after which it sleeps again */
#define SWEEP_US SECOND_US
#define STOPPING_SWEEP_US (SECOND_US / 20)
#define IDLE_WAIT_MS 10000
#define NEWS_US (SECOND_US / 20) /* those who listen are told at most so often */

/* Threads. */

static void signal_event(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof one);
    (void)written; /* fails only when the counter is full, and then it is readable */
}

void server_wake_keeper(struct http_server *server)
{
    signal_event(server->keeper_event);
}

void server_has_news(struct http_server *server)
{
    if (!atomic_exchange(&server->news, true))
        server_wake_keeper(server);
}

/* The last waiting thread is about to be busy: the keeper then looks often whether all of them are stuck. */
static void leave_waiting(struct http_server *server)
{
    if (atomic_fetch_sub(&server->waiting, 1) == 1 && !atomic_load(&server->alerted) &&
        !atomic_exchange(&server->alerted, true))
        server_wake_keeper(server);
}

static bool wanted_still(struct http_server *server)
{
    return !atomic_load(&server->quit) && atomic_load(&server->waiting) < atomic_load(&server->wanted);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct http_server *server = worker->server;
    while (wanted_still(server)) {
        struct epoll_event event;
        atomic_fetch_add(&server->waiting, 1);
        atomic_fetch_add(&server->turns, 1);
        int count = epoll_wait(server->epoll, &event, 1, IDLE_WAIT_MS);
        leave_waiting(server);
        if (count <= 0 || event.data.u64 == EVENT_QUIT)
            continue;
        if (event.data.u64 == EVENT_LISTENER) {
            listen_accept(server);
            continue;
        }
        struct connection *c = table_claim(server, event.data.u64);
        if (c)
            connection_serve(c);
    }
    exchange_forget_spare();
    pthread_mutex_lock(&server->lock);
    worker->next = server->left;
    server->left = worker;
    pthread_mutex_unlock(&server->lock);
    server_wake_keeper(server);
    return NULL;
}

static void add_thread(struct http_server *server)
{
    struct worker *worker = malloc(sizeof *worker);
    if (!worker)
        abort();
    worker->server = server;
    atomic_fetch_add(&server->threads, 1);
    /* Signals are the business of the program's own threads; SIGPIPE, which sendfile can raise, nobody's. */
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&worker->thread, NULL, work, worker) != 0) {
        atomic_fetch_sub(&server->threads, 1);
        free(worker);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void join_left(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct worker *worker = server->left;
    server->left = NULL;
    pthread_mutex_unlock(&server->lock);
    while (worker) {
        struct worker *next = worker->next;
        pthread_join(worker->thread, NULL);
        atomic_fetch_sub(&server->threads, 1);
        free(worker);
        worker = next;
    }
}

/* The keeper: the thread that called http_server_run. */

struct keeper {
    struct http_server *server;
    int64_t next_sweep, next_news, cut_at; /* cut_at 0: not stopping */
    unsigned grace_seconds, last_turns, calm;
};

/*
 * Short work on few cores wants few threads: more of them only wake each other. Blocked threads want replacing. The two
 * look alike at the moment an event is taken, so the keeper decides: when no thread waits and none came back during a
 * whole tick, all are stuck, and some are added. How many may wait at once sinks again by the second.
 */
static void mind_threads(struct keeper *keeper)
{
    struct http_server *server = keeper->server;
    unsigned turns = atomic_load(&server->turns), threads = atomic_load(&server->threads);
    if (atomic_load(&server->waiting) > 0) {
        if (++keeper->calm >= CALM_TICKS) {
            keeper->calm = 0;
            atomic_store(&server->alerted, false);
            if (atomic_load(&server->waiting) == 0)
                atomic_store(&server->alerted, true);
        }
    } else if (turns == keeper->last_turns) {
        keeper->calm = 0;
        unsigned more = 1 + threads / 4;
        for (; more > 0 && threads < server->config.max_threads; more--, threads++)
            add_thread(server);
        if (atomic_load(&server->wanted) < threads)
            atomic_store(&server->wanted, threads);
    }
    keeper->last_turns = turns;
}

static void begin_stop(struct keeper *keeper, int64_t now)
{
    struct http_server *server = keeper->server;
    atomic_store(&server->stopping, true);
    shutdown(server->listener, SHUT_RDWR); /* closed only in the end: a thread may be accepting */
    keeper->cut_at = now + keeper->grace_seconds * SECOND_US;
    keeper->next_sweep = now;
}

static void each_second(struct keeper *keeper, int64_t now)
{
    struct http_server *server = keeper->server;
    if (now < keeper->next_sweep)
        return;
    keeper->next_sweep = now + (keeper->cut_at ? STOPPING_SWEEP_US : SWEEP_US);
    if (keeper->cut_at && now >= keeper->cut_at)
        atomic_store(&server->cut, true);
    table_sweep(server, now);
    table_resume_accept(server);
    unsigned wanted = atomic_load(&server->wanted);
    if (wanted > server->min_threads)
        atomic_store(&server->wanted, wanted - (wanted - server->min_threads + 7) / 8);
}

static void tell_news(struct keeper *keeper, int64_t now)
{
    if (now < keeper->next_news || !atomic_exchange(&keeper->server->news, false))
        return;
    keeper->next_news = now + NEWS_US;
    table_tell(keeper->server);
}

/* Milliseconds until the keeper has something to do by itself. */
static int time_to_wait(const struct keeper *keeper, bool alerted)
{
    int64_t now = monotonic_us(), until = keeper->next_sweep;
    if (atomic_load(&keeper->server->news) && keeper->next_news < until)
        until = keeper->next_news;
    int64_t wait = until > now ? (until - now) / 1000 + 1 : 0;
    return alerted && wait > TICK_MS ? TICK_MS : (int)wait;
}

static void keep(struct keeper *keeper)
{
    struct http_server *server = keeper->server;
    while (!keeper->cut_at || atomic_load(&server->open) > 0) {
        struct pollfd events[] = {{.fd = keeper->cut_at ? -1 : server->stop_event, .events = POLLIN},
                                  {.fd = server->keeper_event, .events = POLLIN}};
        bool alerted = atomic_load(&server->alerted);
        poll(events, 2, time_to_wait(keeper, alerted));
        int64_t now = monotonic_us();
        uint64_t drop;
        if (events[1].revents && read(server->keeper_event, &drop, sizeof drop) > 0)
            join_left(server);
        else if (alerted)
            mind_threads(keeper);
        if (events[0].revents & POLLIN)
            begin_stop(keeper, now);
        tell_news(keeper, now);
        each_second(keeper, now);
    }
}

void http_server_run(struct http_server *server, unsigned grace_seconds)
{
    struct keeper keeper = {.server = server, .grace_seconds = grace_seconds};
    keeper.next_sweep = monotonic_us() + SWEEP_US;
    for (unsigned i = 0; i < server->min_threads; i++)
        add_thread(server);
    listen_arm(server, EPOLL_CTL_ADD);
    keep(&keeper);

    atomic_store(&server->quit, true);
    signal_event(server->quit_event);
    while (atomic_load(&server->threads) > 0) {
        struct pollfd event = {.fd = server->keeper_event, .events = POLLIN};
        uint64_t drop;
        if (poll(&event, 1, -1) > 0 && read(server->keeper_event, &drop, sizeof drop) > 0)
            join_left(server);
    }
    exchange_forget_spare();
}

/* Making and ending. */

/* Idle clients must not use up the open files that database and downloads need: half of what the process may have is
 * theirs. */
static unsigned connections_afforded(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur > 2 * (rlim_t)UINT32_MAX)
        return UINT32_MAX;
    return files.rlim_cur > 64 ? (unsigned)(files.rlim_cur / 2) : 32;
}

static void fill_defaults(struct http_server *server)
{
    struct http_config *config = &server->config;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    server->head_seconds =
        config->idle_seconds && config->idle_seconds < HEAD_SECONDS ? config->idle_seconds : HEAD_SECONDS;
    config->head_limit = config->head_limit ? config->head_limit : 32 << 10;
    config->max_threads = config->max_threads ? config->max_threads : 256;
    config->max_connections = config->max_connections ? config->max_connections : 16384;
    if (config->max_connections > connections_afforded())
        config->max_connections = connections_afforded();
    config->idle_seconds = config->idle_seconds ? config->idle_seconds : 75;
    config->stall_seconds = config->stall_seconds ? config->stall_seconds : 30;
    config->min_bytes_per_second = config->min_bytes_per_second ? config->min_bytes_per_second : 1024;
    config->listener_seconds = config->listener_seconds ? config->listener_seconds : 20;
    server->min_threads = cores > 2 ? (unsigned)cores : 2;
    if (server->min_threads > config->max_threads)
        server->min_threads = config->max_threads;
    server->wanted = server->min_threads;
    unsigned reserve = config->max_threads / 8 ? config->max_threads / 8 : 1;
    server->upload_limit = config->max_threads > reserve ? config->max_threads - reserve : 1;
}

static enum status open_events(struct http_server *server, struct error *err)
{
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->keeper_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->quit_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll < 0 || server->stop_event < 0 || server->keeper_event < 0 || server->quit_event < 0)
        return fail_errno(err, "epoll");
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = EVENT_QUIT;
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->quit_event, &event) != 0)
        return fail_errno(err, "epoll");
    return OK;
}

enum status http_server_new(const struct http_config *config, struct http_server **out, struct error *err)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->config = *config;
    server->epoll = server->listener = server->stop_event = server->keeper_event = server->quit_event = -1;
    server->first_free = UINT32_MAX;
    pthread_mutex_init(&server->lock, NULL);
    fill_defaults(server);
    /* Zero pages until a place is first used. */
    server->connections = calloc(server->config.max_connections, sizeof *server->connections);
    if (!server->connections)
        abort();
    enum status status = open_events(server, err);
    if (status == OK)
        status = listen_open(server, err);
    if (status != OK) {
        http_server_free(server);
        return status;
    }
    *out = server;
    return OK;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_stop(struct http_server *server)
{
    signal_event(server->stop_event);
}

void http_server_free(struct http_server *server)
{
    const int fds[] = {server->epoll, server->listener, server->stop_event, server->keeper_event, server->quit_event};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&server->lock);
    free(server->connections);
    free(server);
}

void http_server_stats(const struct http_server *server, struct http_stats *out)
{
    int64_t threads = atomic_load(&server->threads), waiting = atomic_load(&server->waiting);
    *out = (struct http_stats){
        .connections = atomic_load(&server->open),
        .threads = threads,
        .threads_busy = threads > waiting ? threads - waiting : 0,
        .requests = atomic_load(&server->requests),
        .bytes_in = atomic_load(&server->bytes_in),
        .bytes_out = atomic_load(&server->bytes_out),
    };
}

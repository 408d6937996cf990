/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "serve.h"
#include "attest/hub_key.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "federate/federate.h"
#include "misuse/misuse.h"
#include "module.h"
#include "modules.h"
#include "oidc/oidc.h"
#include "oms/chain.h"
#include "options.h"
#include "quota/limiter.h"
#include "record/record.h"
#include "router/dispatch.h"
#include "store/store.h"
#include "terms/terms.h"
#include "use/use.h"
#include "witness/cosigner.h"
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define GRACE_SECONDS 30
#define JOBS_MOST 64
#define SLOW_NICENESS 10
#define TICK_NS (100 * 1000 * 1000)
#define SECOND_NS (1000 * 1000 * 1000)

/* Background work. */

struct worker {
    struct hub *hub;
    bool slow; /* does the slow jobs; the other one does the rest */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static bool sleep_a_tick(struct worker *worker)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    if (until.tv_nsec >= SECOND_NS) {
        until.tv_sec++;
        until.tv_nsec -= SECOND_NS;
    }
    pthread_mutex_lock(&worker->lock);
    if (!worker->stop)
        pthread_cond_clockwait(&worker->wake, &worker->lock, CLOCK_MONOTONIC, &until);
    bool go_on = !worker->stop;
    pthread_mutex_unlock(&worker->lock);
    return go_on;
}

/* Writes count when they begin, so the tick after also looks: what one left may not have been there yet. */
static bool written_lately(struct hub *hub, int64_t seen[2])
{
    struct db_stats stats;
    db_stats(hub->db, &stats);
    bool lately = stats.groups != seen[1];
    seen[1] = seen[0];
    seen[0] = stats.groups;
    return lately;
}

/* Every job runs a second after the start and then by its period. A failed job is logged and tried again in its time.
 * What runs soon after writes takes half of this thread's time at most, however fast they come. */
static void *run_jobs(void *context)
{
    struct worker *worker = context;
    int64_t due[JOBS_MOST], rested[JOBS_MOST] = {0}, seen[2] = {0};
    for (size_t slot = 0; slot < JOBS_MOST; slot++)
        due[slot] = monotonic_us() + SECOND_US;
    if (worker->slow) /* of this thread alone: requests go first */
        setpriority(PRIO_PROCESS, (id_t)gettid(), SLOW_NICENESS);
    while (sleep_a_tick(worker)) {
        bool lately = written_lately(worker->hub, seen);
        size_t slot = 0;
        for (const struct module *const *module = modules; *module; module++) {
            for (const struct job *job = (*module)->jobs; job && job->name && slot < JOBS_MOST; job++, slot++) {
                struct error err = {0};
                int64_t now = monotonic_us();
                if (job->slow != worker->slow || (now < due[slot] && !(job->soon && lately && now >= rested[slot])))
                    continue;
                enum status status = job->run(worker->hub, &err);
                if (status != OK)
                    log_line("error", "job", "%s: %s", job->name, err.message);
                int64_t end = monotonic_us();
                due[slot] = end + job->period_seconds * SECOND_US;
                rested[slot] = status == OK ? end + (end - now) : due[slot];
            }
        }
    }
    return NULL;
}

static void run_last_jobs(struct hub *hub)
{
    struct error err = {0};
    for (const struct module *const *module = modules; *module; module++)
        for (const struct job *job = (*module)->jobs; job && job->name; job++)
            if (job->last && job->run(hub, &err) != OK)
                log_line("error", "job", "%s, at the end: %s", job->name, err.message);
}

static void worker_start(struct worker *worker, struct hub *hub, bool slow)
{
    *worker = (struct worker){.hub = hub, .slow = slow};
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    if (pthread_create(&worker->thread, NULL, run_jobs, worker) != 0)
        abort();
}

static void worker_stop(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
}

/* The data folder. */

/* The key of signed addresses. It stays over restarts, so that uploads under way go on. */
static enum status load_secret(const char *dir, uint8_t secret[32], struct error *err)
{
    char path[4096];
    auto_buf struct buf text = {0};
    snprintf(path, sizeof path, "%s/secret", dir);
    enum status status = file_read_all(path, 4096, &text, err);
    if (status == OK && text.len == 32) {
        memcpy(secret, text.data, 32);
        return OK;
    }
    if (status == OK)
        return fail(err, CORRUPT, NULL, "%s must hold 32 bytes: restore it, or remove it to make a new one", path);
    if (status != NOT_FOUND)
        return status;
    random_bytes(secret, 32);
    return file_write_durable(path, (struct str){(const char *)secret, 32}, 0600, err);
}

/* "models.example.org/log" for https://models.example.org/: a log is called by where it is found, without the scheme. */
static struct str origin_of(struct arena *arena, struct str url)
{
    struct str scheme;
    if (!str_given(url) || !str_cut(&url, '/', &scheme) || url.len < 2)
        return (struct str){0};
    return arena_printf(arena, "%.*s/log", STR_ARG(str_from(url, 1)));
}

/* Files that make the hub a witness, and have it witnessed; NULL where not given. */
struct witness_files {
    const char *logs, *policy;
};

static enum status open_record(const char *dir, const struct witness_files *files, struct hub *hub, struct error *err)
{
    auto_arena struct arena arena = {0};
    TRY(record_start(dir, origin_of(&arena, hub->public_url), "/proc/self/exe", files->policy, hub->db, &hub->record,
                     err));
    hub->witness = hub->record->witness;
    return hub_key_open(dir, hub->db, &hub->hub_key, err);
}

/* Its key is called like the log, with "witness" in the place of what stands behind the host. */
static enum status open_cosigner(const char *dir, const char *logs, struct hub *hub, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str origin = ledger_vkey(hub->record->ledger), host;
    str_cut(&origin, '+', &host);
    origin = host;
    str_cut(&origin, '/', &host);
    return cosigner_open(arena_printf(&arena, "%s/witness", dir).data, logs,
                         arena_printf(&arena, "%.*s/witness", STR_ARG(host)), &hub->cosigner, err);
}

static enum status open_hub(const char *dir, const struct witness_files *files, const struct oidc_outside *outside,
                            struct hub *hub, int *lock, struct error *err)
{
    char path[4096];
    TRY(hub_data_open(dir, &hub->db, err));
    TRY(hub_data_lock(dir, lock, err));
    TRY(load_secret(dir, hub->signing_secret, err));
    if ((size_t)snprintf(path, sizeof path, "%s/store", dir) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    TRY(store_open(hub->db, path, &hub->store, err));
    hub->limiter = limiter_new(hub->db);
    store_watch_holds(hold_watch);
    TRY(open_record(dir, files, hub, err));
    TRY(federate_open(dir, &hub->federate, err));
    TRY(terms_publish_templates(hub->db, err));
    TRY(oidc_open(dir, outside, hub, err));
    return files->logs ? open_cosigner(dir, files->logs, hub, err) : OK;
}

/* Running. */

static struct http_server *running;

static void on_signal(int number)
{
    (void)number;
    http_server_stop(running);
}

static enum status run(struct hub *hub, const char *listen, struct error *err)
{
    struct worker worker, slow_worker;
    struct http_config config = {.listen = listen, .handle = dispatch, .done = dispatch_done, .context = hub};
    TRY(http_server_new(&config, &hub->server, err));
    running = hub->server;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    log_line("info", "start", "Cairn %s listens on %s, port %d", CAIRN_VERSION, listen, http_server_port(hub->server));
    worker_start(&worker, hub, false);
    worker_start(&slow_worker, hub, true);
    http_server_run(hub->server, GRACE_SECONDS);
    action.sa_handler =
        SIG_IGN; /* it is stopping already, and the server that a handler would tell is about to be freed */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    hub->stopping = true;
    worker_stop(&slow_worker);
    worker_stop(&worker);
    http_server_free(hub->server);
    run_last_jobs(hub);
    log_line("info", "stop", "All requests are finished");
    return OK;
}

/* For rehearsals: what will have run out, been escalated or forgotten by then. */
static enum status travel(struct error *err)
{
    int64_t seconds;
    const char *ahead = getenv("CAIRN_CLOCK_AHEAD");
    if (!ahead)
        return OK;
    if (!str_to_i64(str_of(ahead), &seconds) || seconds > INT64_C(100) * 366 * 86400)
        return fail(err, INVALID, NULL, "CAIRN_CLOCK_AHEAD is a number of seconds, not \"%s\"", ahead);
    clock_travel(seconds * SECOND_US);
    log_line("warning", "clock", "This hub's clock is %s seconds ahead, as CAIRN_CLOCK_AHEAD says: for rehearsals only",
             ahead);
    return OK;
}

/* Shells and service managers start programs with 1,024 open files, which is 1,000 idle clients. The hard limit is what
 * counts. */
static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

#define PROXIES_MOST 16

static enum status read_proxies(const char *text, struct network out[PROXIES_MOST], struct hub *hub, struct error *err)
{
    struct str rest = str_of(text), piece;
    for (hub->proxies = out; str_given(rest) && str_cut(&rest, ',', &piece); hub->proxy_count++)
        if (hub->proxy_count == PROXIES_MOST || !network_parse(str_trim(piece), &out[hub->proxy_count]))
            return fail(err, INVALID, NULL,
                        "--proxies is at most %d addresses or ranges, as 127.0.0.1,10.1.0.0/16, not \"%s\"",
                        PROXIES_MOST, text);
    return OK;
}

static const char help[] =
    "cairn serve - run the hub\n"
    "\n"
    "  cairn serve [--data DIR] [--listen HOST:PORT] [--public-url URL] [--xet on|off]\n"
    "              [--proxies ADDRESSES]\n"
    "              [--witness-policy FILE] [--witness-logs FILE] [--certificate-anchors FILE]\n"
    "              [--country-header NAME] [--countries FILE] [--throwaway-mail FILE] [--houses URLS]\n"
    "              [--oidc-issuer URL --oidc-client-id ID [--oidc-client-secret-file FILE] [--oidc-sign-up on|off]]\n"
    "              [--ci-issuers URLS]\n"
    "\n"
    "  --data DIR          where everything is kept; made when missing          (./data)\n"
    "  --listen HOST:PORT  only this machine can reach it unless you say else   (127.0.0.1:8080)\n"
    "  --public-url URL    the address that people use, when a proxy stands in front (taken from each request)\n"
    "  --proxies ADDRESSES proxies in front, as 127.0.0.1,10.1.0.0/16: their X-Forwarded-For is believed   (none)\n"
    "  --xet on|off        off: do not tell clients that large files can travel as Xet chunks   (on)\n"
    "                      Xet itself stays, because new clients upload by it without asking\n"
    "  --witness-policy FILE\n"
    "                      have this hub's log witnessed: lines \"witness NAME VKEY URL\", \"group\", \"quorum\"\n"
    "  --witness-logs FILE be a witness of the logs in lines \"log VKEY\"; what it has seen is kept in DIR/witness,\n"
    "                      which must never be put back from a copy\n"
    "  --certificate-anchors FILE\n"
    "                      certificates (PEM) that may vouch for those who sign models by certificate; without them\n"
    "                      models can be signed by registered keys only\n"
    "  --country-header NAME\n"
    "                      the header in which the proxy in front says from which country a request comes, in two\n"
    "                      letters; it must take off what clients say themselves. Rules of territory need it\n"
    "  --countries FILE    where networks are, in lines \"192.0.2.0/24 NL 52.4 4.9\" (range, country, latitude, "
    "longitude):\n"
    "                      without it nobody notices a key that is used in two places too far apart\n"
    "  --throwaway-mail FILE\n"
    "                      mail domains, one a line, whose new accounts are looked at more closely\n"
    "  --houses URLS       the second houses of federated training that runs may name, with commas between them "
    "(any):\n"
    "                      this hub asks there. See cairn house\n"
    "  --oidc-issuer URL   let people sign in with this OpenID provider too, which calls this hub --oidc-client-id,\n"
    "                      and answers at PUBLIC-URL/signin/oidc/callback\n"
    "  --oidc-client-secret-file FILE\n"
    "                      the secret that it gave the hub; without one the hub is a public client\n"
    "  --oidc-sign-up on|off\n"
    "                      on: whoever comes from there for the first time gets an account; off: people who have\n"
    "                      one link it on the page /signin   (off)\n"
    "  --ci-issuers URLS   issuers of CI jobs, with commas between them, that the hub may ask in a private network, or "
    "by\n"
    "                      http: without it, only those that answer by https at a public address\n"
    "\n"
    "Each flag can also be set in the environment: CAIRN_DATA, CAIRN_LISTEN, CAIRN_PUBLIC_URL, CAIRN_PROXIES, "
    "CAIRN_XET,\n"
    "CAIRN_WITNESS_POLICY, CAIRN_WITNESS_LOGS, CAIRN_CERTIFICATE_ANCHORS,\n"
    "CAIRN_COUNTRY_HEADER, CAIRN_COUNTRIES, CAIRN_THROWAWAY_MAIL, CAIRN_HOUSES, CAIRN_OIDC_ISSUER, "
    "CAIRN_OIDC_CLIENT_ID, "
    "CAIRN_OIDC_CLIENT_SECRET_FILE, "
    "CAIRN_OIDC_SIGN_UP, CAIRN_CI_ISSUERS.\n"
    "Stops on SIGTERM or SIGINT, after the requests in flight. Logs one JSON object a line on standard error.\n"
    "Nobody can sign in until you make a person: see cairn admin --help.\n";

static enum status read_switch(const char *flag, const char *value, bool *on, struct error *err)
{
    *on = strcmp(value, "on") == 0;
    return *on || strcmp(value, "off") == 0 ? OK
                                            : fail(err, INVALID, NULL, "--%s is on or off, not \"%s\"", flag, value);
}

/* Read once, at the start; a file of no use is better found out then than by the first person who signs. */
static enum status read_anchors(const char *path, struct buf *pem, struct hub *hub, struct error *err)
{
    struct error why = {0};
    TRY(file_read_all(path, CHAIN_ANCHORS_MOST, pem, err));
    hub->certificate_anchors = buf_view(pem);
    enum status status = chain_check_anchors(hub->certificate_anchors, &why);
    return status == OK ? OK : fail(err, status, NULL, "--certificate-anchors %s: %s", path, why.message);
}

int serve_main(int argc, char **argv)
{
    const char *data = "data", *listen = "127.0.0.1:8080", *public_url = NULL, *xet = "on", *anchors = NULL,
               *proxies = NULL, *country = NULL, *sign_up = "off", *countries = NULL, *throwaway = NULL, *houses = NULL;
    struct oidc_outside outside = {0};
    struct witness_files files = {0};
    const struct option_spec specs[] = {{"data", &data},
                                        {"listen", &listen},
                                        {"public-url", &public_url},
                                        {"proxies", &proxies},
                                        {"xet", &xet},
                                        {"witness-policy", &files.policy},
                                        {"witness-logs", &files.logs},
                                        {"certificate-anchors", &anchors},
                                        {"country-header", &country},
                                        {"countries", &countries},
                                        {"throwaway-mail", &throwaway},
                                        {"houses", &houses},
                                        {"oidc-issuer", &outside.issuer},
                                        {"oidc-client-id", &outside.client_id},
                                        {"oidc-client-secret-file", &outside.secret_file},
                                        {"oidc-sign-up", &sign_up},
                                        {"ci-issuers", &outside.ci_issuers}};
    struct error err = {0};
    size_t rest;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(help, stdout);
        return 0;
    }
    bool xet_on = false;
    if (options_read(argc, argv, specs, sizeof specs / sizeof *specs, NULL, 0, &rest, &err) != OK ||
        read_switch("xet", xet, &xet_on, &err) != OK ||
        read_switch("oidc-sign-up", sign_up, &outside.sign_up, &err) != OK) {
        fprintf(stderr, "cairn serve: %s (see cairn serve --help)\n", err.message);
        return 2;
    }
    /* Threads come and go; with glibc's default of eight arenas a core, what they leave behind adds up. */
    mallopt(M_ARENA_MAX, 4);
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();

    struct hub hub = {.started_us = monotonic_us(),
                      .public_url = str_of(public_url),
                      .xet = xet_on,
                      .country_header = country,
                      .houses = houses};
    struct network proxy_networks[PROXIES_MOST];
    if (read_proxies(proxies, proxy_networks, &hub, &err) != OK) {
        fprintf(stderr, "cairn serve: %s (see cairn serve --help)\n", err.message);
        return 2;
    }
    if (str_ends(hub.public_url, STR("/")))
        hub.public_url.len--;
    auto_fd int lock = -1;
    auto_buf struct buf anchors_pem = {0};
    enum status status = travel(&err);
    if (status == OK && anchors)
        status = read_anchors(anchors, &anchors_pem, &hub, &err);
    if (status == OK)
        status = misuse_open(countries, throwaway, &err);
    if (status == OK)
        status = open_hub(data, &files, &outside, &hub, &lock, &err);
    if (status == OK)
        status = run(&hub, listen, &err);
    if (status != OK)
        fprintf(stderr, "cairn serve: %s\n", err.message);
    federate_close(hub.federate); /* what its threads are at is still logged */
    cosigner_close(hub.cosigner);
    hub_key_close(hub.hub_key);
    oidc_close(hub.oidc);
    record_stop(hub.record);
    limiter_free(hub.limiter);
    if (hub.store)
        store_close(hub.store);
    if (hub.db)
        db_close(hub.db);
    misuse_close();
    return status == OK ? 0 : 1;
}

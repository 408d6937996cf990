/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "house_main.h"
#include "base/text.h"
#include "house/house.h"
#include "net/http.h"
#include "options.h"
#include "pact/wire.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define GRACE_SECONDS 30
#define HUBS_MOST 64
#define THREADS 16

static const char help[] =
    "cairn house - be the second house of federated training\n"
    "\n"
    "  cairn house --data DIR --listen HOST:PORT [--hub KEY]... [--max-parameters N] [--max-runs N]\n"
    "\n"
    "  In the mode \"two-houses\" a participant's update is split between a hub and this program, run by somebody "
    "else. Each\n"
    "  sees numbers that look random; together they check that the update is within the bound, and learn the sum of "
    "all\n"
    "  updates, or of random buckets of them. No round becomes a commit of the hub unless this house has computed the "
    "new\n"
    "  model, too, and signed it. As long as one of the two is honest nobody sees a single update.\n"
    "\n"
    "  --data DIR           where keys, a small database and the models of rounds under way are kept; made when it is "
    "not\n"
    "                       there. Its keys (house.json, readable by you alone) are made at the first start: back them "
    "up\n"
    "  --listen HOST:PORT   where hubs ask. Put a proxy with TLS in front where they are elsewhere\n"
    "  --hub KEY            takes runs of this hub only, by its key or key id, which a refusal names; may be given\n"
    "                       several times. Any hub may open runs when it is not given\n"
    "  --max-parameters N   of a model; 100000000 when not given\n"
    "  --max-runs N         that were asked for within 30 days; 100 when not given\n"
    "\n"
    "  When it is ready it prints one line with its address, its key and its key id. Tell the key id to participants "
    "by\n"
    "  another way than the hub: they can insist on it (setting \"house\").\n";

struct server {
    struct house *house;
};

static void reply_error(struct http_request *rq, int status, const char *text)
{
    reply_bytes(rq, status, STR("text/plain; charset=utf-8"), str_of(text));
}

static void handle(struct http_request *rq, void *context)
{
    struct house *house = context;
    struct buf out = {0};
    struct str body, op;
    struct error err;
    reply_header(rq, "Cache-Control", "no-store");
    if (rq->method == HTTP_GET && str_eq(rq->path, STR("/v1/keys"))) {
        house_tell_keys(house, &out);
        reply_buf(rq, 200, STR("application/json"), &out);
        return;
    }
    if (rq->method != HTTP_POST || !str_starts(rq->path, STR("/v1/"))) {
        reply_error(rq, 404, "This is a house of federated training: cairn house --help\n");
        return;
    }
    op = str_from(rq->path, 4);
    if (body_read_all(rq, WIRE_PAYLOAD_MOST + WIRE_REQUEST_SIZE, &body, &err) != OK) {
        reply_error(rq, status_http(err.status), "The request cannot be read.\n");
        return;
    }
    house_answer(house, op, body, &out);
    reply_buf(rq, 200, STR("application/octet-stream"), &out);
}

/* Options. */

struct hubs {
    uint8_t keys[HUBS_MOST][PACT_KEY_SIZE];
    char ids[HUBS_MOST][KEY_ID_SIZE];
    size_t key_count, id_count;
};

static bool add_hub(struct hubs *hubs, const char *word)
{
    struct str text = str_of(word);
    if (hubs->key_count == HUBS_MOST || hubs->id_count == HUBS_MOST)
        return false;
    if (hex_decode(text, hubs->keys[hubs->key_count], PACT_KEY_SIZE)) {
        hubs->key_count++;
        return true;
    }
    if (text.len != KEY_ID_SIZE - 1)
        return false;
    snprintf(hubs->ids[hubs->id_count++], KEY_ID_SIZE, "%s", word);
    return true;
}

/* Takes the options that may be given several times out of the words. */
static enum status take_hubs(int *argc, char **argv, struct hubs *hubs, struct error *err)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--hub") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (++i == *argc || !add_hub(hubs, argv[i]))
            return fail(err, INVALID, NULL, "--hub takes a hub's key, or its key id as in 0123-4567-89ab-cdef");
    }
    *argc = kept;
    return OK;
}

static enum status whole(const char *name, const char *text, int64_t *out, struct error *err)
{
    if (text && (!str_to_i64(str_of(text), out) || *out < 1))
        return fail(err, INVALID, NULL, "--%s takes a whole number from 1, not \"%s\"", name, text);
    return OK;
}

static struct http_server *stopping;

static void on_signal(int number)
{
    (void)number;
    http_server_stop(stopping);
}

static enum status serve(struct house *house, const char *listen, struct error *err)
{
    struct http_server *server;
    const struct http_config config = {.listen = listen, .handle = handle, .context = house, .max_threads = THREADS};
    auto_arena struct arena arena = {0};
    char id[KEY_ID_SIZE];
    TRY(http_server_new(&config, &server, err));
    stopping = server;
    const struct sigaction stop = {.sa_handler = on_signal};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct str host = str_of(listen);
    while (host.len && host.data[host.len - 1] != ':')
        host.len--;
    key_id(house_key(house), id);
    printf("house http://%.*s%d key %.*s id %s\n", STR_ARG(host), http_server_port(server),
           STR_ARG(hex_encode(&arena, house_key(house), PACT_KEY_SIZE)), id);
    fflush(stdout);
    http_server_run(server, GRACE_SECONDS);
    http_server_free(server);
    return OK;
}

static enum status run(int argc, char **argv, bool *understood, struct error *err)
{
    const char *data = NULL, *listen = NULL, *parameters = NULL, *runs = NULL;
    const struct option_spec specs[] = {
        {"data", &data}, {"listen", &listen}, {"max-parameters", &parameters}, {"max-runs", &runs}};
    struct hubs hubs = {0};
    struct house_limits limits = {.parameters = 100000000, .runs = 100};
    struct house *house;
    size_t rest;
    TRY(take_hubs(&argc, argv, &hubs, err));
    TRY(options_read(argc, argv, specs, sizeof specs / sizeof *specs, NULL, 0, &rest, err));
    TRY(whole("max-parameters", parameters, &limits.parameters, err));
    TRY(whole("max-runs", runs, &limits.runs, err));
    if (!data || !listen)
        return fail(err, INVALID, NULL, "--data and --listen are needed");
    *understood = true;
    limits.hubs = (const uint8_t(*)[PACT_KEY_SIZE])hubs.keys;
    limits.hub_ids = (const char(*)[KEY_ID_SIZE])hubs.ids;
    limits.hub_count = hubs.key_count;
    limits.hub_id_count = hubs.id_count;
    umask(077);
    TRY(house_open(data, &limits, &house, err));
    enum status status = serve(house, listen, err);
    house_close(house);
    return status;
}

int house_main(int argc, char **argv)
{
    struct error err = {0};
    bool understood = false;
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (run(argc, argv, &understood, &err) != OK) {
        fprintf(stderr, "cairn house: %s%s\n", err.message, understood ? "" : " (see cairn house --help)");
        return understood ? 1 : 2;
    }
    return 0;
}

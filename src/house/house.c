/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a house, and from a request to the step that it is about. */
#include "base/log.h"
#include "house/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

/* One house a folder, and no hub's: with the same keys for both there would be but one house. */
static enum status lock_folder(struct house *house, const char *dir, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/cairn.db", dir);
    if (access(path, F_OK) == 0)
        return fail(err, INVALID, NULL, "%s is the folder of a hub: a house needs one of its own", dir);
    snprintf(path, sizeof path, "%s/lock", dir);
    house->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (house->lock < 0)
        return fail_errno(err, path);
    return flock(house->lock, LOCK_EX | LOCK_NB) == 0
               ? OK
               : fail(err, CONFLICT, NULL, "Another house runs on the folder %s", dir);
}

static enum status renew_keys(struct house *house, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/house.json", house->folder);
    return identity_renew(path, now_us(), &house->identity, err);
}

static enum status open_into(struct house *house, const char *dir, struct error *err)
{
    char path[4096];
    if ((size_t)snprintf(house->folder, sizeof house->folder, "%s", dir) >= sizeof house->folder)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    TRY(folder_make(dir, 0700, err));
    TRY(lock_folder(house, dir, err));
    snprintf(path, sizeof path, "%s/runs", dir);
    TRY(folder_make(path, 0700, err));
    TRY(renew_keys(house, err));
    snprintf(path, sizeof path, "%s/house.db", dir);
    TRY(db_open(path, &house->db, err));
    TRY(db_migrate(house->db, &house_migrations, 1, err));
    house_sweep(house);
    return OK;
}

enum status house_open(const char *dir, const struct house_limits *limits, struct house **out, struct error *err)
{
    struct house *house = calloc(1, sizeof *house);
    if (!house)
        abort();
    house->limits = *limits;
    house->lock = -1;
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_init(&house->stripes[i], NULL);
    pthread_mutex_init(&house->times_lock, NULL);
    enum status status = open_into(house, dir, err);
    if (status == OK)
        *out = house;
    else
        house_close(house);
    return status;
}

void house_close(struct house *house)
{
    if (!house)
        return;
    if (house->db)
        db_close(house->db);
    for (int i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&house->stripes[i]);
    pthread_mutex_destroy(&house->times_lock);
    identity_end(&house->identity);
    fd_close(&house->lock);
    free(house);
}

const uint8_t *house_key(const struct house *house)
{
    return house->identity->sign.public_key;
}

/* A hub asks for them before each round: so here is where they are renewed. */
void house_tell_keys(struct house *house, struct buf *out)
{
    char id[KEY_ID_SIZE];
    struct json_writer w = jw_to(out);
    struct error why;
    if (renew_keys(house, &why) != OK)
        log_line("error", "house", "The keys are not renewed yet: %s", why.message);
    const struct identity_seal *seal = &house->identity->seals[0];
    key_id(house_key(house), id);
    jw_object(&w);
    jw_key_hex(&w, "key", house_key(house), PACT_KEY_SIZE);
    jw_key_str(&w, "keyId", str_of(id));
    key_id(seal->public_key, id);
    jw_key_hex(&w, "seal", seal->public_key, sizeof seal->public_key);
    jw_key_str(&w, "sealId", str_of(id));
    jw_key_int(&w, "sealUntil", seal->until_us);
    jw_key(&w, "limits");
    jw_object(&w);
    jw_key_int(&w, "parameters", house->limits.parameters);
    jw_key_int(&w, "runs", house->limits.runs);
    jw_key_int(&w, "reports", PACT_REPORTS_MOST);
    jw_end(&w);
    jw_key_bool(&w, "anyHub", !house->limits.hub_count && !house->limits.hub_id_count);
    jw_end(&w);
}

/* Requests. */

static bool may_ask(const struct house *house, const uint8_t key[PACT_KEY_SIZE])
{
    const struct house_limits *limits = &house->limits;
    char id[KEY_ID_SIZE];
    key_id(key, id);
    for (size_t i = 0; i < limits->hub_count; i++)
        if (memcmp(limits->hubs[i], key, PACT_KEY_SIZE) == 0)
            return true;
    for (size_t i = 0; i < limits->hub_id_count; i++)
        if (strcmp(limits->hub_ids[i], id) == 0)
            return true;
    return limits->hub_count == 0 && limits->hub_id_count == 0;
}

/* Later than the one before. The run that was asked longest ago makes room: its requests may then come again, which changes nothing. */
static bool is_later(struct house *house, const struct wire_request *request)
{
    size_t place = 0;
    pthread_mutex_lock(&house->times_lock);
    for (size_t i = 0; i < TIMES_MOST; i++) {
        if (memcmp(house->times[i].run, request->run, WIRE_RUN_SIZE) == 0 && house->times[i].at_us) {
            place = i;
            break;
        }
        if (house->times[i].at_us < house->times[place].at_us)
            place = i;
    }
    bool same = memcmp(house->times[place].run, request->run, WIRE_RUN_SIZE) == 0;
    bool later = !same || request->at_us > house->times[place].at_us;
    if (later) {
        memcpy(house->times[place].run, request->run, WIRE_RUN_SIZE);
        house->times[place].at_us = request->at_us;
    }
    pthread_mutex_unlock(&house->times_lock);
    return later;
}

static enum status check_request(struct house *house, const struct wire_request *request, struct error *err)
{
    int64_t off = request->at_us - now_us();
    char id[KEY_ID_SIZE];
    if (memcmp(request->to, house_key(house), PACT_KEY_SIZE) != 0)
        return fail(err, FORBIDDEN, NULL, "The request is for another house.");
    key_id(request->from, id);
    if (!may_ask(house, request->from))
        return fail(err, FORBIDDEN, NULL, "The hub with the key %s may open no runs at this house.", id);
    if (off > WIRE_CLOCK_US || off < -WIRE_CLOCK_US)
        return fail(err, UNAUTHENTICATED, NULL, "The houses' clocks differ by more than five minutes.");
    if (request->round < 1 || !is_later(house, request))
        return fail(err, UNAUTHENTICATED, NULL, "The request has been there before.");
    return OK;
}

static enum status load_round(struct asked *asked, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    bool found;
    TRY(db_reader(asked->house->db, &conn, err));
    TRY(round_find(conn, asked->arena, asked->request->run, asked->request->round, &asked->row, &found, err));
    if (!found)
        return asked->request->op == WIRE_CONFIG
                   ? OK
                   : fail(err, NOT_FOUND, NULL, "This house has signed no configuration for that round.");
    TRY(pact_read(asked->arena, asked->row.config, &asked->pact, err));
    if (memcmp(asked->pact.hub.key, asked->request->from, PACT_KEY_SIZE) != 0)
        return fail(err, FORBIDDEN, NULL, "The run is another hub's.");
    pact_ctx(asked->row.config, asked->ctx);
    return pact_pine(&asked->pact, asked->ctx, &asked->pine, err);
}

static step_fn *const steps[WIRE_OPS] = {
    [WIRE_CONFIG] = step_config, [WIRE_MODEL] = step_model,       [WIRE_VERIFY] = step_verify,
    [WIRE_FREEZE] = step_freeze, [WIRE_DRAW] = step_draw,         [WIRE_COMMIT] = step_commit,
    [WIRE_COSIGN] = step_cosign, [WIRE_EXCHANGE] = step_exchange,
};

static enum status take_step(struct house *house, const struct wire_request *request, struct buf *out,
                             struct error *err)
{
    auto_arena struct arena arena = {0};
    struct asked asked = {
        .house = house, .arena = &arena, .request = request, .run = hex_encode(&arena, request->run, WIRE_RUN_SIZE)};
    pthread_mutex_t *stripe = &house->stripes[request->run[0] % STRIPES];
    pthread_mutex_lock(stripe);
    enum status status = load_round(&asked, err);
    if (status == OK)
        status = steps[request->op](&asked, request->payload, out, err);
    pthread_mutex_unlock(stripe);
    return status;
}

void house_answer(struct house *house, struct str op, struct str body, struct buf *out)
{
    auto_buf struct buf payload = {0};
    struct wire_request request;
    struct error err = {0};
    enum wire_op which;
    enum status status = OK;
    if (!wire_op_find(op, &which))
        status = fail(&err, NOT_FOUND, NULL, "A house knows no such step.");
    if (status == OK)
        status = wire_request_read(which, body, &request, &err);
    if (status == OK)
        status = check_request(house, &request, &err);
    if (status == OK)
        status = take_step(house, &request, &payload, &err);
    if (status != OK)
        log_line("error", "house", "%.*s: %s", STR_ARG(str_slice(op, 0, 20)), err.message);
    wire_answer_write(body, status == OK ? NULL : &err, buf_view(&payload), &house->identity->sign, out);
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Mode "two-houses": the change goes out in two sealed shares, with the proof that it is within the bound. */
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "pact/config.h"
#include "pine/quantise.h"
#include "pine/seal.h"
#include "train/internal.h"
#include <math.h>
#include <openssl/crypto.h>
#include <stdlib.h>

struct making {
    struct round *round;
    struct arena *arena;
    struct pact pact;
    uint8_t ctx[SHA256_SIZE];
    struct pine pine;
    struct report report;
    struct buf leader; /* sealed */
};

/* What is signed. */

static enum status refuse(struct error *err, const char *why)
{
    return fail(err, FORBIDDEN, NULL, "Nothing is sent: %s", why);
}

static enum status check_signatures(struct making *m, struct str text, struct error *err)
{
    uint8_t hub[PACT_SIGNATURE_SIZE], house[PACT_SIGNATURE_SIZE];
    const json_t *told = m->round->told;
    if (!hex_decode(json_get_str(told, "hubSignature"), hub, sizeof hub) ||
        !hex_decode(json_get_str(told, "houseSignature"), house, sizeof house) ||
        !pact_text_signed(m->pact.hub.key, PACT_TYPE, text, hub) ||
        !pact_text_signed(m->pact.house.key, PACT_TYPE, text, house))
        return refuse(err, "the round's configuration is not signed by both houses.");
    return OK;
}

static bool is_wanted_house(const struct cairn_federate *part, const uint8_t key[PACT_KEY_SIZE])
{
    uint8_t wanted[PACT_KEY_SIZE];
    char id[KEY_ID_SIZE];
    key_id(key, id);
    if (!part->house)
        return true;
    if (hex_decode(str_of(part->house), wanted, sizeof wanted))
        return memcmp(wanted, key, sizeof wanted) == 0;
    return strcmp(part->house, id) == 0;
}

/* The houses of the first round are those of the run: a hub cannot put itself in the other's place later. */
static enum status check_houses(struct cairn_federate *part, const struct pact *pact, struct error *err)
{
    uint8_t seed[PACT_KEY_SIZE];
    if (!is_wanted_house(part, pact->house.key))
        return refuse(err, "the second house is not the one that you have set.");
    if (memcmp(pact->hub.key, pact->house.key, PACT_KEY_SIZE) == 0 || memcmp(pact->hub.seal, pact->house.seal, 32) == 0)
        return refuse(err, "both houses are the same.");
    if (part->knows_houses && (memcmp(part->hub_key, pact->hub.key, PACT_KEY_SIZE) != 0 ||
                               memcmp(part->house_key, pact->house.key, PACT_KEY_SIZE) != 0))
        return refuse(err, "the houses are not those of the rounds before.");
    if (part->knows_houses)
        return OK;
    memcpy(part->hub_key, pact->hub.key, PACT_KEY_SIZE);
    memcpy(part->house_key, pact->house.key, PACT_KEY_SIZE);
    random_bytes(seed, sizeof seed);
    pact_key_make(&part->report_key, seed);
    OPENSSL_cleanse(seed, sizeof seed);
    part->knows_houses = true;
    return OK;
}

/* The round is about the model that was trained, and its numbers are what they must be for nobody to learn more than sums. */
static enum status check_config(struct making *m, struct error *err)
{
    const struct round *round = m->round;
    const struct model *model = &round->model;
    const struct pact *pact = &m->pact;
    uint8_t file[SHA256_SIZE], manifest[SHA256_SIZE];
    sha256(buf_view(&model->bytes), file);
    sha256(str_slice(buf_view(&model->bytes), 0, model->data_at), manifest);
    if (!str_eq(pact->run, json_get_str(round->told, "run")) || pact->round != round->number)
        return refuse(err, "the configuration is of another round.");
    if (memcmp(pact->model, file, SHA256_SIZE) != 0 || memcmp(pact->manifest, manifest, SHA256_SIZE) != 0 ||
        (uint64_t)pact->dimension != (model->bytes.len - model->data_at) / sizeof(float))
        return refuse(err, "the houses have signed a round for another model than the one that was sent here.");
    double bound = ldexp(pact->bound, (int)pact->fraction_bits);
    if (bound < (double)pact->norm_bound || bound >= (double)pact->norm_bound + 1)
        return refuse(err, "the bound of the proof is not the bound that is told.");
    TRY(pact_check_sizes(pact->minimum, pact->bucket, pact->noise > 0, err));
    if (pact->hub.until_us < now_us() || pact->house.until_us < now_us())
        return refuse(err, "a key that shares are sealed to has come to its end.");
    return check_houses(round->part, pact, err);
}

static enum status read_config(struct making *m, struct error *err)
{
    struct str text = json_get_str(m->round->told, "config");
    if (!str_given(text))
        return fail(err, INVALID, NULL, "The hub does not say what the round is bound to.");
    TRY(pact_read(m->arena, text, &m->pact, err));
    TRY(check_signatures(m, text, err));
    pact_ctx(text, m->ctx);
    TRY(check_config(m, err));
    return pact_pine(&m->pact, m->ctx, &m->pine, err);
}

/* The shares. */

static void *room(size_t count, size_t size)
{
    void *made = calloc(count + 1, size);
    if (!made)
        abort();
    return made;
}

static void wipe(void *secret, size_t len)
{
    OPENSSL_cleanse(secret, len);
    free(secret);
}

static enum status quantise(struct making *m, const struct cairn_trained *trained, int32_t *out, struct error *err)
{
    size_t count = (size_t)m->pact.dimension;
    float *change = room(count, sizeof *change);
    uint8_t seed[32];
    random_bytes(seed, sizeof seed);
    enum status status = model_change(&m->round->model, trained, change, err);
    if (status == OK)
        status = pine_quantise(change, count, ldexp(1, (int)m->pact.fraction_bits), (uint64_t)m->pact.norm_bound, seed,
                               out, err);
    OPENSSL_cleanse(seed, sizeof seed);
    wipe(change, count * sizeof *change);
    return status;
}

static enum status into_buf(void *context, const uint8_t *data, size_t len, struct error *err)
{
    (void)err;
    buf_add(context, data, len);
    return OK;
}

static enum status seal_share(struct making *m, int house, struct str share, uint8_t *out, size_t size,
                              struct error *err)
{
    auto_buf struct buf sealed = {0};
    uint8_t aad[REPORT_AAD_SIZE];
    struct seal seal;
    enum status status = seal_begin(&seal, m->pact.house.seal, (struct str){(char *)m->ctx, SHA256_SIZE},
                                    report_aad(&m->report, house, aad), (struct pine_sink){into_buf, &sealed}, err);
    struct pine_sink sink = seal_sink(&seal);
    if (status == OK)
        status = sink.write(sink.context, (const uint8_t *)share.data, share.len, err);
    if (status == OK)
        status = seal_finish(&seal, err);
    seal_end(&seal);
    TRY(status);
    if (sealed.len != size)
        return fail(err, INTERNAL, NULL, "A sealed share has another length than it should.");
    memcpy(out, sealed.data, size);
    return OK;
}

/* The leader's share is sealed while it is made. */
static enum status shard_once(struct making *m, const int32_t *vector, const uint8_t *rand, uint8_t *helper,
                              struct error *err)
{
    uint8_t aad[REPORT_AAD_SIZE];
    struct seal seal;
    random_bytes(m->report.nonce, sizeof m->report.nonce);
    m->leader.len = 0;
    buf_reserve(&m->leader, (size_t)seal_size(m->pine.leader_share));
    enum status status = seal_begin(&seal, m->pact.hub.seal, (struct str){(char *)m->ctx, SHA256_SIZE},
                                    report_aad(&m->report, 0, aad), (struct pine_sink){into_buf, &m->leader}, err);
    if (status == OK)
        status =
            pine_shard(&m->pine, vector, m->report.nonce, rand, seal_sink(&seal), helper, m->report.public_share, err);
    if (status == OK)
        status = seal_finish(&seal, err);
    seal_end(&seal);
    return status;
}

static enum status shard(struct making *m, const int32_t *vector, struct error *err)
{
    uint8_t rand[16 * SEED_SIZE_MAX], helper[4 * SEED_SIZE_MAX];
    if (m->pine.rand > sizeof rand || m->pine.helper_share != sizeof helper ||
        m->pine.public_share != sizeof m->report.public_share)
        return fail(err, INTERNAL, NULL, "A report has another form than it should.");
    memcpy(m->report.key, m->round->part->report_key.public_key, PACT_KEY_SIZE);
    enum status status = STALE;
    for (int tries = 0; tries < 8 && status == STALE; tries++) {
        random_bytes(rand, m->pine.rand);
        status = shard_once(m, vector, rand, helper, err);
    }
    if (status == OK)
        status = seal_share(m, 1, (struct str){(char *)helper, sizeof helper}, m->report.helper,
                            sizeof m->report.helper, err);
    OPENSSL_cleanse(rand, sizeof rand);
    OPENSSL_cleanse(helper, sizeof helper);
    return status;
}

static enum status make_report(struct making *m, const struct cairn_trained *trained, struct error *err)
{
    size_t count = (size_t)m->pact.dimension;
    int32_t *vector = room(count, sizeof *vector);
    enum status status = quantise(m, trained, vector, err);
    if (status == OK)
        status = shard(m, vector, err);
    wipe(vector, count * sizeof *vector);
    TRY(status);
    blake3(buf_view(&m->leader), m->report.leader);
    report_sign(&m->report, &m->round->part->report_key, m->ctx);
    return OK;
}

static enum status finish(struct making *m, int64_t examples, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "round", m->round->number);
    jw_key_int(&w, "examples", examples);
    jw_key_hex(&w, "blake3", m->report.leader, BLAKE3_SIZE);
    jw_key_str(&w, "report", base64_encode(m->arena, (struct str){(const char *)&m->report, sizeof m->report}));
    jw_end(&w);
    return ask(m->round->part, "POST", "/update", STR("application/json"), buf_view(&body), NULL, err);
}

enum status send_houses(struct round *round, const struct cairn_trained *trained, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct making m = {.round = round, .arena = &arena};
    struct cairn_federate *part = round->part;
    /* Where the hub has asked for another report, it has said itself that it does not count the one before. */
    part->sent.round = 0;
    enum status status = read_config(&m, err);
    if (status == OK)
        status = make_report(&m, trained, err);
    if (status == OK)
        status = upload(round, buf_view(&m.leader), err);
    if (status == OK)
        status = finish(&m, 1, err); /* each weighs the same, and nobody needs to know with how many it was trained */
    buf_free(&m.leader);
    TRY(status);
    part->sent.round = round->number;
    memcpy(part->sent.ctx, m.ctx, sizeof part->sent.ctx);
    memcpy(part->sent.signature, m.report.signature, sizeof part->sent.signature);
    return OK;
}

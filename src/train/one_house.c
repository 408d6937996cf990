/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Mode "one-house": the update goes to the hub under masks, and the hub learns sums alone. The protocol is src/cohort/client.c; here are
 * its messages. */
#include "base/hash.h"
#include "base/text.h"
#include "base/time.h"
#include "cohort/client.h"
#include "pine/quantise.h"
#include "privacy/gauss.h"
#include "train/internal.h"
#include <openssl/crypto.h>
#include <stdlib.h>

#define POLL_LEAST_US (SECOND_US / 20)
#define POLL_MOST_US (SECOND_US / 2)
#define MESSAGE_MOST (1 << 19)
#define NOISE_PIECE 4096

/* A participant in one round, over all attempts at it. */
struct member {
    struct round *round;
    struct cohort_round about;
    struct state state;
    uint8_t name[COHORT_NAME_SIZE], identity[32];
    char model[2 * SHA256_SIZE + 1], base[41], run[33];
    int32_t *values;
    struct cohort_client *client; /* of attempt about.attempt; NULL: none yet */
    int64_t wait;
};

/* The vector. */

static enum status quantise(struct member *m, const struct cairn_trained *trained, struct error *err)
{
    size_t width = (size_t)m->about.width;
    uint8_t seed[32];
    float *change = calloc(width + 1, sizeof *change);
    m->values = calloc(width + 1, sizeof *m->values);
    if (!change || !m->values)
        abort();
    random_bytes(seed, sizeof seed);
    enum status status = model_change(&m->round->model, trained, change, err);
    if (status == OK)
        status = pine_quantise(change, width, COHORT_VALUES / m->about.bound, COHORT_VALUES, seed, m->values, err);
    OPENSSL_cleanse(seed, sizeof seed);
    free(change);
    return status;
}

/* Once a round, whatever attempts it takes: the noise of several would be worn down by comparing. */
static void add_noise(struct member *m)
{
    int64_t sigma = cohort_noise(&m->about), noise[NOISE_PIECE];
    uint8_t seed[32];
    random_bytes(seed, sizeof seed);
    for (int64_t at = 0, count; sigma > 0 && at < m->about.width; at += count) {
        count = m->about.width - at < NOISE_PIECE ? m->about.width - at : NOISE_PIECE;
        gauss_fill(seed, (uint64_t)at, sigma, noise, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            m->values[at + i] += (int32_t)noise[i];
    }
    OPENSSL_cleanse(seed, sizeof seed);
    OPENSSL_cleanse(noise, sizeof noise);
}

/* Messages. */

static enum status read_hex(const json_t *told, const char *name, struct buf *out, struct error *err)
{
    struct str text = json_get_str(told, name);
    if (!str_given(text) || text.len % 2 || text.len / 2 > MESSAGE_MOST)
        return fail(err, INVALID, NULL, "The hub's answer lacks \"%s\".", name);
    buf_reserve(out, text.len / 2 + 1);
    if (!hex_decode(text, (uint8_t *)out->data, text.len / 2))
        return fail(err, INVALID, NULL, "The hub's \"%s\" is malformed.", name);
    out->len = text.len / 2;
    return OK;
}

/* Too late for a step is no failure: the hub says what comes now. */
static enum status answer(struct member *m, const char *step, const void *message, size_t len, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_int(&w, "attempt", m->about.attempt);
    jw_key_str(&w, "step", str_of(step));
    jw_key_hex(&w, "message", message, len);
    jw_end(&w);
    enum status status = ask(m->round->part, "POST", "/cohort", STR("application/json"), buf_view(&body), NULL, err);
    return status == CONFLICT && error_is(err, "StepOver") ? OK : status;
}

static enum status send_keys(struct member *m, const json_t *told, struct error *err)
{
    struct cohort_member keys;
    (void)told;
    TRY(cohort_client_keys(m->client, &keys, err));
    return answer(m, "keys", &keys, sizeof keys, err);
}

static enum status send_shares(struct member *m, const json_t *told, struct error *err)
{
    auto_buf struct buf roster = {0}, nonce = {0}, out = {0};
    TRY(read_hex(told, "roster", &roster, err));
    TRY(read_hex(told, "nonce", &nonce, err));
    TRY(cohort_client_deal(m->client, buf_view(&roster), buf_view(&nonce), &out, err));
    return answer(m, "deal", out.data, out.len, err);
}

static enum status send_vector(struct member *m, const json_t *told, struct error *err)
{
    auto_buf struct buf dealt = {0}, out = {0};
    uint8_t digest[SHA256_SIZE];
    TRY(read_hex(told, "dealt", &dealt, err));
    TRY(cohort_client_mask(m->client, buf_view(&dealt), m->values, &out, err));
    TRY(upload(m->round, buf_view(&out), err));
    sha256(buf_view(&out), digest);
    return answer(m, "mask", digest, sizeof digest, err);
}

static enum status send_signature(struct member *m, const json_t *told, struct error *err)
{
    auto_buf struct buf survivors = {0};
    uint8_t signature[COHORT_SIGNATURE_SIZE];
    TRY(read_hex(told, "survivors", &survivors, err));
    TRY(cohort_client_sign(m->client, buf_view(&survivors), signature, err));
    return answer(m, "sign", signature, sizeof signature, err);
}

static enum status send_answer(struct member *m, const json_t *told, struct error *err)
{
    auto_buf struct buf signatures = {0}, out = {0};
    TRY(read_hex(told, "signatures", &signatures, err));
    TRY(cohort_client_unmask(m->client, buf_view(&signatures), &out, err));
    enum status status = answer(m, "unmask", out.data, out.len, err);
    OPENSSL_cleanse(out.data, out.len);
    return status;
}

static const struct {
    const char *name, *done;
    enum status (*send)(struct member *m, const json_t *told, struct error *err);
} steps[] = {{"keys", "ready, waiting for the others", send_keys},
             {"deal", "secrets are shared with the neighbours", send_shares},
             {"mask", "the masked update is sent", send_vector},
             {"sign", "the list of those who have sent theirs is signed", send_signature},
             {"unmask", "the shares that take masks off the sum are given", send_answer}};

/* The rounds' attempts. */

/* Keys are made for an attempt whose members are still being gathered, and once: after a restart its other steps are lost. */
static enum status begin(struct member *m, const json_t *told, int64_t attempt, struct error *err)
{
    auto_buf struct buf commitment = {0}, name = {0};
    char label[sizeof m->run + 2 * COHORT_NAME_SIZE + 2];
    TRY(read_hex(told, "commitment", &commitment, err));
    TRY(read_hex(told, "member", &name, err));
    if (commitment.len != SHA256_SIZE || name.len != COHORT_NAME_SIZE)
        return fail(err, INVALID, NULL, "The hub's answer is malformed.");
    memcpy(m->name, name.data, COHORT_NAME_SIZE);
    memcpy(m->about.nonce_sha256, commitment.data, SHA256_SIZE);
    buf_free(&name);
    buf_printf(&name, "%s-", m->run);
    hex_add(&name, m->name, COHORT_NAME_SIZE);
    buf_byte(&name, '\0');
    memcpy(label, name.data, name.len < sizeof label ? name.len : sizeof label);
    TRY(state_open(m->round->part, (struct str){label, name.len - 1}, &m->state, err));
    TRY(state_identity(&m->state, m->identity, err));
    m->about.attempt = attempt;
    cohort_client_free(m->client);
    m->client = cohort_client_new(&m->about, m->name, m->identity, (struct cohort_memory){state_remember, &m->state});
    return OK;
}

/* One step that the hub waits for; none for who cannot take it. */
static enum status take_step(struct member *m, const json_t *told, struct error *err)
{
    struct str step = json_get_str(told, "step");
    int64_t attempt = json_get_int(told, "attempt", 0);
    if (attempt != m->about.attempt && str_eq(step, STR("keys"))) {
        if (attempt < m->about.attempt)
            return fail(err, FORBIDDEN, NULL, "The hub goes back to an attempt that is over.");
        TRY(begin(m, told, attempt, err));
        m->wait = POLL_LEAST_US;
    }
    for (size_t i = 0; m->client && attempt == m->about.attempt && i < sizeof steps / sizeof *steps; i++)
        if (str_eq(step, str_of(steps[i].name))) {
            enum status status = steps[i].send(m, told, err);
            if (status == OK)
                tell(m->round->part, "Round %lld of %lld, attempt %lld: %s", (long long)m->round->number,
                     (long long)m->round->rounds, (long long)attempt, steps[i].done);
            return status == CONFLICT && (error_is(err, "WrongStep") || error_is(err, "RoundOver")) ? OK : status;
        }
    return OK;
}

static enum status go_on(struct member *m, bool *over, struct error *err)
{
    auto_json json_t *told = NULL;
    TRY(ask(m->round->part, "GET", "/cohort", (struct str){0}, (struct str){0}, &told, err));
    *over = json_get_int(told, "round", -1) != m->round->number || str_eq(json_get_str(told, "step"), STR("over"));
    if (*over)
        return OK;
    TRY(take_step(m, told, err));
    doze(m->wait);
    m->wait = m->wait * 5 / 4 < POLL_MOST_US ? m->wait * 5 / 4 : POLL_MOST_US;
    return OK;
}

static enum status copy_hex(const json_t *told, const char *name, char *out, size_t size, struct error *err)
{
    struct str text = json_get_str(told, name);
    if (text.len != size - 1)
        return fail(err, INVALID, NULL, "The hub's answer lacks \"%s\".", name);
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.data[i]) || !text.data[i])
            return fail(err, INVALID, NULL, "The hub's \"%s\" is malformed.", name);
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
    return OK;
}

/* All that the keys are bound to, from what this side knows itself where it can. */
static enum status describe(struct member *m, struct error *err)
{
    const struct model *model = &m->round->model;
    const json_t *told = m->round->told, *noise = json_object_get(told, "noise");
    auto_buf struct buf hex = {0};
    uint8_t digest[SHA256_SIZE];
    sha256(buf_view(&model->bytes), digest);
    hex_add(&hex, digest, sizeof digest);
    memcpy(m->model, hex.data, hex.len);
    TRY(copy_hex(told, "run", m->run, sizeof m->run, err));
    TRY(copy_hex(told, "base", m->base, sizeof m->base, err));
    m->about = (struct cohort_round){.run = str_of(m->run),
                                     .base = str_of(m->base),
                                     .model = str_of(m->model),
                                     .number = m->round->number,
                                     .width = (int64_t)((model->bytes.len - model->data_at) / sizeof(float)),
                                     .bound = m->round->bound,
                                     .rule = json_get_str(told, "rule"),
                                     .least = json_get_int(told, "minParticipants", 0),
                                     .noise = json_is_number(noise) ? json_number_value(noise) : 0};
    int64_t size = json_get_int(told, "cohort", 0);
    if (!(m->about.bound > 0) || size < 0 || size > COHORT_MOST || m->about.width < 1 || !str_given(m->about.rule) ||
        cohort_bits(&m->about, COHORT_MOST) == 0)
        return fail(err, INVALID, NULL, "The hub's settings of the training make no sense.");
    m->about.size = (size_t)size;
    return OK;
}

static enum status take_part(struct member *m, const struct cairn_trained *trained, struct error *err)
{
    bool over = false;
    TRY(describe(m, err));
    TRY(quantise(m, trained, err));
    add_noise(m);
    while (!over)
        TRY(go_on(m, &over, err));
    return OK;
}

const char *cairn_federate_identity(struct cairn_federate *part)
{
    auto_buf struct buf hex = {0};
    struct state state;
    uint8_t seed[32], identity[32];
    part->err = (struct error){0};
    enum status status = state_open(part, STR("identity"), &state, &part->err);
    if (status == OK)
        status = state_identity(&state, seed, &part->err);
    if (status != OK)
        return NULL;
    cohort_identity(seed, identity);
    OPENSSL_cleanse(seed, sizeof seed);
    hex_add(&hex, identity, sizeof identity);
    memcpy(part->identity, hex.data, hex.len);
    return part->identity;
}

enum status send_one_house(struct round *round, const struct cairn_trained *trained, struct error *err)
{
    struct member member = {.round = round, .wait = POLL_LEAST_US};
    enum status status = take_part(&member, trained, err);
    cohort_client_free(member.client);
    if (member.values)
        OPENSSL_cleanse(member.values, (size_t)member.about.width * sizeof *member.values);
    free(member.values);
    OPENSSL_cleanse(&member, sizeof member);
    return status;
}

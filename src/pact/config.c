/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "pact/config.h"
#include "base/text.h"
#include "oms/dsse.h"
#include <math.h>
#include <stdio.h>

#define WIDE_BOUND (1 << 24)
#define NARROW_BOUND 37832            /* the most that 32 bits are sound for */
#define NOISE_MOST (INT64_C(1) << 28) /* privacy/gauss.h */

/* Choosing. */

static bool choose(struct pact *pact, double most, double sigma)
{
    int exponent = (int)floor(log2(most / pact->bound));
    if (exponent < -1000 || exponent > 1000)
        return false;
    pact->fraction_bits = exponent;
    pact->norm_bound = (int64_t)floor(ldexp(pact->bound, exponent));
    pact->noise = sigma > 0 ? (int64_t)ceil(sigma * (double)pact->norm_bound) : 0;
    double limit = ldexp(1, (int)pact->field_bits - 1);
    /* Far beyond what Gaussian noise of two houses ever reaches. */
    return pact->norm_bound > 0 && pact->noise <= NOISE_MOST &&
           (double)pact->norm_bound * PACT_REPORTS_MOST + 64.0 * (double)pact->noise < limit;
}

enum status pact_choose(struct pact *pact, double sigma, struct error *err)
{
    pact->field_bits = pact->dimension > PACT_NARROW_ABOVE ? 32 : 64;
    double most = pact->field_bits == 32 ? NARROW_BOUND : WIDE_BOUND;
    for (int halvings = 0; halvings < 12; halvings++, most /= 2)
        if (choose(pact, most, sigma)) {
            uint8_t none[SHA256_SIZE] = {0};
            struct pine pine;
            return pact_pine(pact, none, &pine, err);
        }
    return fail(err, INVALID, NULL, "No field holds sums with a bound of %g and noise of %g times it.", pact->bound,
                sigma);
}

enum status pact_check_sizes(int64_t minimum, int64_t bucket, bool noisy, struct error *err)
{
    int64_t least = bucket && !noisy ? PACT_MINIMUM_LEAST : bucket ? 2 * bucket : PACT_BUCKET_NOISY_LEAST;
    if (bucket && bucket < (noisy ? PACT_BUCKET_NOISY_LEAST : PACT_BUCKET_LEAST))
        return fail(err, INVALID, NULL, "Buckets of %lld would say too much of their members: %d is the least%s.",
                    (long long)bucket, noisy ? PACT_BUCKET_NOISY_LEAST : PACT_BUCKET_LEAST,
                    noisy ? "" : " without noise");
    if (minimum < least || (bucket && minimum < 2 * bucket))
        return fail(
            err, INVALID, NULL,
            "Between two houses a round%s takes %lld participants at least%s, so that no sum says too much of one.",
            bucket ? " with buckets" : "", (long long)(least > 2 * bucket ? least : 2 * bucket),
            noisy ? "" : " without noise");
    return OK;
}

/* Writing and reading. */

static void write_house(struct json_writer *w, const char *name, const struct pact_house *house)
{
    jw_key(w, name);
    jw_object(w);
    jw_key_hex(w, "key", house->key, sizeof house->key);
    jw_key_hex(w, "seal", house->seal, sizeof house->seal);
    jw_key_int(w, "sealUntil", house->until_us);
    jw_end(w);
}

void pact_write(const struct pact *pact, struct buf *out)
{
    struct json_writer w = jw_to(out);
    char bound[40];
    snprintf(bound, sizeof bound, "%.17g", pact->bound);
    const struct pine_config proofs =
        pine_config_cairn((unsigned)pact->field_bits, (size_t)pact->dimension, (uint64_t)pact->norm_bound, STR(""));
    jw_object(&w);
    jw_key_str(&w, "base", pact->base);
    jw_key_hex(&w, "baseModel", pact->model, sizeof pact->model);
    jw_key(&w, "bound");
    jw_raw(&w, str_of(bound));
    jw_key_int(&w, "bucket", pact->bucket);
    jw_key_int(&w, "checks", proofs.checks);
    jw_key_int(&w, "chunk", (int64_t)proofs.chunk);
    jw_key_int(&w, "chunkNorm", (int64_t)proofs.chunk_norm_equality);
    jw_key_int(&w, "dimension", pact->dimension);
    jw_key_int(&w, "fieldBits", pact->field_bits);
    jw_key_int(&w, "fractionBits", pact->fraction_bits);
    write_house(&w, "house", &pact->house);
    write_house(&w, "hub", &pact->hub);
    jw_key_hex(&w, "manifest", pact->manifest, sizeof pact->manifest);
    jw_key_int(&w, "minimum", pact->minimum);
    jw_key_int(&w, "noise", pact->noise);
    jw_key_int(&w, "normBound", pact->norm_bound);
    jw_key_int(&w, "proofs", proofs.proofs);
    jw_key_int(&w, "proofsNorm", proofs.proofs_norm_equality);
    jw_key_int(&w, "round", pact->round);
    jw_key_str(&w, "run", pact->run);
    jw_key(&w, "settings");
    jw_raw(&w, str_given(pact->settings) ? pact->settings : STR("{}"));
    if (str_given(pact->terms))
        jw_key_str(&w, "terms", pact->terms);
    jw_key_int(&w, "version", 1);
    jw_end(&w);
}

static enum status no_member(const char *name, struct error *err)
{
    return fail(err, INVALID, NULL, "The round's configuration has no good \"%s\".", name);
}

static enum status read_int(const json_t *from, const char *name, int64_t least, int64_t most, int64_t *out,
                            struct error *err)
{
    *out = json_get_int(from, name, least - 1);
    return *out >= least && *out <= most ? OK : no_member(name, err);
}

static enum status read_hex(const json_t *from, const char *name, uint8_t *out, size_t len, struct error *err)
{
    return hex_decode(json_get_str(from, name), out, len) ? OK : no_member(name, err);
}

static enum status read_hex_text(struct arena *arena, const json_t *from, const char *name, size_t digits,
                                 struct str *out, struct error *err)
{
    uint8_t bytes[SHA256_SIZE];
    struct str text = json_get_str(from, name);
    if (text.len != digits || !hex_decode(text, bytes, digits / 2))
        return no_member(name, err);
    *out = arena_copy(arena, text);
    return OK;
}

static enum status read_house(const json_t *from, const char *name, struct pact_house *out, struct error *err)
{
    const json_t *house = json_object_get(from, name);
    TRY(read_hex(house, "key", out->key, sizeof out->key, err));
    TRY(read_hex(house, "seal", out->seal, sizeof out->seal, err));
    return read_int(house, "sealUntil", 0, INT64_MAX, &out->until_us, err);
}

static enum status read_members(struct arena *arena, const json_t *from, struct pact *out, struct error *err)
{
    int64_t version;
    TRY(read_int(from, "version", 1, 1, &version, err));
    TRY(read_hex_text(arena, from, "run", 32, &out->run, err));
    TRY(read_hex_text(arena, from, "base", 40, &out->base, err));
    if (json_object_get(from, "terms"))
        TRY(read_hex_text(arena, from, "terms", 64, &out->terms, err));
    TRY(read_int(from, "round", 1, 1000000, &out->round, err));
    TRY(read_hex(from, "baseModel", out->model, SHA256_SIZE, err));
    TRY(read_hex(from, "manifest", out->manifest, SHA256_SIZE, err));
    TRY(read_int(from, "dimension", 1, (int64_t)PINE_DIMENSION_MAX, &out->dimension, err));
    TRY(read_int(from, "fieldBits", 32, 64, &out->field_bits, err));
    TRY(read_int(from, "fractionBits", -1000, 1000, &out->fraction_bits, err));
    TRY(read_int(from, "normBound", 1, INT32_MAX, &out->norm_bound, err));
    TRY(read_int(from, "bucket", 0, PACT_REPORTS_MOST, &out->bucket, err));
    TRY(read_int(from, "minimum", 1, PACT_REPORTS_MOST, &out->minimum, err));
    TRY(read_int(from, "noise", 0, NOISE_MOST, &out->noise, err));
    const json_t *bound = json_object_get(from, "bound");
    out->bound = json_is_number(bound) ? json_number_value(bound) : 0;
    if (!(out->bound > 0) || !isfinite(out->bound) || (out->field_bits != 32 && out->field_bits != 64))
        return no_member("bound", err);
    TRY(read_house(from, "hub", &out->hub, err));
    return read_house(from, "house", &out->house, err);
}

enum status pact_read(struct arena *arena, struct str text, struct pact *out, struct error *err)
{
    auto_json json_t *from = NULL;
    *out = (struct pact){0};
    TRY(json_read(text, PACT_LIMIT, &from, err));
    return read_members(arena, from, out, err);
}

void pact_ctx(struct str text, uint8_t out[SHA256_SIZE])
{
    sha256(text, out);
}

enum status pact_pine(const struct pact *pact, const uint8_t ctx[SHA256_SIZE], struct pine *out, struct error *err)
{
    const struct pine_config config =
        pine_config_cairn((unsigned)pact->field_bits, (size_t)pact->dimension, (uint64_t)pact->norm_bound,
                          (struct str){(const char *)ctx, SHA256_SIZE});
    return pine_make(&config, out, err);
}

/* Signatures. */

void pact_sign_text(const struct pact_key *key, const char *type, struct str text, uint8_t out[PACT_SIGNATURE_SIZE])
{
    auto_buf struct buf message = {0};
    dsse_pae(str_of(type), text, &message);
    pact_sign(key, buf_view(&message), out);
}

bool pact_text_signed(const uint8_t key[PACT_KEY_SIZE], const char *type, struct str text,
                      const uint8_t signature[PACT_SIGNATURE_SIZE])
{
    auto_buf struct buf message = {0};
    dsse_pae(str_of(type), text, &message);
    return pact_signed(key, buf_view(&message), signature);
}

/* Reports. */

static struct str report_message(const struct report *report, const uint8_t ctx[SHA256_SIZE], struct buf *room)
{
    buf_str(room, STR("cairn report 1\n"));
    buf_add(room, ctx, SHA256_SIZE);
    buf_add(room, report, REPORT_SIGNED);
    return buf_view(room);
}

void report_sign(struct report *report, const struct pact_key *key, const uint8_t ctx[SHA256_SIZE])
{
    auto_buf struct buf message = {0};
    memcpy(report->key, key->public_key, PACT_KEY_SIZE);
    pact_sign(key, report_message(report, ctx, &message), report->signature);
}

bool report_signed(const struct report *report, const uint8_t ctx[SHA256_SIZE])
{
    auto_buf struct buf message = {0};
    return pact_signed(report->key, report_message(report, ctx, &message), report->signature);
}

struct str report_aad(const struct report *report, int house, uint8_t room[REPORT_AAD_SIZE])
{
    room[0] = (uint8_t)house;
    memcpy(room + 1, report->nonce, PINE_NONCE_SIZE);
    memcpy(room + 1 + PINE_NONCE_SIZE, report->key, PACT_KEY_SIZE);
    return (struct str){(const char *)room, REPORT_AAD_SIZE};
}

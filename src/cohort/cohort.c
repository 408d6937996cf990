/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cohort/cohort.h"

#include "base/json.h"
#include "cohort/finder.h"
#include "mask/mask.h"
#include "tlog/note.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct cohort_member) == COHORT_NAME_SIZE + 32 + 2 * HPKE_KEY_SIZE + COHORT_SIGNATURE_SIZE,
               "a member is sent as it lies in memory");

#define COHORT_NOISE_MOST (INT64_C(1) << 28) /* for which no sum has room */

/* What an attempt is about. */

static void write_real(struct json_writer *w, const char *name, double value)
{
    char number[40];
    snprintf(number, sizeof number, "%.17g", value);
    jw_key(w, name);
    jw_raw(w, str_of(number));
}

void cohort_round_context(const struct cohort_round *round, uint8_t ctx[COHORT_CONTEXT_SIZE])
{
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    jw_key_int(&w, "attempt", round->attempt);
    jw_key_str(&w, "base", round->base);
    write_real(&w, "bound", round->bound);
    jw_key_int(&w, "least", round->least);
    jw_key_str(&w, "model", round->model);
    write_real(&w, "noise", round->noise);
    jw_key_hex(&w, "nonce", round->nonce_sha256, SHA256_SIZE);
    jw_key_str(&w, "protocol", STR("cairn one-house 1"));
    jw_key_int(&w, "round", round->number);
    jw_key_str(&w, "rule", round->rule);
    jw_key_str(&w, "run", round->run);
    jw_key_int(&w, "size", (int64_t)round->size);
    jw_key_int(&w, "values", COHORT_VALUES);
    jw_key_int(&w, "width", round->width);
    jw_end(&w);
    sha256(buf_view(&text), ctx);
}

/* Signatures. */

static void signed_text(struct str what, const uint8_t *context, struct str text, struct buf *out)
{
    buf_str(out, STR("cairn one-house "));
    buf_str(out, what);
    buf_byte(out, '\n');
    buf_add(out, context, COHORT_CONTEXT_SIZE);
    buf_str(out, text);
}

static void make_signer(struct arena *arena, const uint8_t seed[32], struct note_signer *out)
{
    if (note_signer_make(arena, NOTE_ED25519, STR("cairn"), seed, out, NULL) != OK)
        abort(); /* the name is a good one */
}

void cohort_identity(const uint8_t seed[32], uint8_t out[32])
{
    auto_arena struct arena arena = {0};
    struct note_signer signer;
    make_signer(&arena, seed, &signer);
    memcpy(out, signer.verifier.public_key, 32);
    note_signer_clear(&signer);
}

void cohort_sign(const uint8_t seed[32], struct str what, const uint8_t context[COHORT_CONTEXT_SIZE], struct str text,
                 uint8_t out[COHORT_SIGNATURE_SIZE])
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf message = {0};
    struct note_signer signer;
    make_signer(&arena, seed, &signer);
    signed_text(what, context, text, &message);
    note_signature_make(&signer, buf_view(&message), out);
    note_signer_clear(&signer);
}

bool cohort_signed(const uint8_t identity[32], struct str what, const uint8_t context[COHORT_CONTEXT_SIZE],
                   struct str text, const uint8_t signature[COHORT_SIGNATURE_SIZE])
{
    auto_buf struct buf message = {0};
    struct note_verifier verifier = {.kind = NOTE_ED25519, .name = STR("cairn")};
    memcpy(verifier.public_key, identity, 32);
    signed_text(what, context, text, &message);
    return note_signature_holds(&verifier, buf_view(&message),
                                (struct str){(const char *)signature, COHORT_SIGNATURE_SIZE});
}

static struct str member_text(const struct cohort_member *member)
{
    return (struct str){(const char *)member, offsetof(struct cohort_member, signature)};
}

/* Points of small order would make each common key the same. */
static bool key_is_good(const uint8_t key[HPKE_KEY_SIZE])
{
    static const uint8_t any[HPKE_KEY_SIZE] = {1};
    uint8_t shared[HPKE_KEY_SIZE];
    return x25519(any, key, shared, NULL) == OK;
}

bool cohort_member_holds(const struct cohort_member *member, const uint8_t ctx[COHORT_CONTEXT_SIZE])
{
    return key_is_good(member->mask) && key_is_good(member->channel) &&
           cohort_signed(member->identity, STR("keys"), ctx, member_text(member), member->signature);
}

void cohort_member_sign(struct cohort_member *member, const uint8_t seed[32], const uint8_t ctx[COHORT_CONTEXT_SIZE])
{
    cohort_identity(seed, member->identity);
    cohort_sign(seed, STR("keys"), ctx, member_text(member), member->signature);
}

/* The roster and the draw. */

static int by_identity(const void *a, const void *b)
{
    return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 32);
}

enum status cohort_roster(struct str bytes, const struct cohort_member **out, size_t *count, struct error *err)
{
    const uint8_t *identities[COHORT_ROSTER_MOST];
    const struct cohort_member *members = (const struct cohort_member *)bytes.data;
    size_t n = bytes.len / sizeof *members;
    if (bytes.len % sizeof *members != 0 || n == 0 || n > COHORT_ROSTER_MOST)
        return fail(err, INVALID, NULL, "A list of %zu bytes is no list of members.", bytes.len);
    for (size_t i = 0; i < n; i++) {
        identities[i] = members[i].identity;
        if (i > 0 && memcmp(members[i - 1].name, members[i].name, COHORT_NAME_SIZE) >= 0)
            return fail(err, INVALID, NULL, "The list of members is not in the order of their names.");
    }
    qsort(identities, n, sizeof *identities, by_identity);
    for (size_t i = 1; i < n; i++)
        if (memcmp(identities[i - 1], identities[i], 32) == 0)
            return fail(err, INVALID, NULL, "Two members have one and the same identity.");
    *out = members;
    *count = n;
    return OK;
}

struct lot {
    uint8_t digest[SHA256_SIZE];
    uint16_t member;
};

static int by_digest(const void *a, const void *b)
{
    return memcmp(((const struct lot *)a)->digest, ((const struct lot *)b)->digest, SHA256_SIZE);
}

static void draw_order(struct cohort_draw *draw, const struct cohort_member *members, struct arena *arena)
{
    struct lot *lots = arena_array(arena, draw->count, sizeof *lots);
    uint8_t text[COHORT_CONTEXT_SIZE + COHORT_NAME_SIZE];
    memcpy(text, draw->context, COHORT_CONTEXT_SIZE);
    for (size_t i = 0; i < draw->count; i++) {
        memcpy(text + COHORT_CONTEXT_SIZE, members[i].name, COHORT_NAME_SIZE);
        sha256((struct str){(char *)text, sizeof text}, lots[i].digest);
        lots[i].member = (uint16_t)i;
    }
    qsort(lots, draw->count, sizeof *lots, by_digest);
    for (size_t i = 0; i < draw->count; i++)
        draw->order[i] = lots[i].member;
}

/* As many cohorts as have at least the size that is wanted, and none that is too large or too small. */
static size_t how_many(size_t count, size_t size)
{
    size_t least = (count + COHORT_MOST - 1) / COHORT_MOST;
    size_t wanted = size ? count / (size > COHORT_LEAST ? size : COHORT_LEAST) : 1;
    return wanted > least ? wanted : least;
}

enum status cohort_draw(const struct cohort_round *round, const struct cohort_member *members, size_t count,
                        const uint8_t nonce[32], struct arena *arena, struct cohort_draw *out, struct error *err)
{
    auto_buf struct buf text = {0};
    uint8_t digest[SHA256_SIZE], ctx[COHORT_CONTEXT_SIZE];
    if (count < COHORT_LEAST || (int64_t)count < round->least || count > COHORT_ROSTER_MOST)
        return fail(err, INVALID, NULL, "%zu members are too few or too many for this round.", count);
    sha256((struct str){(const char *)nonce, 32}, digest);
    if (memcmp(digest, round->nonce_sha256, SHA256_SIZE) != 0)
        return fail(err, INVALID, NULL, "The hub draws with another number than the one that it had promised.");
    cohort_round_context(round, ctx);
    sha256((struct str){(const char *)members, count * sizeof *members}, digest);
    buf_str(&text, STR("cairn one-house draw\n"));
    buf_add(&text, nonce, 32);
    buf_add(&text, digest, sizeof digest);
    buf_add(&text, ctx, sizeof ctx);
    *out = (struct cohort_draw){.count = count,
                                .cohorts = how_many(count, round->size),
                                .order = arena_array(arena, count, sizeof *out->order)};
    sha256(buf_view(&text), out->context);
    draw_order(out, members, arena);
    return OK;
}

size_t cohort_begin(const struct cohort_draw *draw, size_t cohort)
{
    return cohort * draw->count / draw->cohorts;
}

/* The graph. */

/* Of members who may work with a hub that lies, and of those who may fall away (federated.md 1.2). */
static const struct cohort_rates rates = {.adversarial = 0.05, .dropout = 1.0 / 3, .malicious = true};

static size_t survivors_of(size_t size)
{
    size_t most = (2 * size + 2) / 3;
    return most > COHORT_LEAST ? most : COHORT_LEAST;
}

/* It takes milliseconds, and is asked for at every step. */
static bool find_once(size_t size, int *degree, int *threshold)
{
    static _Atomic uint32_t found[COHORT_MOST + 1]; /* 0: not yet; 1: there is none */
    uint32_t known = size <= COHORT_MOST ? found[size] : 1;
    if (!known) {
        known = cohort_find((int)size, rates, degree, threshold) ? (uint32_t)*degree << 16 | (uint32_t)*threshold : 1;
        found[size] = known;
    }
    *degree = (int)(known >> 16);
    *threshold = (int)(known & 0xffff);
    return known != 1;
}

struct cohort_graph cohort_graph(size_t size)
{
    struct cohort_graph graph = {.size = size, .survivors = survivors_of(size)};
    int degree, threshold;
    if (size > COHORT_COMPLETE && find_once(size, &degree, &threshold)) {
        graph.degree = (size_t)degree;
        graph.threshold = (size_t)threshold;
        return graph;
    }
    /* Two thirds: more than half of them with as many again as a third of that half, who may work with the hub. */
    graph.degree = size - 1;
    graph.threshold = (2 * graph.degree + 2) / 3;
    return graph;
}

static int ascending(const void *a, const void *b)
{
    return *(const uint16_t *)a - *(const uint16_t *)b;
}

void cohort_neighbours(const struct cohort_graph *graph, size_t at, uint16_t out[COHORT_MOST])
{
    size_t count = 0;
    if (graph->degree == graph->size - 1) {
        for (size_t i = 0; i < graph->size; i++)
            if (i != at)
                out[count++] = (uint16_t)i;
        return;
    }
    for (size_t step = 1; step <= graph->degree / 2; step++) {
        out[count++] = (uint16_t)((at + step) % graph->size);
        out[count++] = (uint16_t)((at + graph->size - step) % graph->size);
    }
    qsort(out, count, sizeof *out, ascending);
}

size_t cohort_list_count(const uint8_t *list, size_t members)
{
    size_t count = 0;
    for (size_t i = 0; i < members; i++)
        count += cohort_listed(list, i);
    return count;
}

/* Numbers. */

/* The smallest cohort that a round may have: with more members than COHORT_MOST there are two, of half as many at least. */
int64_t cohort_noise(const struct cohort_round *round)
{
    int64_t least = round->least < COHORT_LEAST ? COHORT_LEAST : round->least;
    if (round->noise <= 0)
        return 0;
    size_t size = least < COHORT_MOST / 2 ? (size_t)least : COHORT_MOST / 2;
    /* A vector of the bound's length is not longer than COHORT_VALUES when it has been rounded (pine_quantise()). */
    double sigma = round->noise * COHORT_VALUES / sqrt((double)survivors_of(size));
    return sigma < COHORT_NOISE_MOST ? (int64_t)ceil(sigma) : COHORT_NOISE_MOST;
}

/* The sum of as many vectors and noises. A noise is beyond 12 of its standard deviations once in 10^32. */
unsigned cohort_bits(const struct cohort_round *round, size_t size)
{
    double most = (double)size * COHORT_VALUES + 12 * (double)cohort_noise(round) * sqrt((double)size);
    return most < INT32_MAX ? mask_bits(1, (uint64_t)ceil(most)) : 0;
}

void cohort_own_mask(const uint8_t secret[COHORT_SECRET_SIZE], const uint8_t context[COHORT_CONTEXT_SIZE],
                     uint8_t key[32])
{
    hkdf_sha256((struct str){(const char *)secret, COHORT_SECRET_SIZE},
                (struct str){(const char *)context, COHORT_CONTEXT_SIZE}, STR("cairn one-house own mask"), key, 32);
}

void cohort_commitment(const uint8_t secret[COHORT_SECRET_SIZE], const uint8_t context[COHORT_CONTEXT_SIZE],
                       uint8_t out[SHA256_SIZE])
{
    hkdf_sha256((struct str){(const char *)secret, COHORT_SECRET_SIZE},
                (struct str){(const char *)context, COHORT_CONTEXT_SIZE}, STR("cairn one-house commitment"), out,
                SHA256_SIZE);
}

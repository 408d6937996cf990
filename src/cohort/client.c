/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "cohort/client.h"

#include "cohort/channel.h"
#include "mask/mask.h"
#include "mask/shamir.h"
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum stage { NEW, KEYS, DEALT, MASKED, SIGNED, UNMASKED, BROKEN };

static const char *const stage_names[] = {"has only begun",      "has made its keys", "has dealt its shares",
                                          "has sent its vector", "has signed a list", "has given its shares",
                                          "was broken off"};

struct cohort_client {
    enum stage stage;
    struct cohort_round round;
    struct cohort_memory memory;
    uint8_t seed[32], ctx[COHORT_CONTEXT_SIZE];
    uint8_t mask[HPKE_KEY_SIZE], channel[HPKE_KEY_SIZE], own[COHORT_SECRET_SIZE]; /* secrets */
    struct cohort_member self;

    /* Since the shares were dealt: */
    uint8_t context[COHORT_CONTEXT_SIZE]; /* of the roster */
    struct cohort_graph graph;
    struct cohort_member members[COHORT_MOST]; /* of the cohort, in the order of its ring */
    size_t at;                                 /* one's own place */
    uint16_t neighbours[COHORT_MOST];

    /* Since the vector was masked: */
    bool dealt[COHORT_MOST], opened[COHORT_MOST]; /* by neighbour */
    uint8_t shares[COHORT_MOST][COHORT_SHARES_SIZE];
    uint8_t list[COHORT_LIST_MOST]; /* the survivors, since it was signed */
};

struct cohort_client *cohort_client_new(const struct cohort_round *round, const uint8_t name[COHORT_NAME_SIZE],
                                        const uint8_t identity[32], struct cohort_memory memory)
{
    struct cohort_client *client = calloc(1, sizeof *client);
    if (!client)
        abort();
    client->round = *round;
    client->memory = memory;
    memcpy(client->self.name, name, COHORT_NAME_SIZE);
    memcpy(client->seed, identity, sizeof client->seed);
    cohort_round_context(round, client->ctx);
    return client;
}

void cohort_client_free(struct cohort_client *client)
{
    if (!client)
        return;
    OPENSSL_cleanse(client, sizeof *client);
    free(client);
}

void cohort_client_cleanup(struct cohort_client **client)
{
    cohort_client_free(*client);
}

/* What the hub got wrong ends the attempt: whatever it asks for later, there is nothing left to give. */
static enum status break_off(struct cohort_client *client, enum status status)
{
    if (status != OK) {
        OPENSSL_cleanse(client->mask, sizeof client->mask);
        OPENSSL_cleanse(client->channel, sizeof client->channel);
        OPENSSL_cleanse(client->own, sizeof client->own);
        OPENSSL_cleanse(client->shares, sizeof client->shares);
        client->stage = BROKEN;
    }
    return status;
}

static enum status check_stage(const struct cohort_client *client, enum stage stage, struct error *err)
{
    if (client->stage == stage)
        return OK;
    return fail(err, CONFLICT, "WrongStep",
                "The hub asks for this step of attempt %lld at the wrong time: this member %s.",
                (long long)client->round.attempt, stage_names[client->stage]);
}

/* Keys. */

enum status cohort_client_keys(struct cohort_client *client, struct cohort_member *out, struct error *err)
{
    TRY(check_stage(client, NEW, err));
    hpke_key_make(client->mask, client->self.mask);
    hpke_key_make(client->channel, client->self.channel);
    random_bytes(client->own, sizeof client->own);
    cohort_member_sign(&client->self, client->seed, client->ctx);
    client->stage = KEYS;
    *out = client->self;
    return OK;
}

/* Dealing. */

static size_t find_self(const struct cohort_client *client, const struct cohort_member *members,
                        const struct cohort_draw *draw)
{
    for (size_t i = 0; i < draw->count; i++)
        if (memcmp(&members[draw->order[i]], &client->self, sizeof client->self) == 0)
            return i;
    return SIZE_MAX;
}

/* Takes the own cohort out of the draw. */
static enum status join_cohort(struct cohort_client *client, const struct cohort_member *members,
                               const struct cohort_draw *draw, struct error *err)
{
    size_t place = find_self(client, members, draw), cohort = 0;
    if (place == SIZE_MAX)
        return fail(err, FORBIDDEN, "KeysSwapped",
                    "The hub's list of members lacks the keys that this member has made.");
    while (cohort_begin(draw, cohort + 1) <= place)
        cohort++;
    size_t begin = cohort_begin(draw, cohort), size = cohort_begin(draw, cohort + 1) - begin;
    if (size < COHORT_LEAST || size > COHORT_MOST || cohort_bits(&client->round, size) == 0)
        return fail(err, FORBIDDEN, NULL, "A cohort of %zu is none that hides what its members send.", size);
    client->graph = cohort_graph(size);
    client->at = place - begin;
    memcpy(client->context, draw->context, sizeof client->context);
    for (size_t i = 0; i < size; i++)
        client->members[i] = members[draw->order[begin + i]];
    cohort_neighbours(&client->graph, client->at, client->neighbours);
    return OK;
}

/* Nobody but who has the identity can have put these keys there; and it is the identity that it was in rounds before. */
static enum status check_members(struct cohort_client *client, struct error *err)
{
    uint8_t pairs[COHORT_MOST * COHORT_PAIR_SIZE];
    for (size_t i = 0; i < client->graph.size; i++) {
        const struct cohort_member *member = &client->members[i];
        struct str name = {(const char *)member->name, COHORT_NAME_SIZE};
        if (!cohort_member_holds(member, client->ctx))
            return fail(err, FORBIDDEN, "KeysUnsigned",
                        "The keys of a member of this cohort are not signed by it for this attempt.");
        sha256(name, pairs + i * COHORT_PAIR_SIZE);
        memcpy(pairs + i * COHORT_PAIR_SIZE + 32, member->identity, 32);
    }
    return client->memory.remember(client->memory.context, "peer", pairs, client->graph.size, err);
}

static enum status seal_all(struct cohort_client *client, struct buf *out, struct error *err)
{
    size_t count = client->graph.degree;
    uint8_t of_mask[COHORT_MOST * COHORT_SECRET_SIZE], of_own[COHORT_MOST * COHORT_SECRET_SIZE];
    uint8_t commitment[SHA256_SIZE], plain[COHORT_SHARES_SIZE], sealed[COHORT_SEALED_SIZE];
    enum status status = OK;
    shamir_split(client->mask, COHORT_SECRET_SIZE, (unsigned)client->graph.threshold, (unsigned)count, of_mask);
    shamir_split(client->own, COHORT_SECRET_SIZE, (unsigned)client->graph.threshold, (unsigned)count, of_own);
    cohort_commitment(client->own, client->context, commitment);
    buf_add(out, commitment, sizeof commitment);
    for (size_t i = 0; status == OK && i < count; i++) {
        memcpy(plain, of_mask + i * COHORT_SECRET_SIZE, COHORT_SECRET_SIZE);
        memcpy(plain + COHORT_SECRET_SIZE, of_own + i * COHORT_SECRET_SIZE, COHORT_SECRET_SIZE);
        status = channel_seal(client->channel, &client->self, &client->members[client->neighbours[i]], client->context,
                              plain, sealed, err);
        if (status == OK)
            buf_add(out, sealed, sizeof sealed);
    }
    OPENSSL_cleanse(of_mask, sizeof of_mask);
    OPENSSL_cleanse(of_own, sizeof of_own);
    OPENSSL_cleanse(plain, sizeof plain);
    return status;
}

static enum status deal(struct cohort_client *client, struct str roster, struct str nonce, struct buf *out,
                        struct error *err)
{
    auto_arena struct arena arena = {0};
    const struct cohort_member *members;
    struct cohort_draw draw;
    size_t count;
    if (nonce.len != 32)
        return fail(err, INVALID, NULL, "The hub's number of the draw has %zu bytes, not 32.", nonce.len);
    TRY(cohort_roster(roster, &members, &count, err));
    TRY(cohort_draw(&client->round, members, count, (const uint8_t *)nonce.data, &arena, &draw, err));
    TRY(join_cohort(client, members, &draw, err));
    TRY(check_members(client, err));
    return seal_all(client, out, err);
}

enum status cohort_client_deal(struct cohort_client *client, struct str roster, struct str nonce, struct buf *out,
                               struct error *err)
{
    TRY(check_stage(client, KEYS, err));
    client->stage = DEALT;
    return break_off(client, deal(client, roster, nonce, out, err));
}

/* Masking. */

/* A row for each neighbour: a byte, 0 or 1, and so many bytes more. */
static const uint8_t *row_of(struct str rows, size_t i, size_t size)
{
    return (const uint8_t *)rows.data + i * (1 + size);
}

static enum status check_rows(const struct cohort_client *client, struct str rows, size_t size, size_t *count,
                              struct error *err)
{
    *count = 0;
    if (rows.len != client->graph.degree * (1 + size))
        return fail(err, INVALID, NULL, "The hub's message has %zu bytes, not %zu.", rows.len,
                    client->graph.degree * (1 + size));
    for (size_t i = 0; i < client->graph.degree; i++) {
        if (*row_of(rows, i, size) > 1)
            return fail(err, INVALID, NULL, "The hub's message is malformed at neighbour %zu.", i);
        *count += *row_of(rows, i, size);
    }
    if (*count < client->graph.threshold)
        return fail(err, FORBIDDEN, "TooFewNeighbours", "The hub has heard from %zu neighbours; %zu are needed.",
                    *count, client->graph.threshold);
    return OK;
}

/* Shares that one neighbour has sealed badly are missed later, when others do; with most of them it is the hub's doing. */
static enum status open_shares(struct cohort_client *client, struct str dealt, struct error *err)
{
    size_t count, opened = 0;
    TRY(check_rows(client, dealt, COHORT_SEALED_SIZE, &count, err));
    for (size_t i = 0; i < client->graph.degree; i++) {
        const uint8_t *row = row_of(dealt, i, COHORT_SEALED_SIZE);
        client->dealt[i] = *row;
        client->opened[i] =
            *row && channel_open(client->channel, &client->self, &client->members[client->neighbours[i]],
                                 client->context, row + 1, client->shares[i], err) == OK;
        opened += client->opened[i];
    }
    return opened >= client->graph.threshold
               ? OK
               : fail(err, FORBIDDEN, "SealBroken",
                      "%zu of the %zu messages that neighbours are said to have sealed were not sealed by them.",
                      count - opened, count);
}

static enum status add_masks(struct cohort_client *client, uint32_t *numbers, struct error *err)
{
    size_t width = (size_t)client->round.width;
    struct str salt = {(const char *)client->context, COHORT_CONTEXT_SIZE};
    uint8_t key[MASK_KEY_SIZE];
    cohort_own_mask(client->own, client->context, key);
    mask_apply(key, true, numbers, width);
    for (size_t i = 0; i < client->graph.degree; i++) {
        const struct cohort_member *peer = &client->members[client->neighbours[i]];
        if (!client->dealt[i])
            continue;
        TRY(mask_pair_key(client->mask, peer->mask, salt, key, err));
        mask_apply(key, mask_adds(client->self.mask, peer->mask), numbers, width);
    }
    OPENSSL_cleanse(key, sizeof key);
    return OK;
}

static enum status check_values(const struct cohort_client *client, const int32_t *values, struct error *err)
{
    int64_t most = COHORT_VALUES + 12 * cohort_noise(&client->round);
    for (int64_t i = 0; i < client->round.width; i++)
        if (values[i] > most || values[i] < -most)
            return fail(err, INVALID, "ValueOutOfRange",
                        "Number %lld of the vector is %d, outside what a sum has room for.", (long long)i, values[i]);
    return OK;
}

static enum status mask(struct cohort_client *client, struct str dealt, const int32_t *values, struct buf *out,
                        struct error *err)
{
    size_t width = (size_t)client->round.width;
    unsigned bits = cohort_bits(&client->round, client->graph.size);
    TRY(check_values(client, values, err));
    TRY(open_shares(client, dealt, err));
    uint32_t *numbers = calloc(width + 1, sizeof *numbers);
    if (!numbers)
        abort();
    for (size_t i = 0; i < width; i++)
        numbers[i] = (uint32_t)values[i];
    enum status status = add_masks(client, numbers, err);
    if (status == OK) {
        buf_reserve(out, mask_packed(width, bits));
        mask_pack(numbers, width, bits, (uint8_t *)out->data + out->len);
        out->len += mask_packed(width, bits);
    }
    OPENSSL_cleanse(numbers, width * sizeof *numbers);
    free(numbers);
    return status;
}

enum status cohort_client_mask(struct cohort_client *client, struct str dealt, const int32_t *values, struct buf *out,
                               struct error *err)
{
    TRY(check_stage(client, DEALT, err));
    client->stage = MASKED;
    return break_off(client, mask(client, dealt, values, out, err));
}

/* Signing. */

static size_t neighbours_in(const struct cohort_client *client, const uint8_t *list)
{
    size_t count = 0;
    for (size_t i = 0; i < client->graph.degree; i++)
        count += cohort_listed(list, client->neighbours[i]);
    return count;
}

static enum status sign(struct cohort_client *client, struct str survivors, uint8_t *out, struct error *err)
{
    const struct cohort_graph *graph = &client->graph;
    const uint8_t *list = (const uint8_t *)survivors.data;
    uint8_t pair[COHORT_PAIR_SIZE];
    if (survivors.len != cohort_list_size(graph->size) ||
        (graph->size % 8 && list[survivors.len - 1] >> graph->size % 8))
        return fail(err, INVALID, NULL, "The hub's list of survivors is malformed.");
    if (!cohort_listed(list, client->at))
        return fail(err, FORBIDDEN, NULL, "The hub's list of survivors lacks this member, whose vector it has.");
    if (cohort_list_count(list, graph->size) < graph->survivors || neighbours_in(client, list) < graph->threshold)
        return fail(err, FORBIDDEN, "TooFewSurvivors",
                    "The hub names %zu survivors of a cohort of %zu: %zu are needed.",
                    cohort_list_count(list, graph->size), graph->size, graph->survivors);
    for (size_t i = 0; i < graph->degree; i++)
        if (cohort_listed(list, client->neighbours[i]) && !client->dealt[i])
            return fail(err, FORBIDDEN, NULL, "The hub names a survivor who had fallen away before.");
    memcpy(client->list, list, survivors.len);
    memcpy(pair, client->context, 32);
    sha256(survivors, pair + 32);
    TRY(client->memory.remember(client->memory.context, "list", pair, 1, err));
    cohort_sign(client->seed, STR("survivors"), client->context, survivors, out);
    return OK;
}

enum status cohort_client_sign(struct cohort_client *client, struct str survivors, uint8_t out[COHORT_SIGNATURE_SIZE],
                               struct error *err)
{
    TRY(check_stage(client, MASKED, err));
    client->stage = SIGNED;
    return break_off(client, sign(client, survivors, out, err));
}

/* Unmasking. */

static enum status check_signatures(struct cohort_client *client, struct str signatures, struct error *err)
{
    struct str list = {(const char *)client->list, cohort_list_size(client->graph.size)};
    size_t count;
    TRY(check_rows(client, signatures, COHORT_SIGNATURE_SIZE, &count, err));
    for (size_t i = 0; i < client->graph.degree; i++) {
        const uint8_t *row = row_of(signatures, i, COHORT_SIGNATURE_SIZE);
        size_t peer = client->neighbours[i];
        if (*row && (!cohort_listed(client->list, peer) ||
                     !cohort_signed(client->members[peer].identity, STR("survivors"), client->context, list, row + 1)))
            return fail(err, FORBIDDEN, "ListUnsigned",
                        "A neighbour has not signed the list of survivors that the hub has shown to this member.");
    }
    return OK;
}

static void give_shares(const struct cohort_client *client, struct buf *out)
{
    for (size_t i = 0; i < client->graph.degree; i++) {
        static const uint8_t zeros[COHORT_SECRET_SIZE];
        bool survived = cohort_listed(client->list, client->neighbours[i]);
        const uint8_t *share = client->shares[i];
        if (!client->opened[i]) {
            buf_byte(out, COHORT_NEITHER);
            buf_add(out, zeros, sizeof zeros);
            continue;
        }
        buf_byte(out, survived ? COHORT_OWN_MASK : COHORT_MASK_KEY);
        buf_add(out, survived ? share + COHORT_SECRET_SIZE : share, COHORT_SECRET_SIZE);
    }
}

/* Two sums of one round, of which one lacks a member, would give away what that member sent. So no other attempt at this round is ever
 * helped to its sum, whatever is said of how this one ends. */
static enum status settle(struct cohort_client *client, struct error *err)
{
    uint8_t pair[COHORT_PAIR_SIZE];
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)client->round.number);
    sha256(str_of(number), pair);
    memcpy(pair + 32, client->context, 32);
    return client->memory.remember(client->memory.context, "round", pair, 1, err);
}

enum status cohort_client_unmask(struct cohort_client *client, struct str signatures, struct buf *out,
                                 struct error *err)
{
    TRY(check_stage(client, SIGNED, err));
    client->stage = UNMASKED;
    TRY(break_off(client, check_signatures(client, signatures, err)));
    TRY(break_off(client, settle(client, err)));
    give_shares(client, out);
    OPENSSL_cleanse(client->shares, sizeof client->shares);
    return OK;
}

/* SPDX-License-Identifier: LGPL-3.0-or-later */
/*
 * Between two houses, after a round: was the own report in the sum? The hub alone could leave one out, before the other house ever hears of
 * it. But both houses have signed the record, which has the root of the tree over the signatures of all reports that were in it
 * (federated 2.3); so a hub that lets a report fall cannot also say that it was counted.
 */
#include "base/hash.h"
#include "base/text.h"
#include "oms/dsse.h"
#include "pact/sum.h"
#include "train/internal.h"
#include <stdio.h>

#define FILE_MOST ((size_t)8 << 20)

struct counting {
    struct cairn_federate *part;
    struct arena *arena;
    const json_t *told;
    json_t *file, *record; /* the record as both houses have signed it */
};

static enum status refuse(const struct counting *c, struct error *err, const char *why)
{
    return fail(err, FORBIDDEN, "NotCounted", "Nothing shows that the update of round %lld was counted: %s",
                (long long)c->part->sent.round, why);
}

/* By the houses that the participant knows from its first round on, the hub's first. */
static bool is_signed(const struct counting *c, const struct dsse_envelope *envelope)
{
    const uint8_t *const keys[] = {c->part->hub_key, c->part->house_key};
    bool good = envelope->count == 2 && str_eq(envelope->type, str_of(RECORD_TYPE));
    for (size_t i = 0; good && i < 2; i++)
        good = envelope->signatures[i].sig.len == PACT_SIGNATURE_SIZE &&
               pact_text_signed(keys[i], RECORD_TYPE, envelope->payload,
                                (const uint8_t *)envelope->signatures[i].sig.data);
    return good;
}

/* It lies in the commit that the round ended with, from which the next one begins. */
static enum status fetch_record(struct counting *c, struct error *err)
{
    auto_buf struct buf text = {0};
    struct dsse_envelope envelope;
    bool end = false;
    struct str path = arena_printf(c->arena, "fl/rounds/%06lld.signatures.json", (long long)c->part->sent.round);
    enum status status = ask_bytes(c->part, json_get_str(c->told, "base"), path, 0, FILE_MOST, &text, &end, err);
    if (status == NOT_FOUND)
        return refuse(c, err, "the round's record is not there.");
    TRY(status);
    if (json_read(buf_view(&text), FILE_MOST, &c->file, err) != OK ||
        dsse_read_json(c->arena, json_object_get(c->file, "record"), &envelope, err) != OK || !is_signed(c, &envelope))
        return refuse(c, err, "the round's record is not signed by both houses.");
    if (json_read(envelope.payload, FILE_MOST, &c->record, err) != OK ||
        !str_eq(json_get_str(c->record, "config"), hex_encode(c->arena, c->part->sent.ctx, SHA256_SIZE)))
        return refuse(c, err, "the record is of another round.");
    return OK;
}

/* Those who were rejected once both houses had looked; what the hub refuses when it comes, it tells the participant. */
static int64_t rejected(const struct counting *c)
{
    int64_t count = 0;
    const char *reason;
    json_t *value;
    json_object_foreach(json_object_get(c->record, "reasons"), reason, value)
    {
        count += strcmp(reason, "form") != 0 && json_is_integer(value) ? json_integer_value(value) : 0;
    }
    return count;
}

static enum status look(struct counting *c, struct error *err)
{
    auto_buf struct buf list = {0};
    uint8_t root[SHA256_SIZE];
    char path[64];
    struct cairn_federate *part = c->part;
    snprintf(path, sizeof path, "/reports?round=%lld", (long long)part->sent.round);
    enum status status = ask_piece(part, path, &list, err);
    if (status == NOT_FOUND)
        return refuse(c, err, "the hub does not show which reports were.");
    TRY(status);
    const uint8_t(*signatures)[PACT_SIGNATURE_SIZE] = (const void *)list.data;
    size_t count = list.len / PACT_SIGNATURE_SIZE, at = 0;
    reports_root(signatures, count, root);
    if (list.len % PACT_SIGNATURE_SIZE ||
        !str_eq(json_get_str(c->record, "reports"), hex_encode(c->arena, root, sizeof root)))
        return refuse(c, err, "the list that the hub shows is not the one that both houses have signed.");
    while (at < count && memcmp(signatures[at], part->sent.signature, PACT_SIGNATURE_SIZE) != 0)
        at++;
    if (at == count && rejected(c) == 0)
        return refuse(c, err, "the hub has taken it, and neither is it in the sum, nor was any rejected.");
    if (at == count)
        tell(part, "Round %lld: the update is not in the sum; %lld were rejected by the houses",
             (long long)part->sent.round, (long long)rejected(c));
    else
        tell(part, "Round %lld: the update is in the sum, as both houses have signed", (long long)part->sent.round);
    return OK;
}

enum status check_counted(struct cairn_federate *part, const json_t *told, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct counting c = {.part = part, .arena = &arena, .told = told};
    enum status status = fetch_record(&c, err);
    if (status == OK)
        status = look(&c, err);
    json_release(&c.file);
    json_release(&c.record);
    part->sent.round = 0;
    if (status != OK)
        tell(part, "%s", err->message);
    return status;
}

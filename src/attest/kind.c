/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest/internal.h"
#include "base/text.h"

#define TEXT_MOST 256

const struct event_kind attest_events[] = {
    [EVENT_SIGNER_ADD] = {"signer.add", 1},
    [EVENT_SIGNER_REVOKE] = {"signer.revoke", 1},
    [EVENT_APPROVAL] = {"approval", 1},
    [EVENT_RELEASE] = {"release", 1},
    [EVENT_EVALUATION] = {"evaluation", 1},
    [EVENT_DEPLOYMENT] = {"deployment", 1},
    {0},
};

static const struct statement_kind *const kinds[] = {&approval_kind, &release_kind, &evaluation_kind, &deployment_kind,
                                                     &lineage_kind};
#define KINDS (sizeof kinds / sizeof *kinds)

const struct statement_kind *kind_of_predicate(struct str predicate_type)
{
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < 2 && kinds[i]->predicate_types[j]; j++)
            if (str_eq(predicate_type, str_of(kinds[i]->predicate_types[j])))
                return kinds[i];
    return NULL;
}

const struct statement_kind *kind_of_event(struct str name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (str_eq(name, str_of(kinds[i]->event->name)))
            return kinds[i];
    return NULL;
}

/* What the kinds' check() functions share. */

enum status said_manifest(struct said *said, uint64_t *index, struct str *dir_hash, struct error *err)
{
    struct request *rq = said->rq;
    auto_json json_t *body = NULL;
    struct prov_entry entry;
    request_done_reading(rq);
    TRY(record_manifest_soon(rq->hub, &rq->repo, &said->commit, index, err));
    TRY(request_read(rq, err));
    TRY(prov_entry_at(rq->db, rq->arena, rq->repo.id, *index, &entry, err));
    TRY(json_read(entry.body, entry.body.len, &body, err));
    struct str found = json_get_str(body, "dirHash1");
    if (!str_given(found))
        return fail(err, CORRUPT, NULL, "Entry %llu of the log is not the manifest that it should be.",
                    (unsigned long long)*index);
    *dir_hash = arena_copy(rq->arena, found);
    return OK;
}

enum status said_text(const struct said *said, const char *member, struct str *out, struct error *err)
{
    const json_t *value = json_object_get(said->statement.predicate, member);
    *out = (struct str){0};
    if (!value)
        return OK;
    if (json_is_string(value) && json_string_length(value) >= 1 && json_string_length(value) <= TEXT_MOST) {
        *out = json_get_str(said->statement.predicate, member);
        return OK;
    }
    return fail(err, UNPROCESSABLE, NULL, "The predicate's \"%s\" should be a text of 1 to %d bytes.", member,
                TEXT_MOST);
}

enum status said_word(const struct said *said, const char *member, const char *words, struct str *out,
                      struct error *err)
{
    struct str rest = str_of(words), word;
    TRY(said_text(said, member, out, err));
    if (!str_given(*out))
        return OK;
    while (str_cut(&rest, ' ', &word))
        if (str_eq(word, *out))
            return OK;
    return fail(err, UNPROCESSABLE, NULL, "The predicate's \"%s\" should be one of: %s.", member, words);
}

enum status said_index(const struct said *said, const char *member, int64_t *out, struct error *err)
{
    const json_t *value = json_object_get(said->statement.predicate, member);
    *out = -1;
    if (!value)
        return OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fail(err, UNPROCESSABLE, NULL, "The predicate's \"%s\" should be the index of an entry of the log.",
                    member);
    *out = json_integer_value(value);
    return OK;
}

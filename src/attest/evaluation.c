/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Evaluations: what came out of a test, with the digests of what was used for it. The log says who claims it, not that
 * it is so. */
#include "attest/internal.h"
#include "attest/member_text.h"
#include "base/text.h"
#include "leaf/leaf_type.h"

struct evaluation {
    struct str metrics; /* digest of the predicate's text as it was signed */
    struct str parts[3];
};

static const char *const part_names[] = {"suite", "data", "harness"};
#define PARTS (sizeof part_names / sizeof *part_names)

static enum status read_part(const json_t *descriptor, struct evaluation *own, struct error *err)
{
    struct str name = json_get_str(descriptor, "name");
    struct str digest = json_get_str(json_object_get(descriptor, "digest"), "sha256");
    for (size_t i = 0; i < PARTS; i++) {
        if (!str_eq(name, str_of(part_names[i])) || !str_given(digest))
            continue;
        if (str_given(own->parts[i]) || !leaf_is_hex(digest, 2 * SHA256_SIZE))
            return fail(
                err, UNPROCESSABLE, NULL,
                "The predicate's \"configuration\" should name the %s once, with a \"sha256\" of 64 hex digits.",
                part_names[i]);
        own->parts[i] = digest;
    }
    return OK;
}

static enum status check(struct said *said, struct error *err)
{
    struct arena *arena = said->rq->arena;
    struct evaluation *own = said->own = arena_alloc(arena, sizeof *own);
    const json_t *configuration = json_object_get(said->statement.predicate, "configuration");
    struct str result, text = member_text(said->payload, STR("predicate"));
    uint8_t digest[SHA256_SIZE];
    TRY(said_word(said, "result", "PASSED WARNED FAILED", &result, err));
    if (!str_given(result) || !json_is_array(configuration))
        return fail(err, UNPROCESSABLE, NULL,
                    "A test result needs \"result\" (PASSED, WARNED or FAILED) and \"configuration\", a list.");
    if (!str_given(text))
        return fail(err, UNPROCESSABLE, NULL, "The statement should spell \"predicate\" without escapes.");
    for (size_t i = 0; i < json_array_size(configuration); i++)
        TRY(read_part(json_array_get(configuration, i), own, err));
    sha256(text, digest);
    own->metrics = hex_encode(arena, digest, sizeof digest);
    return OK;
}

static enum status write(struct said *said, struct db_conn *tx, struct json_writer *w, struct error *err)
{
    (void)tx, (void)err;
    const struct evaluation *own = said->own;
    jw_key_str(w, "metrics", own->metrics);
    for (size_t i = 0; i < PARTS; i++)
        if (str_given(own->parts[i]))
            jw_key_str(w, part_names[i], own->parts[i]);
    jw_key_str(w, "result", json_get_str(said->statement.predicate, "result"));
    return OK;
}

const struct statement_kind evaluation_kind = {
    .predicate_types = {TEST_RESULT_PREDICATE},
    .event = &attest_events[EVENT_EVALUATION],
    .action = ACT_WRITE,
    .most = EVIDENCE_STATEMENT_MOST,
    .shown = "result metrics suite data harness",
    .check = check,
    .write = write,
};

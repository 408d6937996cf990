/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tlog/proof.h"

#include "base/text.h"
#include "tlog/text.h"

#include <assert.h>

#define FIRST_LINE STR("c2sp.org/tlog-proof@v1")
#define EXTRA STR("extra ")
#define INDEX STR("index ")

enum status proof_write(struct buf *out, const struct proof *proof, struct error *err)
{
    assert(proof->index <= INT64_MAX);
    if (proof->extra.len > PROOF_MOST || proof->checkpoint.len > PROOF_MOST)
        return fail(err, TOO_LARGE, NULL, "What goes with the proof is over %d bytes.", PROOF_MOST);
    auto_buf struct buf text = {0};
    buf_str(&text, FIRST_LINE);
    buf_byte(&text, '\n');
    if (proof->extra.len) {
        buf_str(&text, EXTRA);
        tlog_base64(&text, proof->extra.data, proof->extra.len);
        buf_byte(&text, '\n');
    }
    buf_printf(&text, "index %llu\n", (unsigned long long)proof->index);
    tlog_path_write(&text, &proof->path);
    buf_str(&text, proof->checkpoint);
    if (text.len > PROOF_MOST)
        return fail(err, TOO_LARGE, NULL, "The proof has %zu bytes; %d are allowed.", text.len, PROOF_MOST);
    buf_str(out, buf_view(&text));
    return OK;
}

static enum status malformed(const char *what, struct error *err)
{
    return fail(err, INVALID, NULL, "This is not a proof that an entry is in a log: %s.", what);
}

enum status proof_parse(struct arena *arena, struct str bytes, struct proof *out, struct error *err)
{
    struct str rest = bytes, line;
    *out = (struct proof){0};
    if (bytes.len > PROOF_MOST)
        return fail(err, TOO_LARGE, NULL, "The proof has %zu bytes; %d are allowed.", bytes.len, PROOF_MOST);
    if (!tlog_line(&rest, &line) || !str_eq(line, FIRST_LINE) || !tlog_line(&rest, &line))
        return malformed("it does not begin with c2sp.org/tlog-proof@v1", err);
    if (str_starts(line, EXTRA) && (!base64_decode(arena, str_from(line, EXTRA.len), &out->extra) ||
                                    out->extra.len == 0 || !tlog_line(&rest, &line)))
        return malformed("the line \"extra\" has no data in base64", err);
    if (!str_starts(line, INDEX) || !tlog_decimal(str_from(line, INDEX.len), &out->index))
        return malformed("the line \"index\" is missing or has no decimal", err);
    if (!tlog_path_parse(&rest, &out->path))
        return malformed("its hashes are not at most 63 lines of base64 with an empty line behind them", err);
    if (rest.len == 0)
        return malformed("the checkpoint is missing", err);
    out->checkpoint = arena_copy(arena, rest);
    return OK;
}

enum status proof_verify(struct arena *arena, const struct proof *proof, struct str entry, const struct policy *policy,
                         const struct note_verifier *log, struct policy_verdict *out, struct error *err)
{
    TRY(policy_check(arena, policy, log, proof->checkpoint, out, err));
    struct tlog_hash leaf = tlog_leaf_hash(entry);
    if (!tlog_includes(proof->index, out->checkpoint.size, &leaf, &out->checkpoint.root, &proof->path))
        return fail(
            err, UNPROCESSABLE, NULL,
            "The proof does not show that the entry is number %llu of the %llu in the log %.*s: the entry or the "
            "proof was changed, or they do not belong together.",
            (unsigned long long)proof->index, (unsigned long long)out->checkpoint.size,
            STR_ARG(out->checkpoint.origin));
    return OK;
}

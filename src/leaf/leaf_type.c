/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "leaf/leaf_type.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Words that provenance 3.2 lists are here even where nothing writes them yet, so that today's readers know them. */
static const struct leaf_type types[] = {
    {"access-batch",
     SCOPE_HUB,
     {{"count", LEAF_COUNT},
      {"denied", LEAF_COUNT},
      {"first", LEAF_COUNT},
      {"last", LEAF_COUNT},
      {"root", LEAF_HEX, .digits = 64}}},
    {"access-decision",
     SCOPE_EITHER,
     {{"basis", LEAF_WORD, .words = "appeal board clock holder import owner review rule"},
      {"decision", LEAF_WORD,
       .words = "appeal-dismissed appeal-upheld appeal-varied block deny expire grant recall remand renew restore "
                "revoke slow "
                "strike surrender suspend unblock void warn withdraw"},
      {"expires", LEAF_COUNT, .optional = true},
      {"policy", LEAF_HEX, .optional = true, .digits = 64},
      {"role", LEAF_WORD, .optional = true, .words = "admin read write"}}},
    {"access-policy",
     SCOPE_EITHER,
     {{"after", LEAF_HEX, .optional = true, .digits = 64},
      {"before", LEAF_HEX, .optional = true, .digits = 64},
      {"gated", LEAF_FLAG},
      {"what", LEAF_WORD, .words = "policy seed state terms"}}},
    {"approval",
     SCOPE_REPO,
     {{"decision", LEAF_WORD, .words = "approve reject withdraw"},
      {"have", LEAF_COUNT},
      {"required", LEAF_COUNT},
      {"role", LEAF_WORD, .words = "admin read write"},
      {"subject", LEAF_COUNT}}},
    {"bom", SCOPE_REPO, {{"digest", LEAF_HEX, .digits = 64}, {"format", LEAF_WORD, .words = "cyclonedx spdx"}}},
    {"commit",
     SCOPE_REPO,
     {{"files", LEAF_COUNT, .optional = true},
      {"force", LEAF_FLAG, .optional = true},
      {"new", LEAF_HEX, .optional = true, .digits = 40},
      {"old", LEAF_HEX, .optional = true, .digits = 40},
      {"op", LEAF_WORD, .words = "api create delete merge push squash"},
      {"protected", LEAF_FLAG}}},
    {"deployment",
     SCOPE_REPO,
     {{"approval", LEAF_COUNT, .optional = true},
      {"config", LEAF_HEX, .optional = true, .digits = 64},
      {"env", LEAF_WORD, .words = "dev edge prod staging"},
      {"hardware", LEAF_WORD, .optional = true, .words = "cpu gpu npu other tpu"},
      {"id", LEAF_HEX, .digits = 32},
      {"manifest", LEAF_HEX, .digits = 64},
      {"phase", LEAF_WORD, .words = "heartbeat start stop"},
      {"region", LEAF_CODE, .optional = true, .digits = 2},
      {"runtime", LEAF_HEX, .optional = true, .digits = 64},
      {"tee", LEAF_HEX, .optional = true, .digits = 64}}},
    {"epoch",
     SCOPE_HUB,
     {{"build", LEAF_HEX, .digits = 64},
      {"checkpoint", LEAF_HEX, .digits = 64},
      {"config", LEAF_HEX, .optional = true, .digits = 64},
      {"policy", LEAF_HEX, .optional = true, .digits = 64}}},
    {"erasure",
     SCOPE_HUB,
     {{"count", LEAF_COUNT}, {"digest", LEAF_HEX, .digits = 64}, {"reason", LEAF_WORD, .words = "law order request"}}},
    {"evaluation",
     SCOPE_REPO,
     {{"data", LEAF_HEX, .optional = true, .digits = 64},
      {"harness", LEAF_HEX, .optional = true, .digits = 64},
      {"metrics", LEAF_HEX, .digits = 64},
      {"suite", LEAF_HEX, .optional = true, .digits = 64}}},
    {"federated-round",
     SCOPE_REPO,
     {{"accepted", LEAF_COUNT},
      {"base", LEAF_HEX, .digits = 64},
      {"blake3", LEAF_HEX, .optional = true, .digits = 64},
      {"mode", LEAF_WORD, .words = "one-house plain two-houses"},
      {"noise", LEAF_COUNT, .optional = true},
      {"record", LEAF_HEX, .digits = 64},
      {"rejected", LEAF_COUNT},
      {"result", LEAF_HEX, .digits = 64},
      {"round", LEAF_COUNT},
      {"rule", LEAF_WORD,
       .words = "bulyan centred-clipping geometric-median krum mean meamed median multi-krum trimmed-mean"},
      {"run", LEAF_HEX, .digits = 32}}},
    {"key",
     SCOPE_HUB,
     {{"digest", LEAF_HEX, .digits = 64},
      {"op", LEAF_WORD, .words = "add revoke rotate"},
      {"use", LEAF_WORD, .words = "hub log user witness"}}},
    {"lineage",
     SCOPE_REPO,
     {{"grade", LEAF_WORD, .words = "bytes countersigned declared reproduced signed statistical"},
      {"parent", LEAF_HEX, .digits = 64},
      {"rel", LEAF_WORD, .optional = true, .words = "adapter converted distilled finetune merge quantized"},
      {"weight", LEAF_COUNT, .optional = true}}},
    {"manifest",
     SCOPE_REPO,
     {{"bytes", LEAF_COUNT},
      {"dirHash1", LEAF_HEX, .digits = 64},
      {"files", LEAF_COUNT},
      {"omsRoot", LEAF_HEX, .digits = 64},
      {"omsRootAlt", LEAF_HEX, .optional = true, .digits = 64},
      {"tensorRoot", LEAF_HEX, .optional = true, .digits = 64}}},
    {"release",
     SCOPE_REPO,
     {{"channel", LEAF_WORD, .words = "alpha beta dev preview stable"},
      {"manifest", LEAF_COUNT},
      {"supersedes", LEAF_COUNT, .optional = true}}},
    {"repo",
     SCOPE_REPO,
     {{"approvals", LEAF_COUNT, .optional = true},
      {"archived", LEAF_FLAG, .optional = true},
      {"gated", LEAF_WORD, .optional = true, .words = "auto manual none"},
      {"kind", LEAF_WORD, .optional = true, .words = "dataset model space"},
      {"op", LEAF_WORD, .words = "create delete protect rename restore settings transfer visibility"},
      {"visibility", LEAF_WORD, .optional = true, .words = "private public"},
      {"xet", LEAF_FLAG, .optional = true}}},
    {"repo-heads", SCOPE_HUB, {{"count", LEAF_COUNT}, {"covers", LEAF_COUNT}, {"root", LEAF_HEX, .digits = 64}}},
    {"tier",
     SCOPE_HUB,
     {{"basis", LEAF_WORD, .optional = true, .words = "application board clock holder payment rule"},
      {"digest", LEAF_HEX, .digits = 64},
      {"op", LEAF_WORD,
       .words = "activate apply downgrade fund grace lift pay publish refuse share suspend verify warn withdraw"}}},
    {"void", SCOPE_EITHER, {{"index", LEAF_COUNT}}},
};

const char *const leaf_auth_names[] = {"hub-asserted", "oidc", "ssh", "token", "user-signed", NULL};

const struct leaf_type *leaf_type_find(struct str name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(name, str_of(types[i].name)))
            return &types[i];
    return NULL;
}

int leaf_member_find(const struct leaf_type *type, struct str name)
{
    for (int i = 0; type->members[i].name; i++)
        if (str_eq(name, str_of(type->members[i].name)))
            return i;
    return -1;
}

bool leaf_is_hex(struct str text, size_t digits)
{
    if (text.len != digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        if ((text.data[i] < '0' || text.data[i] > '9') && (text.data[i] < 'a' || text.data[i] > 'f'))
            return false;
    return true;
}

bool leaf_is_code(struct str text, size_t letters)
{
    if (text.len != letters)
        return false;
    for (size_t i = 0; i < letters; i++)
        if (text.data[i] < 'A' || text.data[i] > 'Z')
            return false;
    return true;
}

void leaf_time(int64_t seconds, char out[21])
{
    struct tm tm;
    time_t time = seconds;
    char text[96];
    if (!gmtime_r(&time, &tm))
        abort();
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, 20);
    out[20] = '\0';
}

static bool is_one_of(struct str text, const char *words)
{
    struct str rest = str_of(words), word;
    while (str_cut(&rest, ' ', &word))
        if (str_eq(text, word))
            return true;
    return false;
}

static bool is_in_range(int64_t number, int64_t limit)
{
    return number >= 0 && number < limit;
}

static bool is_allowed(const struct leaf_member *member, const struct leaf_value *value)
{
    if (!value->given)
        return member->optional;
    switch (member->kind) {
    case LEAF_WORD:
        return is_one_of(value->text, member->words);
    case LEAF_HEX:
        return leaf_is_hex(value->text, member->digits);
    case LEAF_CODE:
        return leaf_is_code(value->text, member->digits);
    case LEAF_COUNT:
        return is_in_range(value->number, LEAF_INTEGER_LIMIT);
    case LEAF_FLAG:
        return is_in_range(value->number, 2);
    }
    return false;
}

static enum status bad(struct error *err, const char *member)
{
    return fail(err, INVALID, NULL, "This is not a leaf of the log: \"%s\" is missing, or is not what its type allows.",
                member);
}

static enum status check_body(const struct leaf_type *type, const struct leaf *leaf, struct error *err)
{
    for (int i = 0; type->members[i].name; i++)
        if (!is_allowed(&type->members[i], &leaf->body[i]))
            return bad(err, type->members[i].name);
    bool fits = type->scope == SCOPE_EITHER || leaf->of_repo == (type->scope == SCOPE_REPO);
    return fits ? OK : bad(err, "repo");
}

static bool is_field(struct str field)
{
    for (size_t i = 0; i < field.len; i++)
        if (field.data[i] < 'a' || field.data[i] > 'z')
            return false;
    return field.len > 0 && field.len <= 32;
}

static bool is_subject(const struct leaf_subject *subject)
{
    size_t digits = is_one_of(subject->algorithm, "gitCommit gitTree") ? 40 : 64;
    return is_one_of(subject->algorithm, "dirHash1 gitCommit gitTree omsRoot sha256") &&
           leaf_is_hex(subject->digest, digits);
}

enum status leaf_check(const struct leaf *leaf, struct error *err)
{
    static const uint8_t zeros[SHA256_SIZE];
    const struct leaf_type *type = leaf_type_find(leaf->type);
    if (type)
        TRY(check_body(type, leaf, err));
    if (!is_in_range(leaf->at, LEAF_TIME_LIMIT))
        return bad(err, "ts");
    if (leaf->of_repo && leaf->rseq >= LEAF_INTEGER_LIMIT)
        return bad(err, "rseq");
    if (leaf->of_repo && leaf->rseq == 0 && memcmp(leaf->previous, zeros, sizeof zeros) != 0)
        return bad(err, "rprev");
    if (leaf->auth != LEAF_HUB_ASSERTED && !leaf->has_evidence)
        return bad(err, "ev");
    for (size_t i = 0; i < leaf->subject_count; i++)
        if (!is_subject(&leaf->subjects[i]))
            return bad(err, "subj");
    for (size_t i = 0; i < leaf->commitment_count; i++)
        if (!is_field(leaf->commitments[i].field))
            return bad(err, "com");
    return OK;
}

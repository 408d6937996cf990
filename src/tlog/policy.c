/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Reading policy files. */
#include "tlog/policy.h"

#include "tlog/text.h"

#define NO_QUORUM (-1)

/* A file that is being read, line by line. */
struct reader {
    struct arena *arena;
    struct policy *policy;
    size_t log_room, party_room; /* capacities of the arrays */
    int quorum;                  /* place of the party, or NO_QUORUM */
    bool quorum_given;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes the next word off the line; an empty one at its end. */
static struct str word(struct str *line)
{
    while (line->len && is_blank(line->data[0]))
        *line = str_from(*line, 1);
    size_t len = 0;
    while (len < line->len && !is_blank(line->data[len]))
        len++;
    struct str found = str_slice(*line, 0, len);
    *line = str_from(*line, len);
    return found;
}

static int party_find(const struct policy *policy, struct str name)
{
    for (size_t i = 0; i < policy->party_count; i++)
        if (str_eq(policy->parties[i].name, name))
            return (int)i;
    return -1;
}

/* The same key twice would give one signature two voices. Of ML-DSA keys, which have none, the bytes are not kept. */
static bool same_key(const struct note_verifier *a, const struct note_verifier *b)
{
    return a->kind != NOTE_ML_DSA && b->kind != NOTE_ML_DSA &&
           memcmp(a->public_key, b->public_key, sizeof a->public_key) == 0;
}

/* What may follow a key: a URL, and nothing else. */
static enum status url_read(struct reader *reader, struct str line, struct str *out, struct error *err)
{
    struct str url = word(&line);
    if (word(&line).len)
        return fail(err, INVALID, NULL, "Something stands behind the URL, where nothing may.");
    *out = url.len ? arena_copy(reader->arena, url) : (struct str){NULL, 0};
    return OK;
}

static enum status log_read(struct reader *reader, struct str line, struct error *err)
{
    struct policy *policy = reader->policy;
    struct policy_log log;
    if (policy->log_count == POLICY_LOGS_MOST)
        return fail(err, INVALID, NULL, "There are more than %d logs.", POLICY_LOGS_MOST);
    TRY(note_verifier_parse(reader->arena, word(&line), &log.verifier, err));
    if (log.verifier.kind == NOTE_COSIGNATURE)
        return fail(err, INVALID, NULL, "The key is a witness's (kind 4), not a log's (kind 1).");
    for (size_t i = 0; i < policy->log_count; i++)
        if (same_key(&policy->logs[i].verifier, &log.verifier))
            return fail(err, INVALID, NULL, "Another log has the same key.");
    TRY(url_read(reader, line, &log.url, err));
    policy->logs = array_room(reader->arena, policy->logs, policy->log_count, &reader->log_room, sizeof log);
    policy->logs[policy->log_count++] = log;
    return OK;
}

/* Begins a witness or group with its name. */
static enum status party_read(struct reader *reader, struct str *line, struct policy_party *out, struct error *err)
{
    *out = (struct policy_party){.name = word(line), .group = -1};
    if (out->name.len == 0 || str_eq(out->name, STR("none")))
        return fail(err, INVALID, NULL, "A witness or group needs a name, which may not be \"none\".");
    if (party_find(reader->policy, out->name) >= 0)
        return fail(err, INVALID, NULL, "The name %.*s is taken by a line above.", STR_ARG(out->name));
    if (reader->policy->party_count == POLICY_PARTIES_MOST)
        return fail(err, INVALID, NULL, "There are more than %d witnesses and groups.", POLICY_PARTIES_MOST);
    out->name = arena_copy(reader->arena, out->name);
    return OK;
}

static void party_add(struct reader *reader, const struct policy_party *party)
{
    struct policy *policy = reader->policy;
    policy->parties =
        array_room(reader->arena, policy->parties, policy->party_count, &reader->party_room, sizeof *party);
    policy->parties[policy->party_count++] = *party;
}

static enum status witness_read(struct reader *reader, struct str line, struct error *err)
{
    struct policy *policy = reader->policy;
    struct policy_party party;
    TRY(party_read(reader, &line, &party, err));
    TRY(note_verifier_parse(reader->arena, word(&line), &party.verifier, err));
    if (party.verifier.kind == NOTE_ED25519)
        return fail(err, INVALID, NULL, "The key is a log's (kind 1), not a witness's (kind 4).");
    for (size_t i = 0; i < policy->party_count; i++)
        if (!policy->parties[i].is_group && same_key(&policy->parties[i].verifier, &party.verifier))
            return fail(err, INVALID, NULL, "The witness %.*s has the same key.", STR_ARG(policy->parties[i].name));
    TRY(url_read(reader, line, &party.url, err));
    party_add(reader, &party);
    return OK;
}

static enum status group_read(struct reader *reader, struct str line, struct error *err)
{
    struct policy *policy = reader->policy;
    struct policy_party party;
    TRY(party_read(reader, &line, &party, err));
    struct str needed = word(&line), name;
    uint64_t members = 0, number;
    while ((name = word(&line)).len) {
        int member = party_find(policy, name);
        if (member < 0)
            return fail(err, INVALID, NULL, "No line above defines the member %.*s.", STR_ARG(name));
        if (policy->parties[member].group >= 0)
            return fail(err, INVALID, NULL, "The party %.*s is a member of a group already.", STR_ARG(name));
        policy->parties[member].group = (int)policy->party_count;
        members++;
    }
    if (str_eq(needed, STR("any")))
        number = 1;
    else if (str_eq(needed, STR("all")))
        number = members;
    else if (!tlog_decimal(needed, &number))
        return fail(err, INVALID, NULL, "Behind the name of a group should stand \"any\", \"all\" or a number.");
    if (number == 0 || number > members)
        return fail(err, INVALID, NULL, "A group needs members, and between 1 and all of them must be asked for.");
    party.is_group = true;
    party.needed = (unsigned)number;
    party_add(reader, &party);
    return OK;
}

static enum status quorum_read(struct reader *reader, struct str line, struct error *err)
{
    struct str name = word(&line);
    if (reader->quorum_given)
        return fail(err, INVALID, NULL, "A line above gives the quorum already.");
    if (name.len == 0 || word(&line).len)
        return fail(err, INVALID, NULL, "The quorum is one name, or \"none\".");
    reader->quorum = str_eq(name, STR("none")) ? NO_QUORUM : party_find(reader->policy, name);
    if (reader->quorum < 0 && !str_eq(name, STR("none")))
        return fail(err, INVALID, NULL, "No line above defines the quorum %.*s.", STR_ARG(name));
    reader->quorum_given = true;
    return OK;
}

static enum status line_read(struct reader *reader, struct str line, struct error *err)
{
    static const struct {
        const char *word;
        enum status (*read)(struct reader *reader, struct str line, struct error *err);
    } kinds[] = {{"log", log_read}, {"witness", witness_read}, {"group", group_read}, {"quorum", quorum_read}};
    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.data[i] < ' ' && line.data[i] != '\t') || line.data[i] == 0x7F)
            return fail(err, INVALID, NULL, "There is a control character; lines end in a newline alone.");
    struct str first = word(&line);
    if (first.len == 0 || first.data[0] == '#')
        return OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eq(first, str_of(kinds[i].word)))
            return kinds[i].read(reader, line, err);
    return fail(err, INVALID, NULL, "A line begins with log, witness, group, quorum or #.");
}

enum status policy_parse(struct arena *arena, struct str text, struct policy *out, struct error *err)
{
    if (text.len > POLICY_MOST)
        return fail(err, TOO_LARGE, NULL, "The policy has %zu bytes; %d are allowed.", text.len, POLICY_MOST);
    *out = (struct policy){0};
    struct reader reader = {arena, out, 0, 0, NO_QUORUM, false};
    struct str line;
    for (unsigned number = 1; tlog_line(&text, &line); number++) {
        struct error why = {0};
        enum status status = line_read(&reader, line, &why);
        if (status != OK)
            return fail(err, status, NULL, "Line %u of the policy: %s", number, why.message);
    }
    if (text.len)
        return fail(err, INVALID, NULL, "The policy does not end in a newline: it may have been cut.");
    if (!reader.quorum_given)
        return fail(err, INVALID, NULL, "The policy has no quorum line; \"quorum none\" asks for no witnesses.");
    out->quorum = reader.quorum == NO_QUORUM ? NULL : &out->parties[reader.quorum];
    return OK;
}

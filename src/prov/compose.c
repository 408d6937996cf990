/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/compose.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include <assert.h>

#define BODY_LIMIT (1024 * 1024)

struct source {
    struct arena *arena;
    const json_t *body;
};

static struct str text(const struct source *from, const char *key)
{
    struct str found = json_get_str(from->body, key);
    return str_given(found) ? arena_copy(from->arena, found) : found;
}

static void copy_flag(const struct source *from, const char *key, struct leaf *leaf, const char *member)
{
    const json_t *value = json_object_get(from->body, key);
    if (json_is_boolean(value))
        leaf_set_number(leaf, member, json_is_true(value));
}

static void keep_secret(struct composition *out, const char *field, struct str value)
{
    if (!str_given(value))
        return;
    assert(out->secret_count < sizeof out->secrets / sizeof *out->secrets);
    out->secrets[out->secret_count].field = field;
    out->secrets[out->secret_count++].value = value;
}

/* Repos. */

static void repo_create(const struct source *from, struct composition *out)
{
    struct str head = text(from, "new");
    out->leaf.type = STR("repo");
    leaf_set_text(&out->leaf, "op", STR("create"));
    leaf_set_text(&out->leaf, "kind", text(from, "kind"));
    leaf_set_text(&out->leaf, "visibility", text(from, "visibility"));
    if (str_given(head))
        leaf_add_subject(&out->leaf, "gitCommit", head);
    keep_secret(out, "name", text(from, "name"));
    keep_secret(out, "ref", text(from, "ref"));
}

static void repo_delete(const struct source *from, struct composition *out)
{
    out->leaf.type = STR("repo");
    leaf_set_text(&out->leaf, "op", STR("delete"));
    leaf_set_text(&out->leaf, "kind", text(from, "kind"));
}

static void repo_move(const struct source *from, struct composition *out)
{
    struct str before = text(from, "from"), after = text(from, "to"), old_owner, new_owner, rest = before;
    str_cut(&rest, '/', &old_owner);
    rest = after;
    str_cut(&rest, '/', &new_owner);
    bool same = str_given(before) && str_given(after) && str_eq_nocase(old_owner, new_owner);
    out->leaf.type = STR("repo");
    leaf_set_text(&out->leaf, "op", same ? STR("rename") : STR("transfer"));
    leaf_set_text(&out->leaf, "kind", text(from, "kind"));
    keep_secret(out, "name", after);
}

static void repo_settings(const struct source *from, struct composition *out)
{
    struct str visibility = text(from, "visibility"), gated = text(from, "gated");
    out->leaf.type = STR("repo");
    leaf_set_text(&out->leaf, "op", str_given(visibility) ? STR("visibility") : STR("settings"));
    leaf_set_text(&out->leaf, "visibility", visibility);
    leaf_set_text(&out->leaf, "gated", str_given(gated) && gated.len == 0 ? STR("none") : gated);
    copy_flag(from, "xetEnabled", &out->leaf, "xet");
}

/* Refs. No ref is protected yet. */

static void ref_leaf(const struct source *from, struct composition *out, struct str op)
{
    out->leaf.type = STR("commit");
    leaf_set_text(&out->leaf, "op", op);
    leaf_set_text(&out->leaf, "old", text(from, "old"));
    leaf_set_text(&out->leaf, "new", text(from, "new"));
    leaf_set_number(&out->leaf, "protected", 0);
    keep_secret(out, "ref", text(from, "ref"));
}

static void ref_create(const struct source *from, struct composition *out)
{
    ref_leaf(from, out, STR("create"));
    leaf_set_number(&out->leaf, "force", str_given(text(from, "old")));
}

static void ref_delete(const struct source *from, struct composition *out)
{
    ref_leaf(from, out, STR("delete"));
}

/* Whether the old commit is an ancestor of the new one is left out while the event does not tell. */
static void commit(const struct source *from, struct composition *out)
{
    struct str new = text(from, "new");
    ref_leaf(from, out, json_get_bool(from->body, "squash", false) ? STR("squash") : STR("api"));
    copy_flag(from, "squash", &out->leaf, "force");
    leaf_set_number(&out->leaf, "files",
                    json_get_int(from->body, "added", 0) + json_get_int(from->body, "changed", 0) +
                        json_get_int(from->body, "removed", 0));
    if (str_given(new))
        leaf_add_subject(&out->leaf, "gitCommit", new);
}

/* Keys that people hold. */

static void key_leaf(const struct source *from, struct composition *out, struct str op)
{
    out->leaf.type = STR("key");
    leaf_set_text(&out->leaf, "op", op);
    leaf_set_text(&out->leaf, "use", STR("user"));
    out->token_id = text(from, "public_id");
    out->owner_id = json_get_int(from->body, "user", out->actor_id);
}

static void key_create(const struct source *from, struct composition *out)
{
    key_leaf(from, out, STR("add"));
}

static void key_revoke(const struct source *from, struct composition *out)
{
    key_leaf(from, out, STR("revoke"));
}

/* What the log says of itself. */

static void log_heads(const struct source *from, struct composition *out)
{
    out->leaf.type = STR("repo-heads");
    leaf_set_number(&out->leaf, "count", json_get_int(from->body, "count", -1));
    leaf_set_number(&out->leaf, "covers", json_get_int(from->body, "covers", -1));
    leaf_set_text(&out->leaf, "root", text(from, "root"));
}

static void log_epoch(const struct source *from, struct composition *out)
{
    out->leaf.type = STR("epoch");
    leaf_set_text(&out->leaf, "build", text(from, "build"));
    leaf_set_text(&out->leaf, "checkpoint", text(from, "checkpoint"));
    leaf_set_text(&out->leaf, "config", text(from, "config"));
    leaf_set_text(&out->leaf, "policy", text(from, "policy"));
}

static const struct {
    const char *kind;
    int version;
    void (*compose)(const struct source *from, struct composition *out); /* NULL: no leaf */
} kinds[] = {
    {"account.create", 1, NULL},     {"commit", 1, commit},
    {"key.create", 1, key_create},   {"key.revoke", 1, key_revoke},
    {"log.epoch", 1, log_epoch},     {"log.heads", 1, log_heads},
    {"member.set", 1, NULL},         {"org.default_private", 1, NULL},
    {"ref.create", 1, ref_create},   {"ref.delete", 1, ref_delete},
    {"repo.create", 1, repo_create}, {"repo.delete", 1, repo_delete},
    {"repo.move", 1, repo_move},     {"repo.settings", 1, repo_settings},
};

static enum status unknown(const struct change *change, struct error *err)
{
    return fail(
        err, INTERNAL, NULL,
        "Event %lld (%.*s, version %lld) cannot be logged: this program does not know how, so nothing is changed. "
        "Run the version of Cairn that wrote it, or a newer one.",
        (long long)change->id, STR_ARG(change->kind), (long long)change->version);
}

enum status compose(struct arena *arena, const struct change *change, struct composition *out, struct error *err)
{
    const size_t count = sizeof kinds / sizeof *kinds;
    auto_json json_t *body = NULL;
    size_t at = 0;
    while (at < count && !str_eq(change->kind, str_of(kinds[at].kind)))
        at++;
    if (at == count || change->version != kinds[at].version)
        return unknown(change, err);
    *out = (struct composition){.wanted = kinds[at].compose != NULL, .event_id = change->id, .at_us = change->at_us};
    if (!out->wanted)
        return OK;
    if (json_read(change->body, BODY_LIMIT, &body, NULL) != OK || !json_is_object(body))
        return fail(err, INTERNAL, NULL, "Event %lld cannot be logged: its body is not a JSON object.",
                    (long long)change->id);
    const struct source from = {arena, body};
    out->leaf.at = change->at_us / SECOND_US;
    out->repo_id = change->repo_id;
    out->actor_id = change->actor_id;
    out->owner_id = json_get_int(body, "owner", change->actor_id);
    kinds[at].compose(&from, out);
    return OK;
}

void compose_private(struct composition *composition, struct arena *arena, const uint8_t actor_key[PERSON_KEY_SIZE],
                     const uint8_t owner_key[PERSON_KEY_SIZE])
{
    struct leaf *leaf = &composition->leaf;
    struct commitment_place place = {.repo = leaf->repo, .rseq = leaf->rseq};
    uint8_t secret[SHA256_SIZE], digest[SHA256_SIZE];
    leaf->by_person = composition->actor_id != 0;
    if (leaf->by_person)
        person_pseudonym(actor_key, leaf->repo, leaf->actor);
    for (size_t i = 0; i < composition->secret_count; i++) {
        place.field = composition->secrets[i].field;
        commitment_secret(owner_key, &place, secret);
        commitment_make(secret, &place, composition->secrets[i].value, digest);
        leaf_commit(leaf, place.field, digest);
    }
    /* A bare hash of a token's id could be guessed. This one is the same when the token is made and when it is revoked.
     */
    if (str_given(composition->token_id)) {
        place.field = "key";
        commitment_secret(owner_key, &place, secret);
        commitment_make(secret, &place, composition->token_id, digest);
        leaf_set_text(leaf, "digest", hex_encode(arena, digest, sizeof digest));
    }
}

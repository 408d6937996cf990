/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "prov/compose.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "leaf/leaf_type.h"
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
    copy_flag(from, "archived", &out->leaf, "archived");
}

/* Refs. */

static void ref_leaf(const struct source *from, struct composition *out, struct str op)
{
    out->leaf.type = STR("commit");
    leaf_set_text(&out->leaf, "op", op);
    leaf_set_text(&out->leaf, "old", text(from, "old"));
    leaf_set_text(&out->leaf, "new", text(from, "new"));
    leaf_set_number(&out->leaf, "protected", json_get_bool(from->body, "protected", false));
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

static void commit(const struct source *from, struct composition *out)
{
    struct str new = text(from, "new");
    bool merge = json_get_bool(from->body, "merge", false), squash = json_get_bool(from->body, "squash", false);
    ref_leaf(from, out, merge ? STR("merge") : squash ? STR("squash") : STR("api"));
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

static void key_rotate(const struct source *from, struct composition *out)
{
    key_leaf(from, out, STR("rotate"));
}

/* Who may have keys made for CI jobs: as grave as a key. */
static void publisher_add(const struct source *from, struct composition *out)
{
    key_leaf(from, out, STR("add"));
}

static void publisher_remove(const struct source *from, struct composition *out)
{
    key_leaf(from, out, STR("revoke"));
}

/* Passkeys: keys too, that only their holder's device has. */
static void passkey_leaf(const struct source *from, struct composition *out, struct str op)
{
    key_leaf(from, out, op);
    out->token_id = text(from, "passkey");
}

static void passkey_add(const struct source *from, struct composition *out)
{
    passkey_leaf(from, out, STR("add"));
}

static void passkey_remove(const struct source *from, struct composition *out)
{
    passkey_leaf(from, out, STR("revoke"));
}

/* Keys that people sign with: "hint" is the digest of the public key. That of the hub's own key hides nobody, and is
 * there to be compared. */

static void signer_leaf(const struct source *from, struct composition *out, const char *op)
{
    bool hub = json_get_bool(from->body, "hub", false);
    out->leaf.type = STR("key");
    leaf_set_text(&out->leaf, "op", str_of(op));
    leaf_set_text(&out->leaf, "use", hub ? STR("hub") : STR("user"));
    if (hub)
        leaf_set_text(&out->leaf, "digest", text(from, "hint"));
    else
        out->token_id = text(from, "hint");
    out->owner_id = json_get_int(from->body, "user", out->actor_id);
}

static void signer_add(const struct source *from, struct composition *out)
{
    signer_leaf(from, out, "add");
}

static void signer_revoke(const struct source *from, struct composition *out)
{
    signer_leaf(from, out, "revoke");
}

/*
 * What people say of a commit, and what the hub has found out about it. The event has the members of the leaf's body
 * by their own names, "commit" for its subject, and in "secrets" what is only committed to.
 */

static void copy_members(const struct source *from, struct leaf *leaf)
{
    const struct leaf_type *type = leaf_type_find(leaf->type);
    for (const struct leaf_member *member = type->members; member->name; member++) {
        const json_t *value = json_object_get(from->body, member->name);
        if (json_is_string(value))
            leaf_set_text(leaf, member->name, text(from, member->name));
        else if (json_is_integer(value))
            leaf_set_number(leaf, member->name, json_integer_value(value));
        else if (json_is_boolean(value))
            leaf_set_number(leaf, member->name, json_is_true(value));
    }
}

static void statement_leaf(const struct source *from, struct composition *out, const char *type)
{
    const json_t *secrets = json_object_get(from->body, "secrets");
    struct str commit = text(from, "commit");
    out->leaf.type = str_of(type);
    copy_members(from, &out->leaf);
    if (str_given(commit))
        leaf_add_subject(&out->leaf, "gitCommit", commit);
    keep_secret(out, "version",
                json_is_object(secrets) ? text(&(struct source){from->arena, secrets}, "version") : (struct str){0});
    keep_secret(out, "ref",
                json_is_object(secrets) ? text(&(struct source){from->arena, secrets}, "ref") : (struct str){0});
    keep_secret(out, "person",
                json_is_object(secrets) ? text(&(struct source){from->arena, secrets}, "person") : (struct str){0});
}

static void access_batch(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "access-batch");
}

static void access_decision(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "access-decision");
}

/* Who belongs to an organisation may read, write or rule all that is its. Person and organisation are one commitment, so that
 * nobody can tell that two are about the same person. */
static void member_set(const struct source *from, struct composition *out)
{
    struct str role = text(from, "role"), org = text(from, "org_name"), user = text(from, "user_name");
    bool leaves = str_eq(role, STR("none"));
    out->leaf.type = STR("access-decision");
    leaf_set_text(&out->leaf, "basis", STR("owner"));
    leaf_set_text(&out->leaf, "decision", leaves ? STR("revoke") : STR("grant"));
    leaf_set_text(&out->leaf, "role", leaves ? (struct str){0} : role);
    out->owner_id = json_get_int(from->body, "user", out->actor_id);
    if (str_given(org) && str_given(user))
        keep_secret(out, "member", arena_printf(from->arena, "%.*s/%.*s", STR_ARG(org), STR_ARG(user)));
}

static void access_policy(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "access-policy");
}

static void approval(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "approval");
}

static void bom(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "bom");
}

static void deployment(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "deployment");
}

static void erasure(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "erasure");
}

static void evaluation(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "evaluation");
}

static void federated_round(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "federated-round");
}

static void lineage(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "lineage");
}

static void manifest(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "manifest");
}

static void release(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "release");
}

static void tier(const struct source *from, struct composition *out)
{
    statement_leaf(from, out, "tier");
}

/* A rule for a ref: so many approvals before it moves. */
static void repo_protect(const struct source *from, struct composition *out)
{
    out->leaf.type = STR("repo");
    leaf_set_text(&out->leaf, "op", STR("protect"));
    leaf_set_number(&out->leaf, "approvals", json_get_int(from->body, "approvals", -1));
    keep_secret(out, "ref", text(from, "ref"));
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
    {"access.batch", 1, access_batch},
    {"access.decision", 1, access_decision},
    {"access.policy", 1, access_policy},
    {"access.step", 1, NULL},
    {"account.create", 1, NULL},
    {"account.erase", 1, erasure},
    {"approval", 1, approval},
    {"bom", 1, bom},
    {"commit", 1, commit},
    {"deployment", 1, deployment},
    {"evaluation", 1, evaluation},
    {"federate.decision", 1, NULL},
    {"federate.open", 1, NULL},
    {"federate.round", 1, federated_round},
    {"federate.stop", 1, NULL},
    {"key.create", 1, key_create},
    {"key.revoke", 1, key_revoke},
    {"key.rotate", 1, key_rotate},
    {"lineage", 1, lineage},
    {"log.epoch", 1, log_epoch},
    {"log.heads", 1, log_heads},
    {"manifest", 1, manifest},
    {"member.set", 1, NULL}, /* from before they were logged */
    {"member.set", 2, member_set},
    {"oauth.app_add", 1, NULL},
    {"oauth.app_remove", 1, NULL},
    {"oauth.device", 1, NULL},
    {"oauth.grant", 1, NULL},
    {"oidc.link", 1, NULL},
    {"oidc.publisher_add", 1, publisher_add},
    {"oidc.publisher_remove", 1, publisher_remove},
    {"oidc.unlink", 1, NULL},
    {"org.default_private", 1, NULL},
    {"passkey.add", 1, passkey_add},
    {"passkey.remove", 1, passkey_remove},
    {"password.set", 1, NULL},
    {"recovery.use", 1, NULL},
    {"payment.receive", 1, tier},
    {"pool.step", 1, tier},
    {"ref.create", 1, ref_create},
    {"ref.delete", 1, ref_delete},
    {"release", 1, release},
    {"repo.create", 1, repo_create},
    {"repo.delete", 1, repo_delete},
    {"repo.move", 1, repo_move},
    {"repo.protect", 1, repo_protect},
    {"repo.settings", 1, repo_settings},
    {"session.end", 1, NULL},
    {"session.raise", 1, NULL},
    {"session.start", 1, NULL},
    {"signer.add", 1, signer_add},
    {"signer.revoke", 1, signer_revoke},
    {"terms.accept", 1, NULL},
    {"terms.post", 1, NULL},
    {"terms.publish", 1, NULL},
    {"tier.publish", 1, tier},
    {"tier.step", 1, tier},
    {"totp.clear", 1, NULL},
    {"totp.set", 1, NULL},
};

/* "evidence" is the SHA-256 of an envelope, and "signed" tells that the actor signed it. */
static enum status add_evidence(const struct source *from, struct leaf *leaf, struct error *err)
{
    struct str evidence = json_get_str(from->body, "evidence");
    leaf->has_evidence = str_given(evidence);
    if (!leaf->has_evidence)
        return OK;
    if (json_get_bool(from->body, "signed", false))
        leaf->auth = LEAF_USER_SIGNED;
    return hex_decode(evidence, leaf->evidence, sizeof leaf->evidence)
               ? OK
               : fail(err, INTERNAL, NULL, "An event names evidence that is no SHA-256.");
}

static enum status unknown(const struct change *change, struct error *err)
{
    return fail(
        err, INTERNAL, NULL,
        "Event %lld (%.*s, version %lld) cannot be logged: this program does not know how, so nothing is changed. "
        "Run the version of Cairn that wrote it, or a newer one.",
        (long long)change->id, STR_ARG(change->kind), (long long)change->version);
}

struct change change_read(struct stmt *row)
{
    return (struct change){.id = stmt_int(row, 0),
                           .at_us = stmt_int(row, 1),
                           .kind = stmt_str(row, 2),
                           .version = stmt_int(row, 3),
                           .repo_id = stmt_int(row, 4),
                           .actor_id = stmt_int(row, 5),
                           .body = stmt_str(row, 6)};
}

enum status compose(struct arena *arena, const struct change *change, struct composition *out, struct error *err)
{
    const size_t count = sizeof kinds / sizeof *kinds;
    auto_json json_t *body = NULL;
    size_t at = 0;
    while (at < count && !(str_eq(change->kind, str_of(kinds[at].kind)) && change->version == kinds[at].version))
        at++;
    if (at == count)
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
    return add_evidence(&from, &out->leaf, err);
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

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bytes of gated repos: the order of the decision, and thousands of random towns against a slow reading of access C4. */
#include "../cas/splitmix.h"
#include "../identity/helper.h"
#include "access/access.h"
#include "asked.h"
#include "base/time.h"

#define HOUR (3600 * SECOND_US)

/* Of what the parts above keep, what the door reads. */
static const char above_sql[] = "CREATE TABLE repo (id INTEGER PRIMARY KEY);" ASKED_SQL;
static const struct migration_set above = {"repo", (const char *const[]){above_sql, NULL}};

/* A town of one gated repo, as plain data. Times are relative to now: in hours, 0 is "none". */
#define GRANTS 3
#define BLOCKS 3
struct world {
    bool has_gate, says_gated, private, held, pending, binds_members;
    int opens, epoch, due[3]; /* due[i]: of epoch i + 1 */
    const char *territory;
    enum auth_level sign_in, strength; /* what the gate asks for; the factor that the person has */
    int asked, asked_until;            /* the last request: 0 none, else one more than its state in gate/request.h */
    struct {
        bool given;
        int state, not_before, expires, epoch, until;
        const char *code;
    } grants[GRANTS];
    struct {
        bool given, of_hub, of_other, lifted, slow;
        int from, until;
    } blocks[BLOCKS];
};

struct asker {
    int64_t account_id;
    enum role role, key; /* in the owner; of the key */
    bool is_admin;
    enum auth_level shown;
    const char *country; /* NULL: no proxy says */
    enum key_hold hold;
};

struct stage {
    struct town *town;
    int64_t owner, other, person;
    int64_t base; /* what "now" is when the rows are written */
};

static void set_stage(struct stage *stage, struct town *town)
{
    const struct migration_set sets[] = {above, access_migrations};
    GOOD(db_migrate(town->db, sets, 2, err));
    *stage = (struct stage){.town = town, .owner = add_org(town, "acme"), .other = add_org(town, "other")};
    stage->person = add_user(town, "ada");
    GOOD(script(town->db, "INSERT INTO repo VALUES (1)", err));
}

/* ---- the town into the database ---- */

static int64_t at(const struct stage *stage, int hours)
{
    return hours ? stage->base + hours * HOUR : 0;
}

struct writing {
    const struct stage *stage;
    const struct world *w;
};

static enum status write_gate(struct db_conn *tx, const struct stage *s, const struct world *w, struct error *err)
{
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO gate (id, owner_id, state, version, policy_seq, opens_us, binds_members, terms_epoch, territory, "
        "created_us, sign_in) VALUES (1, %lld, 1, 1, 1, %lld, %d, %d, '%s', 1, %d);"
        "INSERT INTO gate_repo VALUES (1, 1);",
        (long long)s->owner, (long long)at(s, w->opens), w->binds_members, w->epoch, w->territory, w->sign_in);
    TRY(db_exec(tx, sql, err));
    for (int i = 0; i < w->epoch; i++) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO gate_epoch (gate_id, epoch, terms_version_id, due_us, at_us) VALUES (1, %d, 1, %lld, 0)",
                 i + 1, (long long)at(s, w->due[i]));
        TRY(db_exec(tx, sql, err));
    }
    return OK;
}

static enum status write_people(struct db_conn *tx, const struct stage *s, const struct world *w, struct error *err)
{
    char sql[1024];
    for (int i = 0; i < GRANTS; i++) {
        if (!w->grants[i].given || !w->has_gate)
            continue;
        snprintf(sql, sizeof sql,
                 "INSERT INTO access_grant (gate_id, account_id, purpose, state, version, not_before_us, expires_us, "
                 "terms_epoch, code, until_us, by_id, created_us, changed_us) "
                 "VALUES (1, %lld, 'p%d', %d, 1, %lld, %lld, %d, '%s', %lld, 0, 1, 1)",
                 (long long)s->person, i, w->grants[i].state, (long long)at(s, w->grants[i].not_before),
                 (long long)at(s, w->grants[i].expires), w->grants[i].epoch, w->grants[i].code,
                 (long long)at(s, w->grants[i].until));
        TRY(db_exec(tx, sql, err));
    }
    if (w->asked) {
        snprintf(sql, sizeof sql,
                 "INSERT INTO access_request VALUES (8, %lld, 1, 9, 0, 'old'), (9, %lld, 1, %d, %lld, 'bad')",
                 (long long)s->person, (long long)s->person, w->asked - 1, (long long)at(s, w->asked_until));
        TRY(db_exec(tx, sql, err));
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (!w->blocks[i].given)
            continue;
        int64_t whose = w->blocks[i].of_hub ? 0 : w->blocks[i].of_other ? s->other : s->owner;
        snprintf(
            sql, sizeof sql,
            "INSERT INTO access_block (account_id, owner_id, from_us, until_us, code, text, by_id, lifted_us, slow) "
            "VALUES (%lld, %lld, %lld, %lld, 'broken', 'why', 1, %d, %d)",
            (long long)s->person, (long long)whose, (long long)(s->base + w->blocks[i].from * HOUR),
            (long long)at(s, w->blocks[i].until), w->blocks[i].lifted, w->blocks[i].slow);
        TRY(db_exec(tx, sql, err));
    }
    return OK;
}

static enum status write_factor(struct db_conn *tx, const struct stage *s, const struct world *w, struct error *err)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             w->strength == AUTH_PASSKEY
                 ? "INSERT INTO passkey (account_id, credential_id, public_key, sign_count, name, created_us, used_us) "
                   "VALUES (%lld, x'01', x'02', 0, 'phone', 1, 1)"
                 : "INSERT INTO totp (account_id, secret, confirmed, last_step) VALUES (%lld, x'01', %d, 0)",
             (long long)s->person, w->strength == AUTH_TOTP); /* a secret that was never confirmed is no factor */
    return db_exec(tx, sql, err);
}

static enum status write_world(struct db_conn *tx, void *context, struct error *err)
{
    const struct writing *writing = context;
    const struct world *w = writing->w;
    TRY(db_exec(
        tx,
        "DELETE FROM access_hold; DELETE FROM access_block; DELETE FROM access_grant; DELETE FROM gate_epoch; "
        "DELETE FROM gate_repo; DELETE FROM gate; DELETE FROM totp; DELETE FROM passkey; DELETE FROM access_request",
        err));
    for (int i = 0; i < 2; i++)
        if (i ? w->pending : w->held)
            TRY(db_exec(
                tx,
                i ? "INSERT INTO access_hold (repo_id, gate_id, kind, state, share_ppm, commit_id, path, uploader_id, "
                    "created_us, changed_us) VALUES (1, 0, 'pending', 1, 0, x'', '', 1, 1, 1)"
                  : "INSERT INTO access_hold (repo_id, gate_id, kind, state, share_ppm, commit_id, path, uploader_id, "
                    "created_us, changed_us) VALUES (1, 7, 'tensors', 3, 0, x'', '', 1, 1, 1)",
                err));
    if (w->has_gate)
        TRY(write_gate(tx, writing->stage, w, err));
    TRY(write_factor(tx, writing->stage, w, err));
    return write_people(tx, writing->stage, w, err);
}

static void put(struct stage *stage, const struct world *w)
{
    stage->base = now_us();
    struct writing writing = {stage, w};
    GOOD(db_write(stage->town->db, write_world, &writing, err));
}

/* ---- the slow reading: access C4, "first match answers" ---- */

static bool passed(int hours)
{
    return hours <= 0; /* of a time that is given */
}

static const char *grant_verdict(const struct world *w, int i)
{
    int state = w->grants[i].state;
    bool terms = strcmp(w->grants[i].code, "terms") == 0;
    if (w->grants[i].expires && passed(w->grants[i].expires))
        return "expired";
    if (state == 3 && terms)
        return "terms";
    if (state == 3 && !(w->grants[i].until && passed(w->grants[i].until)))
        return "suspended";
    if (w->grants[i].not_before && !passed(w->grants[i].not_before))
        return "not-yet";
    if (w->grants[i].epoch < 0 && w->epoch > w->grants[i].epoch)
        return "terms";
    for (int e = w->grants[i].epoch; e < w->epoch; e++)
        if (passed(w->due[e]))
            return "terms";
    return "";
}

static int rank(const char *verdict)
{
    static const char *const order[] = {"", "terms", "not-yet", "suspended", "expired"};
    for (int i = 0; i < 5; i++)
        if (strcmp(verdict, order[i]) == 0)
            return i;
    return 9;
}

static const char *grants_verdict(const struct world *w)
{
    const char *best = NULL;
    int last = -1;
    for (int i = 0; i < GRANTS; i++) {
        if (!w->grants[i].given)
            continue;
        last = i;
        if (w->grants[i].state <= 3 && (!best || rank(grant_verdict(w, i)) < rank(best)))
            best = grant_verdict(w, i);
    }
    if (best && strcmp(best, "expired") != 0)
        return best;
    int state = w->asked - 1;
    if (state == 2 || state == 4)
        return "waits-for-you";
    if (state >= 1 && state <= 6)
        return "under-review";
    if (best || (last >= 0 && w->grants[last].state == 4))
        return "expired";
    if (last >= 0 && w->grants[last].state == 6)
        return "revoked";
    return state == 8 && w->asked_until && !passed(w->asked_until) ? "refused" : "no-grant";
}

static bool has_block(const struct world *w, bool slow)
{
    for (int i = 0; i < BLOCKS; i++)
        if (w->blocks[i].given && w->blocks[i].slow == slow && !w->blocks[i].lifted &&
            (w->blocks[i].of_hub || !w->blocks[i].of_other) && passed(w->blocks[i].from) &&
            !(w->blocks[i].until && passed(w->blocks[i].until)))
            return true;
    return false;
}

static bool is_abroad(const struct world *w, const char *country)
{
    if (!w->territory[0] || !country)
        return false;
    if (strcmp(country, "XX") == 0)
        return true;
    return (strstr(w->territory, country) != NULL) != (w->territory[0] == '+');
}

/* "" for yes, or the word of the refusal; "hidden" for a repo that is not there. */
static const char *expected(const struct world *w, const struct asker *a)
{
    bool member = a->account_id && a->role >= ROLE_READ, board = a->is_admin && a->key == ROLE_ADMIN;
    if (w->private && !member && !board)
        return "hidden";
    if ((w->held || w->pending) && !member && !board)
        return w->held ? "held-reupload" : "pending-check";
    if (!w->has_gate)
        return !w->says_gated || member ? "" : "no-grant";
    if (member && !w->binds_members)
        return "";
    if (a->account_id && has_block(w, false))
        return "blocked";
    if (w->opens && !passed(w->opens))
        return "embargo";
    if (is_abroad(w, a->country))
        return "territory";
    if (!a->account_id)
        return "sign-in";
    const char *verdict = grants_verdict(w);
    bool has_factor = w->sign_in <= AUTH_PASSWORD || w->strength >= w->sign_in;
    return verdict[0] == 0 && (a->shown < w->sign_in || !has_factor) ? "sign-in-level" : verdict;
}

/* ---- chance ---- */

static int pick(uint64_t *chance, int below)
{
    return (int)(splitmix(chance) % (uint64_t)below);
}

/* Hours away from now, on either side, or none. */
static int some_hours(uint64_t *chance)
{
    static const int hours[] = {0, 0, -50, -2, 2, 50};
    return hours[pick(chance, 6)];
}

static struct world random_world(uint64_t *chance)
{
    static const char *const territories[] = {"", "", "+ DE FR", "- DE FR"};
    static const char *const codes[] = {"", "", "investigation", "terms"};
    struct world w = {.has_gate = pick(chance, 8) != 0, .private = pick(chance, 6) == 0, .held = pick(chance, 8) == 0};
    w.says_gated = w.has_gate || pick(chance, 2);
    w.pending = pick(chance, 8) == 0;
    w.binds_members = pick(chance, 3) == 0;
    w.opens = pick(chance, 4) ? 0 : some_hours(chance);
    w.territory = territories[pick(chance, 4)];
    w.epoch = pick(chance, 4);
    w.sign_in = pick(chance, 3) ? AUTH_NONE : (enum auth_level)(AUTH_PASSWORD + pick(chance, 3));
    w.strength = (enum auth_level)(AUTH_PASSWORD + pick(chance, 3));
    w.asked = pick(chance, 2) ? 0 : 1 + pick(chance, 12);
    w.asked_until = some_hours(chance);
    for (int i = 0; i < 3; i++)
        w.due[i] = pick(chance, 2) ? 30 - 20 * i : -30 + i;
    for (int i = 0; i < GRANTS; i++) {
        w.grants[i].given = pick(chance, 2);
        w.grants[i].state = 1 + pick(chance, pick(chance, 2) ? 3 : 7);
        w.grants[i].not_before = pick(chance, 3) ? 0 : some_hours(chance);
        w.grants[i].expires = some_hours(chance);
        w.grants[i].until = some_hours(chance);
        w.grants[i].epoch = pick(chance, w.epoch + 2) - 1;
        w.grants[i].code = w.grants[i].state == 3 ? codes[pick(chance, 4)] : "";
    }
    for (int i = 0; i < BLOCKS; i++) {
        w.blocks[i].given = pick(chance, 6) == 0;
        w.blocks[i].of_hub = pick(chance, 3) == 0;
        w.blocks[i].of_other = pick(chance, 3) == 0;
        w.blocks[i].lifted = pick(chance, 4) == 0;
        w.blocks[i].slow = pick(chance, 3) == 0;
        w.blocks[i].from = pick(chance, 2) ? -5 : 5;
        w.blocks[i].until = some_hours(chance);
        if (w.blocks[i].slow && !w.blocks[i].until)
            w.blocks[i].until = 50; /* nobody is slowed without an end */
    }
    return w;
}

static struct asker random_asker(const struct stage *stage, uint64_t *chance)
{
    static const char *const countries[] = {NULL, "DE", "US", "XX"};
    struct asker a = {.country = countries[pick(chance, 4)]};
    if (pick(chance, 6) == 0)
        return a;
    a.account_id = stage->person;
    a.role = pick(chance, 3) ? ROLE_NONE : (enum role)pick(chance, 4);
    a.key = (enum role)(1 + pick(chance, 3));
    a.is_admin = pick(chance, 4) == 0;
    a.shown = (enum auth_level)pick(chance, 5);
    return a;
}

/* ---- asking ---- */

static void set_role(const struct stage *stage, enum role role)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "DELETE FROM member; INSERT INTO member (org_id, user_id, role) SELECT %lld, %lld, %d WHERE %d > 0",
             (long long)stage->owner, (long long)stage->person, role, role);
    GOOD(script(stage->town->db, sql, err));
}

static enum status ask(const struct stage *stage, const struct world *w, const struct asker *a,
                       struct access_answer *answer, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct actor actor = {.account = {.id = a->account_id, .is_admin = a->is_admin},
                          .key_role = a->key,
                          .shown = a->shown,
                          .hold = a->hold};
    if (a->country)
        actor.country = str_of(a->country);
    struct access_object object = {
        .repo_id = 1,
        .owner_id = stage->owner,
        .visibility = w->private ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC,
        .gated = w->says_gated,
        .kind_name = STR("model"),
        .full_name = STR("acme/flora"),
    };
    assert_int_equal(OK, db_reader(stage->town->db, &conn, err));
    return access_explain(conn, &actor, ACT_READ, &object, answer, err);
}

static const char *word_of(enum status status, const struct error *err)
{
    if (status == OK)
        return "";
    return strcmp(err->code, "RepoNotFound") == 0 ? "hidden" : err->reason;
}

static void check(const struct stage *stage, const struct world *w, const struct asker *a, const char *what)
{
    struct access_answer answer;
    struct error err = {0};
    set_role(stage, a->role);
    const char *got = word_of(ask(stage, w, a, &answer, &err), &err), *want = expected(w, a);
    if (strcmp(want, got) != 0)
        print_error("%s: want \"%s\", got \"%s\": %s\n", what, want, got, err.message);
    assert_string_equal(want, got);
    bool gated = w->has_gate && !(a->role >= ROLE_READ && !w->binds_members);
    if (!got[0])
        assert_int_equal(gated && has_block(w, true), answer.slowed_until_us != 0);
}

/* ---- the order, row by row ---- */

/* A town where everything stands against the asker; each row takes away what has answered the one before. */
static void the_first_that_matches_answers(void **state)
{
    struct stage stage;
    set_stage(&stage, *state);
    struct asker a = {.account_id = stage.person, .key = ROLE_READ, .country = "US"};
    struct world w = {.has_gate = true, .says_gated = true, .private = true, .held = true, .pending = true};
    w.opens = 10;
    w.territory = "+ DE";
    w.epoch = 1;
    w.sign_in = AUTH_TOTP;
    w.due[0] = -1;
    w.blocks[0].given = true;
    w.blocks[0].from = -1;
    w.asked = 1 + 3;
    w.asked_until = 9;
    static const char *const order[] = {
        "hidden",       "held-reupload", "pending-check", "blocked",       "embargo",       "territory",
        "under-review", "waits-for-you", "refused",       "no-grant",      "revoked",       "expired",
        "suspended",    "not-yet",       "terms",         "sign-in-level", "sign-in-level", ""};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        switch (i) {
        case 1:
            w.private = false;
            break;
        case 2:
            w.held = false;
            break;
        case 3:
            w.pending = false;
            break;
        case 4:
            w.blocks[0].until = -1;
            break; /* over by the clock, whoever has lifted it */
        case 5:
            w.opens = -1;
            break;
        case 6:
            a.country = "DE";
            break;
        case 7:
            w.asked = 1 + 4;
            break;
        case 8:
            w.asked = 1 + 8;
            break;
        case 9:
            w.asked_until = -1;
            break; /* one may ask again */
        case 10:
            w.grants[0].given = true;
            w.grants[0].state = 6;
            w.grants[0].code = "misuse";
            break;
        case 11:
            w.grants[0].state = 1;
            w.grants[0].expires = -1;
            w.grants[0].code = "";
            break; /* no timer has run */
        case 12:
            w.grants[0].expires = 9;
            w.grants[0].state = 3;
            w.grants[0].not_before = 5;
            w.grants[0].code = "look";
            break;
        case 13:
            w.grants[0].until = -1;
            break;
        case 14:
            w.grants[0].not_before = 0;
            break;
        case 15:
            w.grants[0].epoch = 1;
            break;
        case 16:
            a.shown = AUTH_TOTP;
            break; /* by a factor that the account has no more */
        case 17:
            w.strength = AUTH_PASSKEY;
            break; /* it need not be the same one */
        }
        put(&stage, &w);
        assert_string_equal(order[i], expected(&w, &a));
        check(&stage, &w, &a, order[i]);
    }
}

static void thousands_of_random_towns_are_read_alike(void **state)
{
    struct stage stage;
    uint64_t seed = 20261125, chance = seed;
    set_stage(&stage, *state);
    print_message("seed %llu\n", (unsigned long long)seed);
    int said_yes = 0;
    for (int i = 0; i < 1500; i++) {
        struct world w = random_world(&chance);
        put(&stage, &w);
        for (int j = 0; j < 4; j++) {
            struct asker a = random_asker(&stage, &chance);
            char what[64];
            snprintf(what, sizeof what, "town %d, asker %d", i, j);
            check(&stage, &w, &a, what);
            said_yes += expected(&w, &a)[0] == '\0';
        }
    }
    assert_in_range(said_yes, 600, 5400); /* both answers were tried */
}

/* ---- more never gives less (B57) ---- */

static bool lets_in(const struct stage *stage, const struct world *w, const struct asker *a)
{
    struct access_answer answer;
    set_role(stage, a->role);
    return ask(stage, w, a, &answer, NULL) == OK;
}

static void more_credentials_never_open_less(void **state)
{
    struct stage stage;
    uint64_t chance = 5700;
    set_stage(&stage, *state);
    for (int i = 0; i < 1000; i++) {
        struct world w = random_world(&chance), more = w;
        struct asker less = random_asker(&stage, &chance), other = less;
        switch (pick(&chance, 5)) {
        case 0: /* signed in, by any key */
            less = (struct asker){.country = less.country};
            other = (struct asker){.account_id = stage.person, .key = ROLE_READ, .country = less.country};
            break;
        case 1:
            other.key = less.account_id && less.key < ROLE_ADMIN ? less.key + 1 : less.key;
            break;
        case 2:
            other.role = less.account_id && less.role < ROLE_ADMIN ? less.role + 1 : less.role;
            break;
        case 3:
            other.is_admin = less.account_id != 0;
            break;
        default: { /* another grant, for another purpose */
            int free = pick(&chance, GRANTS);
            w.grants[free].given = false;
            more = w;
            more.grants[free] = random_world(&chance).grants[free];
            more.grants[free].given = true;
            if (more.grants[free].epoch > more.epoch)
                more.grants[free].epoch = more.epoch;
        }
        }
        put(&stage, &w);
        bool before = lets_in(&stage, &w, &less);
        put(&stage, &more);
        assert_true(!before || lets_in(&stage, &more, &other));
    }
}

/* ---- what is said ---- */

static struct world open_gate(void)
{
    struct world w = {.has_gate = true, .says_gated = true, .territory = ""};
    return w;
}

static void a_refusal_names_the_reason_the_next_step_and_the_day(void **state)
{
    struct stage stage;
    struct access_answer answer;
    struct error err = {0};
    set_stage(&stage, *state);
    struct world w = open_gate();
    struct asker nobody = {0}, ada = {.account_id = stage.person, .key = ROLE_READ};
    const char *known = "Access to model acme/flora is restricted and you are not in the authorized list";
    put(&stage, &w);
    assert_int_equal(UNAUTHENTICATED, ask(&stage, &w, &nobody, &answer, &err));
    assert_string_equal("GatedRepo", err.code);
    assert_ptr_equal(err.message, strstr(err.message, known));
    assert_string_equal("/acme/flora/ask-access", err.next);
    assert_int_equal(FORBIDDEN, ask(&stage, &w, &ada, &answer, &err));
    assert_string_equal("no-grant", err.reason);
    w.grants[0].given = true;
    w.grants[0].state = 3;
    w.grants[0].code = "investigation";
    w.grants[0].until = 48;
    put(&stage, &w);
    assert_int_equal(FORBIDDEN, ask(&stage, &w, &ada, &answer, &err));
    assert_ptr_equal(err.message, strstr(err.message, known));
    assert_non_null(strstr(err.message, "suspended until 20"));
    assert_non_null(strstr(err.message, "(investigation)"));
    assert_non_null(strstr(err.next, "/api/grants/"));
    assert_int_equal(stage.base + 48 * HOUR, err.until_us);
}

static void who_has_asked_is_told_where_that_stands_and_until_when(void **state)
{
    static const char *const says[] = {"draft", "decided by 20", "answer, which has to come by 20",
                                       "refused (bad). You can ask again from 20"};
    static const int states[] = {0, 3, 4, 8};
    struct stage stage;
    struct access_answer answer;
    set_stage(&stage, *state);
    struct world w = open_gate();
    struct asker ada = {.account_id = stage.person, .key = ROLE_READ};
    w.asked_until = 48;
    for (int i = 0; i < 4; i++) {
        struct error err = {0};
        w.asked = 1 + states[i];
        put(&stage, &w);
        assert_int_equal(FORBIDDEN, ask(&stage, &w, &ada, &answer, &err));
        assert_non_null(strstr(err.message, says[i]));
        assert_string_equal(i ? "/api/models/acme/flora/access-request" : "/acme/flora/ask-access", err.next);
        assert_int_equal(i ? stage.base + 48 * HOUR : 0, err.until_us);
    }
}

static void in_the_time_of_grace_the_door_is_open_and_says_until_when(void **state)
{
    struct stage stage;
    struct access_answer answer;
    set_stage(&stage, *state);
    struct world w = open_gate();
    struct asker ada = {.account_id = stage.person, .key = ROLE_READ};
    w.epoch = 2;
    w.due[0] = 20;
    w.due[1] = 5;
    w.grants[0].given = true;
    w.grants[0].state = 2;
    w.grants[0].code = "";
    put(&stage, &w);
    GOOD(ask(&stage, &w, &ada, &answer, err));
    assert_int_equal(stage.base + 5 * HOUR, answer.terms_due_us);
    assert_true(answer.grant_id > 0);
    clock_travel(6 * HOUR);
    struct error err = {0};
    assert_int_equal(FORBIDDEN, ask(&stage, &w, &ada, &answer, &err));
    assert_string_equal("terms", err.reason);
    clock_travel(0);
}

/* The same grant at the same place in the tables: only the clock goes on. */
static void a_grant_runs_out_though_no_timer_has_run(void **state)
{
    struct stage stage;
    set_stage(&stage, *state);
    struct world w = open_gate();
    struct asker ada = {.account_id = stage.person, .key = ROLE_READ};
    w.grants[0].given = true;
    w.grants[0].state = 1;
    w.grants[0].code = "";
    w.grants[0].not_before = 1;
    w.grants[0].expires = 3;
    put(&stage, &w);
    static const bool open[] = {false, true, true, false, false};
    for (int hour = 0; hour < 5; hour++) {
        clock_travel(hour * HOUR + SECOND_US);
        assert_int_equal(open[hour], lets_in(&stage, &w, &ada));
    }
    clock_travel(0);
}

static void a_key_that_looks_misused_gets_no_gated_bytes_whosever_it_is(void **state)
{
    struct stage stage;
    struct access_answer answer;
    set_stage(&stage, *state);
    struct asker member = {.account_id = stage.person, .key = ROLE_WRITE, .role = ROLE_WRITE}, holder = member;
    holder.role = ROLE_NONE;
    struct world w = {.has_gate = true, .says_gated = true, .territory = ""}, open = {.territory = ""};
    w.grants[0].given = true;
    w.grants[0].state = 1;
    w.grants[0].code = "";
    for (enum key_hold hold = KEY_FREE; hold <= KEY_SLOWED; hold++) {
        member.hold = holder.hold = hold;
        struct error err = {0};
        put(&stage, &w);
        set_role(&stage, ROLE_NONE);
        enum status status = ask(&stage, &w, &holder, &answer, &err);
        assert_string_equal(hold ? "step-up" : "", word_of(status, &err));
        set_role(&stage, ROLE_WRITE);
        err = (struct error){0};
        status = ask(&stage, &w, &member, &answer, &err);
        assert_string_equal(hold ? "step-up" : "", word_of(status, &err));
        put(&stage, &open);
        assert_int_equal(OK, ask(&stage, &open, &holder, &answer, NULL));
    }
}

static void the_office_of_hub_administrator_opens_no_gate(void **state)
{
    struct stage stage;
    struct access_answer answer;
    set_stage(&stage, *state);
    struct world w = open_gate();
    struct asker board = {.account_id = stage.person, .key = ROLE_ADMIN, .is_admin = true};
    put(&stage, &w);
    EXPECT(FORBIDDEN, ask(&stage, &w, &board, &answer, err));
    w.has_gate = w.says_gated = false;
    w.private = true;
    put(&stage, &w);
    GOOD(ask(&stage, &w, &board, &answer, err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_town(the_first_that_matches_answers),
        in_town(thousands_of_random_towns_are_read_alike),
        in_town(more_credentials_never_open_less),
        in_town(who_has_asked_is_told_where_that_stands_and_until_when),
        in_town(a_refusal_names_the_reason_the_next_step_and_the_day),
        in_town(in_the_time_of_grace_the_door_is_open_and_says_until_when),
        in_town(a_grant_runs_out_though_no_timer_has_run),
        in_town(a_key_that_looks_misused_gets_no_gated_bytes_whosever_it_is),
        in_town(the_office_of_hub_administrator_opens_no_gate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

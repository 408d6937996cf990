/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"
#include "timer/timer.h"
#include <math.h>

/*
 * GET /api/{api}/gate/figures (C9.7): how a gate's reviewers agree, how often appeals overturned them, whom it lets in,
 * and how long it takes. Owner and leads see it per reviewer; everybody else sees the sums, without cells under
 * CELL_LEAST. They are of the last year, computed when asked for.
 */
#define CELL_LEAST 20
#define UNITS_MOST 20000
#define JUDGES_MOST 64
#define SCORES 3 /* 0, 1, 2 */

/* Real numbers with three places: more would pretend to precision. null where they are not defined. */
static void key_real(struct json_writer *w, const char *key, double value)
{
    char text[32];
    jw_key(w, key);
    if (isnan(value)) {
        jw_null(w);
        return;
    }
    int len = snprintf(text, sizeof text, "%.3f", value);
    jw_raw(w, (struct str){text, (size_t)len});
}

/* Agreement. A unit is a case (and cycle) that two or more judged; the first two slots, blind to one another. */

struct judgement {
    int64_t case_id, cycle, account_id;
    enum outcome outcome;
    int8_t scores[RUBRIC_CRITERIA];
};

struct judged {
    struct arena *arena;
    struct judgement *rows;
    size_t count, capacity;
    int64_t judges[JUDGES_MOST];
    size_t judge_count;
};

static const char judged_sql[] =
    "SELECT v.request_id, v.cycle, v.account_id, v.outcome, v.scores FROM review_verdict v WHERE v.gate_id = ? AND "
    "v.slot <= 2 AND v.filed_us >= ? AND EXISTS (SELECT 1 FROM review_verdict s WHERE s.request_id = v.request_id AND "
    "s.cycle = v.cycle AND s.slot = 2) ORDER BY v.request_id, v.cycle, v.slot LIMIT 20000";

static size_t judge_place(struct judged *all, int64_t account_id)
{
    for (size_t i = 0; i < all->judge_count; i++)
        if (all->judges[i] == account_id)
            return i;
    if (all->judge_count < JUDGES_MOST)
        all->judges[all->judge_count++] = account_id;
    return all->judge_count - 1;
}

static enum status read_judged(struct db_conn *conn, struct arena *arena, int64_t gate_id, int64_t since_us,
                               const struct rubric *rubric, struct judged *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct judged){.arena = arena};
    TRY(db_prepare(conn, judged_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, since_us);
    while (stmt_next(row)) {
        auto_json json_t *json = NULL;
        out->rows = array_room(arena, out->rows, out->count, &out->capacity, sizeof *out->rows);
        struct judgement *one = &out->rows[out->count++];
        *one = (struct judgement){
            stmt_int(row, 0), stmt_int(row, 1), stmt_int(row, 2), (enum outcome)stmt_int(row, 3), {0}};
        memset(one->scores, SCORE_NA, sizeof one->scores);
        if (json_read(stmt_str(row, 4), 10000, &json, NULL) == OK)
            rubric_scores_stored(rubric, json, one->scores);
        judge_place(out, one->account_id);
    }
    return stmt_end(row, err);
}

static bool same_unit(const struct judgement *a, const struct judgement *b)
{
    return a->case_id == b->case_id && a->cycle == b->cycle;
}

/* criterion -1: the outcome. */
static int8_t category(const struct judgement *one, int criterion)
{
    return criterion < 0 ? (int8_t)(one->outcome - OUTCOME_APPROVE) : one->scores[criterion];
}

/* Krippendorff's alpha needs no more than which values met in a unit: two columns hold them, whoever the judges were. */
static double alpha_of(const struct judged *all, int criterion, enum scale scale)
{
    int8_t *values = arena_array(all->arena, all->count + 1, 2);
    size_t units = 0;
    for (size_t i = 0; i + 1 < all->count; i++)
        if (same_unit(&all->rows[i], &all->rows[i + 1])) {
            values[units * 2] = category(&all->rows[i], criterion);
            values[units * 2 + 1] = category(&all->rows[i + 1], criterion);
            units++;
            i++;
        }
    return figure_alpha(values, units, 2, criterion < 0 ? 2 : SCORES, scale);
}

static double kappa_of(const struct judged *all, int64_t one, int64_t other, int criterion, int64_t *cases)
{
    int64_t table[SCORES * SCORES] = {0};
    size_t categories = criterion < 0 ? 2 : SCORES;
    *cases = 0;
    for (size_t i = 0; i + 1 < all->count; i++) {
        const struct judgement *a = &all->rows[i], *b = &all->rows[i + 1];
        if (!same_unit(a, b))
            continue;
        i++;
        if (a->account_id == other && b->account_id == one) {
            const struct judgement *swap = a;
            a = b;
            b = swap;
        }
        int8_t x = category(a, criterion), y = category(b, criterion);
        if (a->account_id != one || b->account_id != other || x < 0 || y < 0)
            continue;
        table[(size_t)x * categories + (size_t)y]++;
        ++*cases;
    }
    return figure_kappa(table, categories);
}

static void write_alphas(const struct judged *all, const struct rubric *rubric, struct json_writer *w)
{
    char key[65];
    jw_key(w, "alpha");
    jw_object(w);
    jw_key_int(w, "judgements", (int64_t)all->count);
    key_real(w, "outcome", alpha_of(all, -1, SCALE_NOMINAL));
    jw_key(w, "criteria");
    jw_object(w);
    for (size_t i = 0; i < rubric->count; i++) {
        snprintf(key, sizeof key, "%.*s", STR_ARG(rubric->criteria[i].key));
        jw_key(w, key);
        jw_object(w);
        key_real(w, "nominal", alpha_of(all, (int)i, SCALE_NOMINAL));
        key_real(w, "ordinal", alpha_of(all, (int)i, SCALE_ORDINAL));
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
}

static enum status name_of(struct db_conn *conn, struct arena *arena, int64_t id, struct str *out, struct error *err)
{
    struct account account;
    TRY(account_get(conn, arena, id, &account, err));
    *out = account.name;
    return OK;
}

static enum status write_pair(struct db_conn *conn, const struct judged *all, size_t a, size_t b,
                              const struct rubric *rubric, struct json_writer *w, struct error *err)
{
    char key[65];
    int64_t cases;
    struct str one, other;
    double kappa = kappa_of(all, all->judges[a], all->judges[b], -1, &cases);
    if (!cases)
        return OK;
    TRY(name_of(conn, all->arena, all->judges[a], &one, err));
    TRY(name_of(conn, all->arena, all->judges[b], &other, err));
    jw_object(w);
    jw_key(w, "reviewers");
    jw_array(w);
    jw_str(w, one);
    jw_str(w, other);
    jw_end(w);
    jw_key_int(w, "cases", cases);
    key_real(w, "outcome", kappa);
    jw_key(w, "criteria");
    jw_object(w);
    for (size_t i = 0; i < rubric->count; i++) {
        snprintf(key, sizeof key, "%.*s", STR_ARG(rubric->criteria[i].key));
        key_real(w, key, kappa_of(all, all->judges[a], all->judges[b], (int)i, &cases));
    }
    jw_end(w);
    jw_end(w);
    return OK;
}

static enum status write_pairs(struct db_conn *conn, const struct judged *all, const struct rubric *rubric,
                               struct json_writer *w, struct error *err)
{
    jw_key(w, "kappa");
    jw_array(w);
    for (size_t a = 0; a < all->judge_count; a++)
        for (size_t b = a + 1; b < all->judge_count; b++)
            TRY(write_pair(conn, all, a, b, rubric, w, err));
    jw_end(w);
    return OK;
}

/* Overturned by appeals, and calibration. */

static const char reviewers_sql[] =
    "SELECT a.name, sum(v.slot <= 3), sum(v.slot <= 3 AND v.overturned = 1), sum(v.slot = 5), sum(v.slot = 5 AND "
    "v.agreed = 1), sum(v.slot <= 3 AND v.outcome <> v.recommended) FROM review_verdict v JOIN account a ON a.id = "
    "v.account_id WHERE v.gate_id = ? AND v.filed_us >= ? GROUP BY v.account_id, a.name ORDER BY a.name LIMIT 1000";

static enum status write_reviewers(struct db_conn *conn, int64_t gate_id, int64_t since_us, struct json_writer *w,
                                   struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(conn, reviewers_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, since_us);
    jw_key(w, "reviewers");
    jw_array(w);
    while (stmt_next(row)) {
        int64_t cases = stmt_int(row, 1), overturned = stmt_int(row, 2);
        jw_object(w);
        jw_key_str(w, "user", stmt_str(row, 0));
        jw_key_int(w, "verdicts", cases);
        jw_key_int(w, "overturned", overturned);
        key_real(w, "overturnRate", cases ? (double)overturned / (double)cases : NAN);
        jw_key_int(w, "overrides", stmt_int(row, 5));
        jw_key_int(w, "calibrations", stmt_int(row, 3));
        jw_key_int(w, "calibrationsAgreed", stmt_int(row, 4));
        jw_end(w);
    }
    jw_end(w);
    return stmt_end(row, err);
}

static const char codes_sql[] = "SELECT v.codes, v.overturned FROM review_verdict v WHERE v.gate_id = ? AND v.slot <= "
                                "3 AND v.filed_us >= ? ORDER BY v.assignment_id DESC LIMIT 20000";

static enum status write_codes(struct db_conn *conn, int64_t gate_id, int64_t since_us, const struct rubric *rubric,
                               bool small_cells, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t used[RUBRIC_CODES] = {0}, overturned[RUBRIC_CODES] = {0};
    TRY(db_prepare(conn, codes_sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, since_us);
    while (stmt_next(row)) {
        auto_json json_t *codes = NULL;
        if (json_read(stmt_str(row, 0), 10000, &codes, NULL) != OK)
            continue;
        for (size_t i = 0; i < json_array_size(codes); i++) {
            const json_t *item = json_array_get(codes, i);
            const struct reason_code *code =
                rubric_code(rubric, (struct str){json_string_value(item), json_string_length(item)});
            if (code) {
                used[code - rubric->codes]++;
                overturned[code - rubric->codes] += stmt_int(row, 1);
            }
        }
    }
    TRY(stmt_end(row, err));
    jw_key(w, "reasonCodes");
    jw_array(w);
    for (size_t i = 0; i < rubric->code_count; i++) {
        if (!small_cells && used[i] < CELL_LEAST)
            continue;
        jw_object(w);
        jw_key_str(w, "code", rubric->codes[i].code);
        jw_key_int(w, "used", used[i]);
        key_real(w, "overturnRate", used[i] ? (double)overturned[i] / (double)used[i] : NAN);
        jw_end(w);
    }
    jw_end(w);
    return OK;
}

/* Who is let in. */

#define GROUPS_SQL(column)                                                                                             \
    "SELECT c." column ", count(*), sum(q.state = 7) FROM review_case c JOIN access_request q ON q.id = c.request_id " \
    "WHERE c.gate_id = ? AND q.state IN (7, 8) AND q.decided_us >= ? GROUP BY c." column " ORDER BY c." column         \
    " LIMIT 500"
static const char affiliation_sql[] = GROUPS_SQL("affiliation"), region_sql[] = GROUPS_SQL("region");

struct group {
    struct str name;
    int64_t cases, approved;
};

struct groups {
    struct group rows[500];
    size_t count;
    int64_t cases, approved;
};

static enum status read_groups(struct db_conn *conn, struct arena *arena, const char *sql, int64_t gate_id,
                               int64_t since_us, struct groups *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *out = (struct groups){0};
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, since_us);
    for (; stmt_next(row); out->count++) {
        struct group *group = &out->rows[out->count];
        *group = (struct group){arena_copy(arena, stmt_str(row, 0)), stmt_int(row, 1), stmt_int(row, 2)};
        out->cases += group->cases;
        out->approved += group->approved;
    }
    return stmt_end(row, err);
}

/* Whether the group's interval leaves the overall rate outside. */
static bool stands_out(const struct groups *all, const struct group *group)
{
    double low, high, rate = all->cases ? (double)all->approved / (double)all->cases : 0;
    return group->cases >= CELL_LEAST && figure_wilson(group->approved, group->cases, &low, &high) &&
           (rate < low || rate > high);
}

static void write_groups(const struct groups *all, const char *key, struct json_writer *w)
{
    jw_key(w, key);
    jw_array(w);
    for (size_t i = 0; i < all->count; i++) {
        const struct group *group = &all->rows[i];
        double low, high;
        if (group->cases < CELL_LEAST || group->name.len == 0)
            continue;
        figure_wilson(group->approved, group->cases, &low, &high);
        jw_object(w);
        jw_key_str(w, "group", group->name);
        jw_key_int(w, "cases", group->cases);
        key_real(w, "approvalRate", (double)group->approved / (double)group->cases);
        key_real(w, "low", low);
        key_real(w, "high", high);
        jw_key_bool(w, "standsOut", stands_out(all, group));
        jw_end(w);
    }
    jw_end(w);
}

/* How long it takes. */

static const char touch_sql[] = "SELECT c.touched_work_us FROM review_case c WHERE c.gate_id = ? AND c.touched_us >= ? "
                                "AND c.touched_us > 0 ORDER BY c.touched_work_us LIMIT 100000";
static const char decide_sql[] =
    "SELECT q.clock_used_us FROM review_case c JOIN access_request q ON q.id = c.request_id WHERE c.gate_id = ? AND "
    "q.decided_us >= ? AND q.state IN (7, 8) ORDER BY q.clock_used_us LIMIT 100000";

static enum status write_times(struct db_conn *conn, const char *key, const char *sql, int64_t gate_id,
                               int64_t since_us, struct json_writer *w, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    auto_buf struct buf values = {0};
    size_t count = 0;
    TRY(db_prepare(conn, sql, &row, err));
    stmt_bind_int(row, 1, gate_id);
    stmt_bind_int(row, 2, since_us);
    for (; stmt_next(row); count++) {
        int64_t used = stmt_int(row, 0);
        buf_add(&values, &used, sizeof used);
    }
    TRY(stmt_end(row, err));
    const int64_t *sorted = (const int64_t *)(const void *)values.data;
    jw_key(w, key);
    jw_object(w);
    jw_key_int(w, "cases", (int64_t)count);
    if (count) {
        jw_key_int(w, "medianSeconds", figure_quantile(sorted, count, 50) / SECOND_US);
        jw_key_int(w, "p90Seconds", figure_quantile(sorted, count, 90) / SECOND_US);
    }
    jw_end(w);
    return OK;
}

/* Putting it together. */

static const char lead_sql[] = "SELECT 1 FROM gate_reviewer WHERE gate_id = ? AND account_id = ? AND role = 'lead'";

static enum status may_see_all(struct request *rq, const struct gate *gate, bool *out, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    enum role role = ROLE_NONE;
    *out = false;
    if (!rq->actor.account.id)
        return OK;
    TRY(account_role_in(rq->db, rq->actor.account.id, gate->owner_id, &role, err));
    TRY(db_prepare(rq->db, lead_sql, &row, err));
    stmt_bind_int(row, 1, gate->id);
    stmt_bind_int(row, 2, rq->actor.account.id);
    *out = stmt_next(row) || role == ROLE_ADMIN;
    return stmt_end(row, err);
}

enum status figures_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct gate gate;
    struct gate_policy policy;
    struct judged judged;
    struct groups groups;
    bool all;
    int64_t since = now_us() - 365 * DAY_US;
    TRY(gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err));
    TRY(gate_policy_get(rq->db, rq->arena, &gate, 0, &policy, err));
    TRY(may_see_all(rq, &gate, &all, err));
    TRY(read_judged(rq->db, rq->arena, gate.id, since, &policy.rubric, &judged, err));
    jw_object(&w);
    if (all || judged.count >= CELL_LEAST)
        write_alphas(&judged, &policy.rubric, &w);
    if (all) {
        TRY(write_pairs(rq->db, &judged, &policy.rubric, &w, err));
        TRY(write_reviewers(rq->db, gate.id, since, &w, err));
    }
    TRY(write_codes(rq->db, gate.id, since, &policy.rubric, all, &w, err));
    TRY(read_groups(rq->db, rq->arena, affiliation_sql, gate.id, since, &groups, err));
    write_groups(&groups, "affiliation", &w);
    TRY(read_groups(rq->db, rq->arena, region_sql, gate.id, since, &groups, err));
    write_groups(&groups, "region", &w);
    TRY(write_times(rq->db, "firstTouch", touch_sql, gate.id, since, &w, err));
    TRY(write_times(rq->db, "decision", decide_sql, gate.id, since, &w, err));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* A group that stands out becomes somebody's task, not an automatic change: looked at once a month for each gate, by a
 * timer that a gate's first case sets. */

static enum status tell_of(struct db_conn *tx, struct arena *arena, int64_t gate_id, const char *what,
                           const struct groups *all, struct error *err)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->rows[i].name.len && stands_out(all, &all->rows[i]))
            TRY(gate_tell_pool(
                tx, gate_id, "lead", "review.figures",
                arena_printf(arena,
                             "The approval rate of the %s \"%.*s\" stands out from the gate's: look at GET "
                             ".../gate/figures and at the cases behind it.",
                             what, STR_ARG(all->rows[i].name)),
                0, err));
    return OK;
}

enum status figures_fire(struct db_conn *tx, int64_t ref, int64_t due_us, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct groups groups;
    int64_t since = now_us() - 365 * DAY_US;
    TRY(read_groups(tx, &arena, affiliation_sql, ref, since, &groups, err));
    TRY(tell_of(tx, &arena, ref, "affiliation", &groups, err));
    TRY(read_groups(tx, &arena, region_sql, ref, since, &groups, err));
    TRY(tell_of(tx, &arena, ref, "region", &groups, err));
    (void)due_us;
    return timer_set(tx, "review.figures", ref, now_us() + 30 * DAY_US, err);
}

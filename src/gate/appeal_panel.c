/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/appeal.h"
#include "gate/review_internal.h"
#include "grant/grant.h"
#include <assert.h>

/* Who hears an appeal, and what they say. */

static const char seats_sql[] = "SELECT account_id, alias, state, first <> '', vote, days, answers, text FROM "
                                "appeal_seat WHERE appeal_id = ? AND state <= 2 ORDER BY rowid LIMIT 3";

enum status seats_read(struct db_conn *conn, struct arena *arena, int64_t appeal_id, struct seat *out, size_t *count,
                       struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    *count = 0;
    TRY(db_prepare(conn, seats_sql, &row, err));
    stmt_bind_int(row, 1, appeal_id);
    for (; stmt_next(row); ++*count)
        out[*count] = (struct seat){
            .account_id = stmt_int(row, 0),
            .alias = arena_copy(arena, stmt_str(row, 1)),
            .state = (enum seat_state)stmt_int(row, 2),
            .looked = stmt_int(row, 3) != 0,
            .vote = arena_copy(arena, stmt_str(row, 4)),
            .days = stmt_int(row, 5),
            .answers = arena_copy(arena, stmt_str(row, 6)),
            .text = arena_copy(arena, stmt_str(row, 7)),
        };
    return stmt_end(row, err);
}

enum status seat_of(struct db_conn *conn, struct arena *arena, const struct appeal *appeal, int64_t account_id,
                    struct seat *out, struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t count;
    TRY(seats_read(conn, arena, appeal->id, seats, &count, err));
    for (size_t i = 0; i < count; i++)
        if (seats[i].account_id == account_id) {
            *out = seats[i];
            return OK;
        }
    return fail(err, NOT_FOUND, "NoAppeal", "There is no such appeal that is yours or that you hear.");
}

static const char seat_sql[] =
    "INSERT INTO appeal_seat (appeal_id, account_id, alias, state, seated_us) VALUES (?, ?, ?, 1, ?)";

static enum status seat(const struct appeal_step *at, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    uint8_t random[2];
    random_bytes(random, sizeof random);
    TRY(db_prepare(at->tx, seat_sql, &add, err));
    stmt_bind_int(add, 1, at->appeal->id);
    stmt_bind_int(add, 2, account_id);
    stmt_bind_str(add, 3, arena_printf(at->arena, "panel-%02x%02x", random[0], random[1]));
    stmt_bind_int(add, 4, now_us());
    return stmt_run(add, err);
}

static enum status invite(const struct appeal_step *at, int64_t account_id, struct error *err)
{
    return gate_tell(at->tx, account_id, at->appeal->gate_id, "appeal.seated",
                     arena_printf(at->arena,
                                  "You have been drawn to hear an appeal: GET /api/appeals/%.*s. First say what you "
                                  "think of the case; then you see why it was decided as it was.",
                                  STR_ARG(at->appeal->key)),
                     0, err);
}

/* The case that an appeal is about, for draws: that of a grant is the request that it came from, if it came from one. */
static enum status case_of(const struct appeal_step *at, struct access_request *out, struct error *err)
{
    const struct appeal *appeal = at->appeal;
    int64_t request_id = appeal->subject == APPEAL_OF_STEP ? 0 : appeal->subject_id;
    struct grant grant;
    if (appeal->subject == APPEAL_OF_GRANT) {
        TRY(grant_get(at->tx, at->arena, appeal->subject_id, &grant, err));
        request_id = grant.request_id;
    }
    *out = (struct access_request){.gate_id = appeal->gate_id, .applicant_id = appeal->appellant_id};
    return request_id ? request_get(at->tx, at->arena, request_id, out, err) : OK;
}

static const char leave_sql[] = "UPDATE appeal_seat SET state = 3 WHERE appeal_id = ? AND account_id = ?";

static enum status leave(const struct appeal_step *at, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(at->tx, leave_sql, &set, err));
    stmt_bind_int(set, 1, at->appeal->id);
    stmt_bind_int(set, 2, account_id);
    return stmt_run(set, err);
}

static enum status fill(const struct appeal_step *at, const char *pool, size_t *count, struct error *err)
{
    struct access_request request;
    TRY(case_of(at, &request, err));
    while (*count < PANEL_SEATS) {
        int64_t account_id;
        TRY(draw_panel(at->tx, &request, pool, &account_id, err));
        if (!account_id)
            return OK;
        TRY(seat(at, account_id, err));
        ++*count;
    }
    return OK;
}

static const char board_sql[] = "UPDATE appeal SET board = 1 WHERE id = ?";

static enum status mark_board(struct appeal_step *at, struct error *err)
{
    auto_stmt struct stmt *set = NULL;
    at->appeal->board = true;
    TRY(db_prepare(at->tx, board_sql, &set, err));
    stmt_bind_int(set, 1, at->appeal->id);
    return stmt_run(set, err);
}

static const char free_sql[] = "DELETE FROM appeal_seat WHERE appeal_id = ? AND account_id = ?";

static enum status free_seat(const struct appeal_step *at, int64_t account_id, struct error *err)
{
    auto_stmt struct stmt *free_it = NULL;
    TRY(db_prepare(at->tx, free_sql, &free_it, err));
    stmt_bind_int(free_it, 1, at->appeal->id);
    stmt_bind_int(free_it, 2, account_id);
    return stmt_run(free_it, err);
}

static bool is_among(int64_t account_id, const struct seat *seats, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seats[i].account_id == account_id)
            return true;
    return false;
}

/*
 * After a draw; before: who sat there already. Two cannot have a majority when they differ: then one sits alone, who has
 * voted or sat there before rather than who has just been drawn. Those who are new are told.
 */
static enum status sit_down(const struct appeal_step *at, const struct seat *before, size_t before_count,
                            struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t count;
    TRY(seats_read(at->tx, at->arena, at->appeal->id, seats, &count, err));
    if (count == 2) {
        bool second_stays = is_among(seats[1].account_id, before, before_count) && seats[0].state != VOTED;
        const struct seat *gone = &seats[second_stays ? 0 : 1];
        TRY(gone->looked ? leave(at, gone->account_id, err) : free_seat(at, gone->account_id, err));
        seats[0] = seats[second_stays ? 1 : 0];
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        if (!is_among(seats[i].account_id, before, before_count))
            TRY(invite(at, seats[i].account_id, err));
    return OK;
}

enum status panel_draw(struct appeal_step *at, struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t before, count;
    TRY(seats_read(at->tx, at->arena, at->appeal->id, seats, &before, err));
    count = before;
    if (at->appeal->level == 1 && !at->appeal->board)
        TRY(fill(at, "appeal", &count, err));
    if (count == 0 || at->appeal->board || at->appeal->level > 1) {
        TRY(mark_board(at, err));
        TRY(fill(at, "board", &count, err));
    }
    return sit_down(at, seats, before, err);
}

enum status panel_to_board(struct appeal_step *at, struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t count, kept = 0;
    TRY(seats_read(at->tx, at->arena, at->appeal->id, seats, &count, err));
    if (!at->appeal->board)
        for (size_t i = 0; i < count; i++)
            if (seats[i].state == SEATED)
                TRY(leave(at, seats[i].account_id, err));
            else
                kept++;
    else
        kept = count;
    TRY(mark_board(at, err));
    TRY(fill(at, "board", &kept, err));
    if (kept == 0)
        return gate_tell_pool(
            at->tx, at->appeal->gate_id, "board", "appeal.nobody",
            STR("An appeal has nobody who may hear it: every administrator of this hub has touched the "
                "case or has a tie to it. Appoint somebody."),
            0, err);
    return sit_down(at, seats, count, err);
}

/* Counting. */

static const struct {
    const char *vote;
    enum appeal_state outcome;
} votes[] = {
    {"uphold", APPEAL_UPHELD}, {"vary", APPEAL_VARIED}, {"dismiss", APPEAL_DISMISSED}, {"remand", APPEAL_REMANDED}};
#define VOTES (sizeof votes / sizeof *votes)

/* What those of the majority answered, under their aliases, is what the appellant gets; of a remand all of it. */
static void collect(struct appeal_step *at, const struct seat *seats, size_t count, const char *vote, struct str *text)
{
    auto_buf struct buf answers = {0}, words = {0};
    struct json_writer w = jw_to(&answers);
    jw_array(&w);
    for (size_t i = 0; i < count; i++) {
        if (seats[i].state != VOTED || (vote && !str_eq(seats[i].vote, str_of(vote))))
            continue;
        jw_object(&w);
        jw_key_str(&w, "by", seats[i].alias);
        jw_key(&w, "answers");
        jw_raw(&w, seats[i].answers);
        jw_end(&w);
        if (seats[i].text.len)
            buf_printf(&words, "%s%.*s", words.len ? "\n\n" : "", STR_ARG(seats[i].text));
    }
    jw_end(&w);
    at->appeal->answer = arena_copy(at->arena, buf_view(&answers));
    *text = arena_copy(at->arena, buf_view(&words));
}

enum status panel_count(struct appeal_step *at, bool *decided, struct str *text, struct error *err)
{
    struct seat seats[PANEL_SEATS];
    size_t count, voted = 0;
    *decided = false;
    TRY(seats_read(at->tx, at->arena, at->appeal->id, seats, &count, err));
    for (size_t i = 0; i < count; i++)
        voted += seats[i].state == VOTED;
    for (size_t v = 0; v < VOTES; v++) {
        size_t for_it = 0;
        int64_t days = INT64_MAX;
        for (size_t i = 0; i < count; i++)
            if (seats[i].state == VOTED && str_eq(seats[i].vote, str_of(votes[v].vote))) {
                for_it++;
                days = seats[i].days < days ? seats[i].days : days;
            }
        if (for_it * 2 <= count)
            continue;
        *decided = true;
        at->appeal->outcome = votes[v].outcome;
        at->appeal->days = votes[v].outcome == APPEAL_VARIED ? days : 0;
        collect(at, seats, count, votes[v].vote, text);
        return OK;
    }
    if (count == 0 || voted < count)
        return OK;
    *decided = true;
    at->appeal->outcome = APPEAL_REMANDED;
    collect(at, seats, count, NULL, text);
    return OK;
}

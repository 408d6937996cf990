/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "router/page.h"

enum status page_cursor(struct request *rq, int64_t first, int64_t *out, struct error *err)
{
    struct str cursor = request_query(rq, "cursor", 0);
    *out = first;
    if (str_given(cursor) && !str_to_i64(cursor, out))
        return fail(err, INVALID, NULL, "\"cursor\" is not one that this hub gave out");
    return OK;
}

enum status page_reply(struct request *rq, struct stmt *row, page_row *write, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    int64_t last = 0;
    size_t count = 0;
    jw_array(&w);
    for (; stmt_next(row); count++) {
        last = stmt_int(row, 0);
        TRY(write(rq, row, &w, err));
    }
    TRY(stmt_end(row, err));
    jw_end(&w);
    if (count == PAGE)
        request_link_next(rq, arena_printf(rq->arena, "%lld", (long long)last));
    request_reply_json(rq, &body);
    return OK;
}

enum status page_list(struct request *rq, const char *sql, int64_t of, int64_t first, page_row *write,
                      struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t cursor;
    TRY(page_cursor(rq, first, &cursor, err));
    TRY(db_prepare(rq->db, sql, &row, err));
    stmt_bind_int(row, 1, of);
    stmt_bind_int(row, 2, cursor);
    stmt_bind_int(row, 3, PAGE);
    return page_reply(rq, row, write, err);
}

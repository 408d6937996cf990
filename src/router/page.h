/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ROUTER_PAGE_H
#define CAIRN_ROUTER_PAGE_H

#include "router/request.h"

/*
 * Lists a page at a time: a JSON array, and a Link header where there may be more. Each row of the query has in its column 0
 * the number that is the cursor of what follows it.
 */
#define PAGE 100

/* Where a list begins whose numbers go down or up. */
#define NEWEST_FIRST INT64_MAX
#define OLDEST_FIRST 0

/* Writes one value for a row. */
typedef enum status page_row(struct request *rq, struct stmt *row, struct json_writer *w, struct error *err);

/* Answers with the list. sql has three parameters: what the list is of, the cursor, and the number of rows at the most. */
enum status page_list(struct request *rq, const char *sql, int64_t of, int64_t first, page_row *write,
                      struct error *err);

/* The same in two, for queries with other parameters. The cursor is `first` when the request has none, and INVALID when it
 * is no number; the statement has been bound and finds at most PAGE rows. */
enum status page_cursor(struct request *rq, int64_t first, int64_t *out, struct error *err);
enum status page_reply(struct request *rq, struct stmt *row, page_row *write, struct error *err);

#endif

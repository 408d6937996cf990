/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_INTERNAL_H
#define CAIRN_GATE_INTERNAL_H

#include "db/db.h"
#include "gate/form.h"
#include "gate/request.h"
#include "router/request.h"

/* What the files of the gate share, and nobody else needs. */

extern const struct migration_set gate_migrations;

/* Of {"mode":"click"} and {"mode":"manual"}, the policies of simple gates. */
#define CLICK_SHA256 "X'9cf1db3b3d0063b88fe1a9e14c0dd8c2e4d2f91f9884764b884949f5d1cf4517'"
#define MANUAL_SHA256 "X'77746169523481895223c14fcb3d5b6eb3b382935e08d2449532764370729198'"

#define GATE_REPOS_MOST 1000

/* The gate that a repo was given for itself, in use or not. */
enum status gate_of_home(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct gate *out,
                         struct error *err);
/* R18, in a write: voids what is open where nobody can be let in any more: a gate that is closed, or has no repo left.
 * The first of them at once, the rest by a timer. */
enum status requests_close(struct db_conn *tx, int64_t gate_id, struct error *err);

#define MEMBERS_MOST 50
#define ANSWER_US (14 * DAY_US) /* for what is asked of an applicant (R9) */

/* request.c */
machine_effect request_save;
void request_of_row(struct stmt *row, struct arena *arena, struct access_request *out);
/* In a write: a draft; gate_id, applicant_id, purpose, renews_id and by_owner are given. CONFLICT "OpenRequest". */
enum status request_open(struct db_conn *tx, struct access_request *request, struct error *err);
enum status requests_erase(struct db_conn *tx, int64_t account_id, struct error *err);
extern const char *const request_forgets[];
/* In a write: asks somebody who was named as a member; applicant is a name. */
enum status tell_member(struct db_conn *tx, struct arena *arena, const struct gate *gate, struct str applicant,
                        int64_t member_id, struct error *err);
/* In a write: a member has said yes. Accepts texts, and gives the grant where the request is approved already. */
enum status request_admit_member(struct db_conn *tx, struct arena *arena, struct access_request *request,
                                 int64_t account_id, const json_t *terms, struct error *err);
/* The members of an object that head a request in every list. */
void request_write_head(struct arena *arena, const struct access_request *request, struct json_writer *w);
/* The live grant of a person for what a request asks; *id is 0 when there is none. */
enum status live_grant(struct db_conn *conn, const struct access_request *request, int64_t account_id, int64_t *id,
                       int64_t *state, struct error *err);

/* R17, a timer whose ref is a gate: a text of the gate has changed in a way that matters. Tells those who wait. */
#define REQUESTS_TERMS "request.terms"
enum status requests_told(struct db_conn *tx, int64_t id, int64_t epoch,
                          struct error *err); /* knows the texts so far */
enum status requests_terms_moved(struct db_conn *tx, int64_t gate_id, int64_t due_us, struct error *err);

/* text.c: what comes from outside, member by member. */

/* The text of a JSON value; absent when it is none. */
struct str json_str_of(const json_t *value);
/* INVALID unless object is an object that has no other members than these; what is its name in the message. */
enum status json_only(const json_t *object, const char *what, const char *const *members, struct error *err);
/* One line of visible text: 1 to limit bytes, no control characters. */
bool is_line(struct str text, size_t limit);
/* A member that is a whole number from least to most; *out stays as it is when it is not there. */
enum status json_whole(const json_t *object, const char *key, int64_t least, int64_t most, int64_t *out,
                       struct error *err);
enum status json_flag(const json_t *object, const char *key, bool *out, struct error *err);
/* A member that is a text of at most limit bytes (lines too when limit is above 1,000); absent when not there. */
enum status json_text(const json_t *object, const char *key, size_t limit, struct str *out, struct error *err);
/* A member that is a list of lines; *count is 0 when it is not there. */
enum status json_lines(struct arena *arena, const json_t *object, const char *key, size_t most, struct str **out,
                       size_t *count, struct error *err);

#endif

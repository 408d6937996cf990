/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TESTS_ACCESS_ASKED_H
#define CAIRN_TESTS_ACCESS_ASKED_H

/* What the door reads of requests, whose part is above it: for tests of what lies between. */
#define ASKED_SQL                                                                                                      \
    "CREATE TABLE access_request (id INTEGER PRIMARY KEY, applicant_id BIGINT, gate_id BIGINT, state BIGINT, "         \
    "due_us BIGINT, code TEXT);"                                                                                       \
    "CREATE INDEX access_request_person ON access_request (applicant_id, gate_id, id);"

#endif

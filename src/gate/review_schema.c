/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gate/review_internal.h"

/*
 * - gate_reviewer: who may be drawn, as what: reviewer, screener, lead, appeal. cap: open cases at once.
 * - review_conflict: a reviewer's ties to an account (a person, an organisation) or a repo. found: by the hub, not told.
 * - review_seed: of the second looks of a month (draw.h); told once the month is over.
 * - review_case: what this part keeps of a request, of its present cycle. waiting: the slot that nobody had room for, or was there for.
 *   level and touch_level: how far the clock has gone (escalate.c). conflict_us: a tie was found after the decision.
 *   affiliation and region: the groups that the applicant declared, for the figures; words, not persons.
 * - review_assignment: slot and state as in review_internal.h. Never deleted: who touched a case must not judge it again.
 * - review_verdict: note, note_to_applicant and override_reason are text that is emptied when a person is forgotten.
 *   agreed: with the other one, or with the case's decision; NULL until that is known. overturned: by an appeal.
 * - appeal: level 1 a panel of the gate, 2 the board. subject: 1 a request that was refused, 2 a grant that was revoked
 *   or suspended, 3 a step of enforcement; held: which is a suspension meanwhile. old_code and old_text: what it was revoked or suspended for.
 * - appeal_seat: a member of the panel; first: what they thought before they saw the old reasons.
 */
static const char create_sql[] =
    "CREATE TABLE gate_reviewer ("
    "  gate_id BIGINT NOT NULL REFERENCES gate (id),"
    "  account_id BIGINT NOT NULL,"
    "  role TEXT NOT NULL,"
    "  cap BIGINT NOT NULL,"
    "  by_id BIGINT NOT NULL,"
    "  since_us BIGINT NOT NULL,"
    "  PRIMARY KEY (gate_id, account_id, role));"
    "CREATE INDEX gate_reviewer_account ON gate_reviewer (account_id);"

    "CREATE TABLE review_conflict ("
    "  id INTEGER PRIMARY KEY,"
    "  account_id BIGINT NOT NULL,"
    "  scope TEXT NOT NULL,"
    "  scope_id BIGINT NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  found BIGINT NOT NULL,"
    "  declared_us BIGINT NOT NULL,"
    "  UNIQUE (account_id, scope, scope_id));"

    "CREATE TABLE review_seed (month TEXT PRIMARY KEY, seed BLOB NOT NULL, sha256 BLOB NOT NULL, made_us BIGINT NOT "
    "NULL);"

    "CREATE TABLE review_case ("
    "  request_id INTEGER PRIMARY KEY REFERENCES access_request (id),"
    "  gate_id BIGINT NOT NULL,"
    "  cycle BIGINT NOT NULL,"
    "  month TEXT NOT NULL,"
    "  rate_ppm BIGINT NOT NULL DEFAULT 0,"
    "  second_reason TEXT NOT NULL DEFAULT '',"
    "  waiting BIGINT NOT NULL DEFAULT 0,"
    "  begun_us BIGINT NOT NULL,"
    "  touched_us BIGINT NOT NULL DEFAULT 0,"
    "  touched_work_us BIGINT NOT NULL DEFAULT 0,"
    "  level BIGINT NOT NULL DEFAULT 0,"
    "  touch_level BIGINT NOT NULL DEFAULT 0,"
    "  late BIGINT NOT NULL DEFAULT 0,"
    "  identity_us BIGINT NOT NULL DEFAULT 0,"
    "  identity_confirmed BIGINT NOT NULL DEFAULT 0,"
    "  identity_note TEXT NOT NULL DEFAULT '',"
    "  conflict_us BIGINT NOT NULL DEFAULT 0,"
    "  affiliation TEXT NOT NULL DEFAULT '',"
    "  region TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX review_case_waiting ON review_case (gate_id, request_id) WHERE waiting > 0;"

    "CREATE TABLE review_assignment ("
    "  id INTEGER PRIMARY KEY,"
    "  key TEXT NOT NULL UNIQUE,"
    "  gate_id BIGINT NOT NULL,"
    "  request_id BIGINT NOT NULL REFERENCES access_request (id),"
    "  cycle BIGINT NOT NULL,"
    "  slot BIGINT NOT NULL,"
    "  account_id BIGINT NOT NULL,"
    "  alias TEXT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  scores TEXT,"
    "  assigned_us BIGINT NOT NULL,"
    "  touched_us BIGINT NOT NULL DEFAULT 0,"
    "  ended_us BIGINT NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '',"
    "  UNIQUE (request_id, cycle, account_id));"
    "CREATE INDEX review_assignment_account ON review_assignment (account_id, state, id);"
    "CREATE INDEX review_assignment_request ON review_assignment (request_id, cycle);"

    "CREATE TABLE review_verdict ("
    "  assignment_id INTEGER PRIMARY KEY REFERENCES review_assignment (id),"
    "  gate_id BIGINT NOT NULL,"
    "  request_id BIGINT NOT NULL,"
    "  cycle BIGINT NOT NULL,"
    "  slot BIGINT NOT NULL,"
    "  account_id BIGINT NOT NULL,"
    "  scores TEXT NOT NULL,"
    "  recommended BIGINT NOT NULL,"
    "  outcome BIGINT NOT NULL,"
    "  codes TEXT NOT NULL,"
    "  note TEXT NOT NULL,"
    "  note_to_applicant TEXT NOT NULL,"
    "  override_reason TEXT NOT NULL,"
    "  filed_us BIGINT NOT NULL,"
    "  agreed BIGINT,"
    "  overturned BIGINT NOT NULL DEFAULT 0);"
    "CREATE INDEX review_verdict_account ON review_verdict (account_id, gate_id, assignment_id);"
    "CREATE INDEX review_verdict_gate ON review_verdict (gate_id, assignment_id);"
    "CREATE INDEX review_verdict_request ON review_verdict (request_id, cycle);"

    "CREATE TABLE appeal ("
    "  id INTEGER PRIMARY KEY,"
    "  key TEXT NOT NULL UNIQUE,"
    "  gate_id BIGINT NOT NULL,"
    "  subject BIGINT NOT NULL,"
    "  subject_id BIGINT NOT NULL,"
    "  cycle BIGINT NOT NULL,"
    "  level BIGINT NOT NULL,"
    "  appellant_id BIGINT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  version BIGINT NOT NULL,"
    "  held BIGINT NOT NULL DEFAULT 0,"
    "  board BIGINT NOT NULL DEFAULT 0," /* decided by the hub's administrators */
    "  opened_us BIGINT NOT NULL,"
    "  decided_us BIGINT NOT NULL DEFAULT 0,"
    "  clock_level BIGINT NOT NULL DEFAULT 0,"
    "  late BIGINT NOT NULL DEFAULT 0,"
    "  grounds TEXT NOT NULL,"           /* [{"code","text"}]; [] once forgotten */
    "  facts TEXT NOT NULL DEFAULT '',"  /* new ones, for the board */
    "  answer TEXT NOT NULL DEFAULT ''," /* [{"ground","text"}] of the panel */
    "  text TEXT NOT NULL DEFAULT '',"
    "  old_code TEXT NOT NULL DEFAULT '',"
    "  old_text TEXT NOT NULL DEFAULT '',"
    "  UNIQUE (subject, subject_id, cycle, level));"
    "CREATE INDEX appeal_appellant ON appeal (appellant_id, id);"
    "CREATE INDEX appeal_gate ON appeal (gate_id, id);"

    "CREATE TABLE appeal_seat ("
    "  appeal_id BIGINT NOT NULL REFERENCES appeal (id),"
    "  account_id BIGINT NOT NULL,"
    "  alias TEXT NOT NULL,"
    "  state BIGINT NOT NULL,"
    "  seated_us BIGINT NOT NULL,"
    "  first TEXT NOT NULL DEFAULT '',"
    "  first_note TEXT NOT NULL DEFAULT '',"
    "  vote TEXT NOT NULL DEFAULT '',"
    "  days BIGINT NOT NULL DEFAULT 0,"
    "  answers TEXT NOT NULL DEFAULT '[]',"
    "  text TEXT NOT NULL DEFAULT '',"
    "  voted_us BIGINT NOT NULL DEFAULT 0,"
    "  PRIMARY KEY (appeal_id, account_id));"
    "CREATE INDEX appeal_seat_account ON appeal_seat (account_id, state, appeal_id);";

const struct migration_set review_migrations = {"review", (const char *const[]){create_sql, NULL}};

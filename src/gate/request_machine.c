/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of a request, as one table (access.md C3); below it what its rows ask and do. */
#include "base/time.h"
#include "gate/guards.h"
#include "gate/internal.h"

static const struct machine_state states[REQUEST_STATES] = {
    [REQUEST_DRAFT] = {"draft", "draft", false, false},
    [REQUEST_SCREENING] = {"screening", "received", false, true},
    [REQUEST_VERIFY_WAIT] = {"verify_wait", "waiting for you", false, false},
    [REQUEST_IN_REVIEW] = {"in_review", "under review", false, true},
    [REQUEST_INFO_WAIT] = {"info_wait", "waiting for you", false, false},
    [REQUEST_SECOND_REVIEW] = {"second_review", "under review", false, true},
    [REQUEST_ADJUDICATION] = {"adjudication", "under review", false, true},
    [REQUEST_APPROVED] = {"approved", "approved", true, false},
    [REQUEST_REFUSED] = {"refused", "refused", true, false},
    [REQUEST_WITHDRAWN] = {"withdrawn", "closed", true, false},
    [REQUEST_LAPSED] = {"lapsed", "closed", true, false},
    [REQUEST_VOID] = {"void", "closed", true, false},
};

static const char *const events[REQUEST_EVENTS] = {
    [REQUEST_SAVE] = "save",       [REQUEST_SUBMIT] = "submit",       [REQUEST_ADD] = "add",
    [REQUEST_BAR] = "bar",         [REQUEST_CLEAR] = "clear",         [REQUEST_MISSING] = "missing",
    [REQUEST_CHECKED] = "checked", [REQUEST_HUMAN] = "human",         [REQUEST_ASK] = "ask",
    [REQUEST_ANSWER] = "answer",   [REQUEST_NO_ANSWER] = "no answer", [REQUEST_VERDICT] = "verdict",
    [REQUEST_RECUSE] = "recuse",   [REQUEST_WITHDRAW] = "withdraw",   [REQUEST_TERMS_MOVED] = "terms moved",
    [REQUEST_CLOSE] = "close",     [REQUEST_OVERDUE] = "overdue",     [REQUEST_SILENCE] = "silence",
    [REQUEST_REAPPLY] = "reapply", [REQUEST_REOPEN] = "reopen",       [REQUEST_UPHOLD] = "uphold",
};

/* clang-format off */
#define STATE(name) REQUEST_##name
static const struct move moves[] = {
    /* asking */
    {REQUEST_SAVE, STATE(DRAFT), TO_SAME, BY_HOLDER, NULL, write_answers, "", "keeps the answers so far"},
    {REQUEST_SUBMIT, STATE(DRAFT), STATE(SCREENING), BY_HOLDER, may_submit, begin_screening,
     "the gate is open, the factor that it asks for set up, every text accepted, no block, no live grant, the cool-down after a refusal or a revocation over", "fixes the answers; screens"},
    {REQUEST_ADD, STATE(DRAFT), STATE(APPROVED), BY_OWNER | BY_RULE, NULL, let_in, "", "opens the grant; the person still has to accept the texts"},

    /* screening, by published rules */
    {REQUEST_BAR, STATE(SCREENING), STATE(REFUSED), BY_RULE, is_barred, tell_refused, "the declared country is outside of the territory", "tells"},
    {REQUEST_MISSING, STATE(SCREENING), STATE(VERIFY_WAIT), BY_RULE, lacks_checks, tell_missing, "a named check is open", "tells; lapses in 14 days"},
    {REQUEST_CLEAR, STATE(SCREENING), STATE(APPROVED), BY_RULE, may_clear, let_in,
     "by click, or the rule holds; risk 0 or 1, not sampled; a renewal: nothing has changed, clean, risk up to 2, not sampled", "opens the grant"},
    {REQUEST_HUMAN, STATE(SCREENING), STATE(IN_REVIEW), BY_RULE, NULL, review_begin, "", "draws a reviewer"},
    {REQUEST_CHECKED, STATE(VERIFY_WAIT), STATE(SCREENING), BY_HOLDER | BY_RULE, has_checks, screen_again, "no check is open any more", "screens again"},

    /* between applicant and reviewers */
    {REQUEST_ASK, STATE(IN_REVIEW), STATE(INFO_WAIT), BY_REVIEWER | BY_OWNER, may_judge, write_question, "by who judges it", "keeps the question, tells; lapses in 14 days"},
    {REQUEST_ASK, STATE(SECOND_REVIEW), STATE(INFO_WAIT), BY_REVIEWER, NULL, write_question, "", "keeps the question, tells; lapses in 14 days"},
    {REQUEST_ANSWER, STATE(INFO_WAIT), TO_BACK, BY_HOLDER, NULL, write_answers, "", "keeps the answers beside the old ones"},
    {REQUEST_NO_ANSWER, STATE(INFO_WAIT), STATE(LAPSED), BY_RULE, wait_is_over, tell_lapsed, "14 days have passed", "tells; no refusal, no cool-down"},
    {REQUEST_NO_ANSWER, STATE(VERIFY_WAIT), STATE(LAPSED), BY_RULE, wait_is_over, tell_lapsed, "14 days have passed", "tells; no refusal, no cool-down"},

    /* deciding */
    {REQUEST_VERDICT, STATE(IN_REVIEW), STATE(SECOND_REVIEW), BY_REVIEWER, review_needs_second, review_second, "the published rule asks for a second look", "draws another reviewer, who is not told"},
    {REQUEST_VERDICT, STATE(IN_REVIEW), STATE(APPROVED), BY_REVIEWER | BY_OWNER, approves, let_in, "it approves; by who judges it; every text accepted", "opens the grant"},
    {REQUEST_VERDICT, STATE(IN_REVIEW), STATE(REFUSED), BY_REVIEWER | BY_OWNER, refuses, tell_refused, "it refuses; by who judges it", "tells; ends what had been suspended"},
    {REQUEST_VERDICT, STATE(SECOND_REVIEW), STATE(ADJUDICATION), BY_REVIEWER, second_differs, review_adjudicate, "it differs from the first", "draws a third reviewer"},
    {REQUEST_VERDICT, STATE(SECOND_REVIEW), STATE(APPROVED), BY_REVIEWER, approves, let_in, "both approve; every text accepted", "opens the grant"},
    {REQUEST_VERDICT, STATE(SECOND_REVIEW), STATE(REFUSED), BY_REVIEWER, refuses, tell_refused, "both refuse", "tells"},
    {REQUEST_VERDICT, STATE(ADJUDICATION), STATE(APPROVED), BY_REVIEWER, third_approves, let_in, "it approves, by neither of the two; every text accepted", "opens the grant"},
    {REQUEST_VERDICT, STATE(ADJUDICATION), STATE(REFUSED), BY_REVIEWER, third_refuses, tell_refused, "it refuses, by neither of the two", "tells"},
    {REQUEST_VERDICT, STATE(INFO_WAIT), STATE(APPROVED), BY_OWNER, approves, let_in, "it approves; the owner judges alone; every text accepted", "opens the grant"},
    {REQUEST_VERDICT, STATE(INFO_WAIT), STATE(REFUSED), BY_OWNER, refuses, tell_refused, "it refuses; the owner judges alone", "tells"},
    {REQUEST_VERDICT, STATE(VERIFY_WAIT), STATE(APPROVED), BY_OWNER, approves, let_in, "it approves; the owner judges alone; every text accepted", "opens the grant"},
    {REQUEST_VERDICT, STATE(VERIFY_WAIT), STATE(REFUSED), BY_OWNER, refuses, tell_refused, "it refuses; the owner judges alone", "tells"},
    {REQUEST_SILENCE, STATE(IN_REVIEW), STATE(APPROVED), BY_RULE, silence_approves, let_in, "overdue; the gate says that silence approves; risk 0 or 1; every text accepted", "opens the grant"},
    {REQUEST_RECUSE, STATE(IN_REVIEW), TO_SAME, BY_REVIEWER | BY_RULE, NULL, review_redraw, "", "draws again; the clock goes on"},
    {REQUEST_RECUSE, STATE(SECOND_REVIEW), TO_SAME, BY_REVIEWER | BY_RULE, NULL, review_redraw, "", "draws again; the clock goes on"},
    {REQUEST_RECUSE, STATE(ADJUDICATION), TO_SAME, BY_REVIEWER | BY_RULE, NULL, review_redraw, "", "draws again; the clock goes on"},
    {REQUEST_OVERDUE, STATE(IN_REVIEW), TO_SAME, BY_RULE, NULL, review_redraw, "", "draws another reviewer for who was too slow (C10)"},
    {REQUEST_OVERDUE, STATE(SECOND_REVIEW), TO_SAME, BY_RULE, NULL, review_redraw, "", "draws another reviewer for who was too slow (C10)"},
    {REQUEST_OVERDUE, STATE(ADJUDICATION), TO_SAME, BY_RULE, NULL, review_redraw, "", "draws another reviewer for who was too slow (C10)"},

    /* what may come at any time */
    {REQUEST_WITHDRAW, FROM_ANY_OPEN, STATE(WITHDRAWN), BY_HOLDER | BY_RULE, NULL, end_case, "", "ends the review"},
    {REQUEST_TERMS_MOVED, FROM_ANY_OPEN, TO_SAME, BY_RULE, NULL, tell_terms, "", "tells: the new text has to be accepted before anybody can approve"},
    {REQUEST_CLOSE, FROM_ANY_OPEN, STATE(VOID), BY_RULE, NULL, end_void, "", "ends the review; tells"},

    /* once more */
    {REQUEST_REAPPLY, STATE(REFUSED), STATE(IN_REVIEW), BY_RULE, may_submit, reapply, "the applicant asks anew: as for submit; the cool-down over, and not too many times", "a new cycle with the old file; draws a reviewer"},
    {REQUEST_REOPEN, STATE(REFUSED), STATE(IN_REVIEW), BY_OWNER | BY_BOARD | BY_RULE, NULL, reopen, "", "a new cycle with the old file; draws a reviewer"},
    {REQUEST_UPHOLD, STATE(REFUSED), STATE(APPROVED), BY_RULE, NULL, let_in, "an appeal was upheld, or in part", "opens the grant; texts that moved still have to be accepted"},
    {REQUEST_REOPEN, STATE(APPROVED), STATE(IN_REVIEW), BY_OWNER | BY_BOARD, NULL, reopen, "", "suspends the grant; a new cycle with the old file; draws a reviewer"},
};
/* clang-format on */

const struct machine request_machine = {
    .name = "request",
    .purpose = "A request for access: one person at one gate for one purpose, from the first draft to the decision.",
    .states = states,
    .state_count = REQUEST_STATES,
    .events = events,
    .event_count = REQUEST_EVENTS,
    .moves = moves,
    .move_count = sizeof moves / sizeof *moves,
    .save = request_save,
};

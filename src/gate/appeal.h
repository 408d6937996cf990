/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_APPEAL_H
#define CAIRN_GATE_APPEAL_H

#include "base/json.h"
#include "gate/review.h"

/*
 * An appeal against a refusal, the revocation or suspension of a grant, or a step of enforcement (access.md C8): decided by people who
 * had nothing to do with it, within 10 working days. One for each decision, within the gate's window; and once more by
 * the board, the hub's administrators, when there are new facts. Where no panel can be drawn the board decides.
 *
 * A refusal stays in force meanwhile. A revocation becomes a suspension until it is decided, unless it was for safety:
 * its code is "safety" or begins with "safety-".
 */
enum appeal_state {
    APPEAL_OPEN,
    APPEAL_ADMISSIBLE,
    APPEAL_PANEL,
    APPEAL_UPHELD,    /* the appellant was right: the grant, or the grant again */
    APPEAL_VARIED,    /* in part: a grant for fewer days; a suspension for some days instead of a revocation */
    APPEAL_DISMISSED, /* the decision stands */
    APPEAL_REMANDED,  /* to be decided again, with binding questions */
    APPEAL_OUT_OF_TIME,
    APPEAL_WITHDRAWN,
    APPEAL_STATES,
};

enum appeal_event {
    APPEAL_FILE,     /* the hub looks at whether it is in time */
    APPEAL_SEAT,     /* a panel is drawn, or the board asked */
    APPEAL_DECIDE,   /* appeal.outcome says which way */
    APPEAL_STEP_OUT, /* a member of the panel leaves: somebody else is drawn */
    APPEAL_OVERDUE,  /* the board takes over */
    APPEAL_WITHDRAW,
    APPEAL_EVENTS,
};

enum appeal_subject { APPEAL_OF_REQUEST = 1, APPEAL_OF_GRANT = 2, APPEAL_OF_STEP = 3 };

struct appeal {
    int64_t id, gate_id;
    enum appeal_subject subject;
    int64_t subject_id, cycle; /* the request and its cycle; the grant, and the version that was decided; the step of
                                * enforcement, and when it was done */
    int64_t level;             /* 1, or 2: the further look by the board */
    int64_t appellant_id;
    enum appeal_state state;
    int64_t version;
    bool board; /* the hub's administrators sit on it */
    bool held;  /* the revocation is a suspension meanwhile */
    int64_t opened_us, decided_us, clock_level;
    bool late;
    struct str key; /* 16 hex digits: what the address names it by */
    struct str grounds, facts, answer, text, old_code, old_text;
    enum appeal_state outcome; /* of DECIDE */
    int64_t days;              /* of a VARIED one */
};

extern const struct machine appeal_machine;

/* What guards and effects find behind step->subject. */
struct appeal_step {
    struct db_conn *tx;
    struct arena *arena;
    struct appeal *appeal;
    struct gate gate;
    struct gate_policy policy;
    int64_t against_us; /* when the decision was made that this is about */
};

enum status appeal_get_id(struct db_conn *conn, struct arena *arena, int64_t id, struct appeal *out, struct error *err);
enum status appeal_find(struct db_conn *conn, struct arena *arena, struct str key, struct appeal *out,
                        struct error *err);

/* In a write: stores a new one in state OPEN; CONFLICT "Appealed" when that decision was appealed on this level. */
enum status appeal_add(struct db_conn *tx, struct arena *arena, struct appeal *appeal, struct error *err);
/* In a write: stores a new one and looks at whether it is in time. barred: those who may not hear it, as they have done
 * what it is about. */
enum status appeal_file(struct db_conn *tx, struct arena *arena, struct appeal *appeal, const int64_t *barred,
                        size_t count, struct error *err);
int64_t appeal_due_us(const struct appeal *appeal);
/* Something happens to it, in a write. text: of a decision, for the appellant. */
enum status appeal_do(struct db_conn *tx, struct arena *arena, struct appeal *appeal, enum appeal_event event,
                      enum mover by, int64_t actor_id, struct str text, struct error *err);

/* The panel (appeal_panel.c). */

#define PANEL_SEATS 3
#define GROUNDS_MOST 8
enum seat_state { SEATED = 1, VOTED = 2, LEFT = 3 };

struct seat {
    int64_t account_id;
    struct str alias;
    enum seat_state state;
    bool looked; /* has filed a first look, and may see the old reasons */
    struct str vote;
    int64_t days;
    struct str answers, text; /* answers: JSON */
};
/* Those who have not left; out has room for PANEL_SEATS. */
enum status seats_read(struct db_conn *conn, struct arena *arena, int64_t appeal_id, struct seat *out, size_t *count,
                       struct error *err);
/* That of one person; NOT_FOUND in the words for an appeal that is somebody else's. */
enum status seat_of(struct db_conn *conn, struct arena *arena, const struct appeal *appeal, int64_t account_id,
                    struct seat *out, struct error *err);
/* Fills the panel up to PANEL_SEATS, an odd number in any case; from the gate's pool "appeal", or from the board when
 * nobody of it can sit. */
enum status panel_draw(struct appeal_step *at, struct error *err);
/* Who has not voted leaves, and the board sits down. */
enum status panel_to_board(struct appeal_step *at, struct error *err);
/* Counts: *decided when some outcome has more than half of the seats, or all have voted; then appeal->outcome, days,
 * answer and *text are filled. Without a majority it is remanded. */
enum status panel_count(struct appeal_step *at, bool *decided, struct str *text, struct error *err);

/* The grounds of a body, or its "text" as one of code "other"; the reply to who has filed one (appeal_api.c). */
enum status appeal_grounds(struct arena *arena, const json_t *body, struct str *out, struct error *err);
enum status appeal_reply(struct request *rq, const struct appeal *appeal);

/* What a member of the panel sends. */
struct appeal_hearing {
    struct arena *arena;
    struct str key;
    int64_t actor_id;
    const json_t *body;
    /* read in the write */
    struct appeal appeal;
    struct seat seat;
};
/* In a write: what one thinks before seeing the reasons; the vote, which may decide; leaving. */
enum status appeal_look(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err);
enum status appeal_vote(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err);
enum status appeal_step_out(struct db_conn *tx, struct appeal_hearing *hearing, struct error *err);

#endif

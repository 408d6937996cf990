/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GRANT_INTERNAL_H
#define CAIRN_GRANT_INTERNAL_H

#include "base/time.h"
#include "grant/grant.h"
#include "notice/notice.h"
#include "router/request.h"
#include "terms/terms.h"

/* What the files of this part share. */
extern const struct migration_set grant_migrations;

#define DAY_US (INT64_C(86400) * SECOND_US)
#define CAUSES_MOST 32
#define CODE_MOST 48
#define TEXT_MOST 20000
#define CAUSE_TERMS "terms" /* the cause that accepting removes, and nothing else */

/* Why a grant is suspended. It is while any cause stands. */
struct cause {
    struct str code;
    enum mover by;
    int64_t until_us; /* 0: open */
};

/* A grant on its way through its machine: the subject of the steps. */
struct granting {
    struct db_conn *tx;
    struct arena arena;
    struct grant grant; /* as it is stored; id 0 for one that is new */
    struct terms_standing terms;
    struct cause causes[CAUSES_MOST];
    size_t cause_count;
    int64_t repo_id;      /* for events and notices */
    struct str gate_name; /* "model ns/name" */
    int64_t until_us;     /* of the suspension that is asked for */
    int64_t renew_us;     /* GRANT_RENEW */
    const char *basis;    /* of the decision; NULL: follows from who moves it */
    const uint8_t *policy;
    bool renews;  /* the new grant of a renewal */
    bool forgets; /* the account is being erased: nothing that names it */
};
#define auto_granting __attribute__((cleanup(granting_free)))
void granting_free(struct granting *granting);

/* grant.c, in a write: reads a grant with all that its machine looks at. */
enum status granting_load(struct db_conn *tx, int64_t id, struct granting *out, struct error *err);
/* Does one event, appends its event, and sets the clock; now_us is the time that everything is compared with. */
struct grant_deed {
    enum grant_event event;
    enum mover by;
    int64_t actor_id, now_us;
    struct str code, text;
};
enum status granting_step(struct granting *granting, const struct grant_deed *deed, struct error *err);
/* clock.c: writes down what has come true by the clock alone. */
enum status granting_catch_up(struct granting *granting, int64_t now_us, struct error *err);
enum status granting_wind(struct granting *granting, int64_t now_us, struct error *err);
bool granting_is_live(const struct granting *granting);

/* What the guards ask. */
bool is_life_over(const struct granting *g, int64_t now_us);
bool is_terms_only(const struct granting *g); /* no other cause stands */
bool cause_ended(const struct cause *cause, int64_t now_us);

/* notice.c */
enum status tell_holder(struct granting *g, const char *kind, int64_t due_us, struct error *err, const char *format,
                        ...) __attribute__((format(printf, 5, 6)));
const char *day_of(struct granting *g, int64_t us);

/* clock.c */
extern const struct timer_kind grant_timers[];
enum status grant_accepted(struct db_conn *tx, int64_t account_id, struct error *err);
/* erase.c */
enum status grant_erase(struct db_conn *tx, int64_t account_id, struct error *err);
extern const char *const grant_forgets[];

/* api.c */ route_handler grants_mine, grants_of_repo, grant_surrender, grant_revoke, grant_suspend, grant_resume;

#endif

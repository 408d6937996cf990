/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Thousands of random events on several grants of one gate: what people do, what is published, and time that passes.
 * A model of a few lines says what must be true; the door has to agree with it before any timer has run, and the
 * written states after.
 */
#include "fixture.h"

#define PEOPLE 3
#define PURPOSES 2
#define DOCS 2
#define GRANTS_MOST 6000
#define EPOCHS_MOST 600
#define CAUSES 9 /* each code by each mover */
#define STEPS 5000

static uint64_t seed;

static uint64_t draw(uint64_t below) /* splitmix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static bool one_in(uint64_t n)
{
    return draw(n) == 0;
}

/* The model. */

struct model_cause {
    const char *code;
    enum mover by;
    int64_t until_us;
};

struct model_grant {
    int64_t id, expires_us;
    int person, purpose;
    struct model_cause causes[CAUSES];
    size_t cause_count;
    enum grant_state ended; /* 0 while it is live */
};

static struct {
    struct house *house;
    int64_t people[PEOPLE];
    struct {
        int64_t doc, seq, due_us;
    } epochs[EPOCHS_MOST + 1]; /* from 1 on */
    int64_t epoch;
    int64_t seq[DOCS], basis[DOCS], accepted[PEOPLE][DOCS];
    char text[DOCS][64];
    struct model_grant grants[GRANTS_MOST];
    size_t count;
} m;

static const char *const docs[DOCS] = {"acme/licence", "acme/privacy"};
static const char *const purposes[PURPOSES] = {"", "teaching"};
static const char *const codes[] = {"inquiry", "harm", "sponsor-left"};

/* -1 when something was never accepted. */
static int64_t reached(int person)
{
    for (int doc = 0; doc < DOCS; doc++)
        if (m.accepted[person][doc] < 1)
            return -1;
    for (int64_t epoch = 1; epoch <= m.epoch; epoch++)
        if (m.accepted[person][m.epochs[epoch].doc] < m.epochs[epoch].seq)
            return epoch - 1;
    return m.epoch;
}

static int64_t terms_due(int person)
{
    int64_t due_us = INT64_MAX;
    for (int64_t epoch = reached(person) + 1; epoch <= m.epoch; epoch++)
        if (epoch > 0 && m.epochs[epoch].due_us < due_us)
            due_us = m.epochs[epoch].due_us;
    return due_us;
}

/* The state that has come true by now. Only the terms do not hold up the end of a grant's life. */
static enum grant_state state_of(struct model_grant *grant, int64_t at_us)
{
    if (grant->ended)
        return grant->ended;
    for (size_t i = 0; i < grant->cause_count; i++)
        if (grant->causes[i].until_us == 0 || grant->causes[i].until_us > at_us)
            return GRANT_SUSPENDED;
    if (grant->expires_us && at_us >= grant->expires_us)
        return grant->ended = GRANT_EXPIRED;
    if (reached(grant->person) < 0 || terms_due(grant->person) == INT64_MAX)
        return GRANT_ACTIVE;
    return at_us >= terms_due(grant->person) ? GRANT_SUSPENDED : GRANT_REACCEPT_DUE;
}

/* What time has ended is gone for good. */
static void settle(int64_t at_us)
{
    for (size_t i = 0; i < m.count; i++) {
        struct model_grant *grant = &m.grants[i];
        size_t kept = 0;
        for (size_t j = 0; j < grant->cause_count; j++)
            if (grant->causes[j].until_us == 0 || grant->causes[j].until_us > at_us)
                grant->causes[kept++] = grant->causes[j];
        grant->cause_count = kept;
        state_of(grant, at_us);
    }
}

static bool is_live(const struct model_grant *grant)
{
    return grant->ended == 0;
}

static struct model_grant *live_of(int person, int purpose)
{
    struct model_grant *found = NULL;
    for (size_t i = 0; i < m.count; i++)
        if (m.grants[i].person == person && m.grants[i].purpose == purpose && is_live(&m.grants[i])) {
            assert_null(found); /* never two */
            found = &m.grants[i];
        }
    return found;
}

static struct model_grant *add_grant(int64_t id, int person, int purpose, int64_t expires_us)
{
    assert_true(m.count < GRANTS_MOST);
    m.grants[m.count] = (struct model_grant){.id = id, .person = person, .purpose = purpose, .expires_us = expires_us};
    return &m.grants[m.count++];
}

/* Events. Each is tried whether or not the model allows it, and has to come out as the model says. */

static struct model_grant *any_grant(void)
{
    size_t newest = m.count < 8 ? m.count : 8; /* the old ones are over for long */
    return m.count ? &m.grants[m.count - 1 - draw(newest)] : NULL;
}

static void try_open(void)
{
    int person = (int)draw(PEOPLE), purpose = (int)draw(PURPOSES);
    int64_t life_us = one_in(4) ? 0 : (int64_t)(1 + draw(120)) * DAY, id = 0;
    struct error why = {0};
    settle(now_us());
    enum status status = open_for(m.house, m.people[person], purposes[purpose], life_us, &id, &why);
    assert_int_equal(live_of(person, purpose) ? CONFLICT : OK, status);
    if (status == OK)
        add_grant(id, person, purpose, life_us ? the_grant(m.house, id).expires_us : 0);
}

static void try_renew(void)
{
    struct model_grant *old = any_grant();
    int64_t window_us = 20 * DAY, life_us = (int64_t)(1 + draw(90)) * DAY, id = 0;
    struct error why = {0};
    if (!old)
        return;
    int64_t at_us = now_us();
    settle(at_us);
    enum grant_state state = state_of(old, at_us);
    struct model_grant *other = live_of(old->person, old->purpose);
    enum status want = state == GRANT_ACTIVE || state == GRANT_REACCEPT_DUE ? OK
                       : state != GRANT_EXPIRED                             ? CONFLICT
                       : at_us >= old->expires_us + window_us               ? UNPROCESSABLE
                       : other                                              ? CONFLICT
                                                                            : OK;
    enum status status = renew(m.house, old->id, life_us, window_us, &id, &why);
    assert_int_equal(want, status);
    if (status != OK)
        return;
    old->ended = GRANT_SUPERSEDED;
    add_grant(id, old->person, old->purpose, the_grant(m.house, id).expires_us);
    assert_non_null(live_of(old->person, old->purpose)); /* never a gap */
}

/* The holder leaves by surrender only, and nobody else does that. */
static enum status want_end(struct model_grant *grant, enum grant_event event, enum mover by)
{
    if (!is_live(grant))
        return CONFLICT;
    return (event == GRANT_SURRENDER) == (by == BY_HOLDER) ? OK : FORBIDDEN;
}

static void try_end(void)
{
    struct model_grant *grant = any_grant();
    enum grant_event event = one_in(2) ? GRANT_REVOKE : GRANT_SURRENDER;
    enum mover by = (enum mover[]){BY_HOLDER, BY_OWNER, BY_BOARD}[draw(3)];
    struct error why = {0};
    if (!grant)
        return;
    settle(now_us());
    enum status want = want_end(grant, event, by);
    assert_int_equal(want, act(m.house, grant->id, event, by, "misuse", 0, &why));
    if (want == OK)
        grant->ended = event == GRANT_REVOKE ? GRANT_REVOKED : GRANT_SURRENDERED;
}

static void note_cause(struct model_grant *grant, const struct model_cause *cause)
{
    for (size_t i = 0; i < grant->cause_count; i++)
        if (grant->causes[i].code == cause->code && grant->causes[i].by == cause->by) {
            grant->causes[i] = *cause;
            return;
        }
    assert_true(grant->cause_count < CAUSES);
    grant->causes[grant->cause_count++] = *cause;
}

static const enum mover takers[] = {BY_OWNER, BY_BOARD, BY_RULE};

static void try_suspend(void)
{
    struct model_grant *grant = any_grant();
    struct model_cause cause = {codes[draw(3)], takers[draw(3)], 0};
    struct error why = {0};
    if (!grant)
        return;
    settle(now_us());
    cause.until_us = one_in(3) ? 0 : now_us() + (int64_t)(1 + draw(20)) * DAY;
    enum status want = is_live(grant) ? OK : CONFLICT;
    assert_int_equal(want, act(m.house, grant->id, GRANT_SUSPEND, cause.by, cause.code, cause.until_us, &why));
    if (want == OK)
        note_cause(grant, &cause);
}

/* The owner ends what the owner or a rule has set, the board everything, a rule what a rule has set and it names. */
static bool can_end(const struct model_cause *cause, enum mover by, const char *code)
{
    if (code && cause->code != code)
        return false;
    return by == BY_BOARD || (by == BY_OWNER && cause->by != BY_BOARD) ||
           (by == BY_RULE && cause->by == BY_RULE && code);
}

static void try_resume(void)
{
    struct model_grant *grant = any_grant();
    enum mover by = takers[draw(3)];
    const char *code = one_in(2) ? NULL : codes[draw(3)];
    struct error why = {0};
    size_t kept = 0;
    if (!grant)
        return;
    settle(now_us());
    bool is_suspended = state_of(grant, now_us()) == GRANT_SUSPENDED;
    for (size_t i = 0; i < grant->cause_count; i++)
        if (!can_end(&grant->causes[i], by, code))
            kept++;
    enum status want = !is_suspended ? CONFLICT : kept == grant->cause_count ? FORBIDDEN : OK;
    assert_int_equal(want, act(m.house, grant->id, GRANT_RESUME, by, code, 0, &why));
    if (want != OK)
        return;
    kept = 0;
    for (size_t i = 0; i < grant->cause_count; i++)
        if (!can_end(&grant->causes[i], by, code))
            grant->causes[kept++] = grant->causes[i];
    grant->cause_count = kept;
}

static void do_accept(void)
{
    int person = (int)draw(PEOPLE), doc = (int)draw(DOCS);
    settle(now_us());
    accepts(m.house, m.people[person], docs[doc], m.text[doc]);
    m.accepted[person][doc] = m.seq[doc];
}

static void do_publish(void)
{
    static const enum change changes[] = {CHANGE_EDITORIAL, CHANGE_MINOR, CHANGE_MATERIAL, CHANGE_MATERIAL,
                                          CHANGE_EMERGENCY};
    int doc = (int)draw(DOCS);
    struct version_row made;
    struct posting posting = {.slug = docs[doc] + strlen("acme/"), .text = m.text[doc], .confirmed = true};
    posting.change = changes[draw(5)];
    posting.grace_us = (int64_t)draw(40) * DAY;
    posting.effective_us = one_in(2) ? 0 : now_us() + (int64_t)draw(10) * DAY + MINUTE_US;
    settle(now_us());
    snprintf(m.text[doc], sizeof m.text[doc], "You must do %lld.\n", (long long)m.seq[doc]);
    GOOD(post(m.house, &posting, &made, err));
    if (posting.change == CHANGE_EMERGENCY)
        GOOD(countersign(m.house, &made, m.people[0], err));
    m.seq[doc]++;
    assert_int_equal(m.seq[doc], made.seq);
    if (posting.change < CHANGE_MATERIAL)
        return;
    assert_true(m.epoch < EPOCHS_MOST);
    m.epoch++;
    m.epochs[m.epoch].doc = doc;
    m.epochs[m.epoch].seq = made.seq;
    m.epochs[m.epoch].due_us = count_of(m.house, "SELECT due_us FROM gate_epoch WHERE epoch = ?", m.epoch);
}

/* Checks. */

static bool model_lets_in(int person, int64_t at_us)
{
    for (int purpose = 0; purpose < PURPOSES; purpose++) {
        struct model_grant *grant = live_of(person, purpose);
        enum grant_state state = grant ? state_of(grant, at_us) : GRANT_EXPIRED;
        if ((state == GRANT_ACTIVE || state == GRANT_REACCEPT_DUE) && reached(person) >= 0)
            return true;
    }
    return false;
}

static void check_door(void)
{
    for (int person = 0; person < PEOPLE; person++) {
        struct error why;
        settle(now_us());
        bool want = model_lets_in(person, now_us()), got = is_let_in(m.house, m.people[person], &why);
        if (want != got)
            print_error("person %d: the model says %d, the door %d: %s\n", person, want, got, why.message);
        assert_int_equal(want, got);
    }
}

static void check_written(size_t newest)
{
    int64_t at_us = now_us();
    settle(at_us);
    for (size_t i = m.count > newest ? m.count - newest : 0; i < m.count; i++) {
        struct model_grant *grant = &m.grants[i];
        enum grant_state want = state_of(grant, at_us), got = the_grant(m.house, grant->id).state;
        if (want != got)
            print_error("grant %lld: the model says %s, the row %s\n", (long long)grant->id,
                        grant_machine.states[want].name, grant_machine.states[got].name);
        assert_int_equal(want, got);
    }
}

static const char two_live_sql[] = "SELECT count(*) FROM (SELECT 1 FROM access_grant WHERE state <= ? "
                                   "GROUP BY gate_id, account_id, purpose HAVING count(*) > 1)";

static void pass_time(void)
{
    go_ahead(m.house, one_in(4) ? (int64_t)draw(40) * DAY + 7 * MINUTE_US : (int64_t)draw(72) * 60 * MINUTE_US + 1);
    check_door();
    if (one_in(2))
        return; /* timers may be late */
    run_timers(m.house);
    check_written(40);
    check_door();
}

static void random_events_leave_the_door_and_the_rows_as_the_model_says(void **state)
{
    static void (*const events[])(void) = {try_open,   try_open,  try_renew, try_end,   try_suspend, try_resume,
                                           try_resume, do_accept, do_accept, do_accept, do_accept,   pass_time,
                                           pass_time,  pass_time, pass_time, try_renew, try_resume};
    m.house = *state;
    m.people[0] = m.house->ada;
    m.people[1] = m.house->ben;
    m.people[2] = add_user(m.house->town, "cleo");
    for (int doc = 0; doc < DOCS; doc++) {
        snprintf(m.text[doc], sizeof m.text[doc], "You may use it.\n");
        posted(m.house, docs[doc] + strlen("acme/"), m.text[doc], CHANGE_MATERIAL);
        m.seq[doc] = 1;
    }
    bind_to(m.house, m.house->gate, 0, docs[0], docs[1]);
    for (int step = 0; step < STEPS; step++) {
        if (one_in(40))
            do_publish();
        else
            events[draw(sizeof events / sizeof *events)]();
        arena_reset(m.house->arena);
    }
    run_timers(m.house);
    check_written(m.count);
    assert_int_equal(0, count_of(m.house, two_live_sql, 3));
    print_message("%zu grants, %lld epochs\n", m.count, (long long)m.epoch);
    assert_true(m.count > 100 && m.epoch > 40); /* something did happen */
}

int main(void)
{
    const char *given = getenv("SEED");
    const struct CMUnitTest tests[] = {in_house(random_events_leave_the_door_and_the_rows_as_the_model_says)};
    seed = given ? strtoull(given, NULL, 0) : 20261125;
    print_message("SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

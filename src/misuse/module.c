/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "misuse/internal.h"

static const struct route routes[] = {
    {HTTP_GET, "/api/misuse/signals", ACT_LIST, signals_get},
    {HTTP_GET, "/api/misuse", ACT_APPEAL, cases_get},
    {HTTP_POST, "/api/misuse/{id}/appeal", ACT_APPEAL, case_appeal},
    {HTTP_POST, "/api/misuse/{id}/confirm", ACT_SELF_CHANGE, case_confirm},
    {HTTP_POST, "/api/misuse/{id}", ACT_SELF_CHANGE, case_decide},
    {HTTP_GET, "/misuse", ACT_LIST, misuse_page_get},
    {HTTP_POST, "/misuse", ACT_APPEAL, misuse_page_post},
    {HTTP_POST, "/api/keys/honey", ACT_SELF_CHANGE, honey_post},
    {HTTP_POST, "/api/keys/leaked", ACT_PUBLIC, leaked_post},
    {0},
};

static enum status fade_in_write(struct db_conn *tx, void *context, struct error *err)
{
    (void)context;
    return cases_fade(tx, err);
}

static enum status fade(struct hub *hub, struct error *err)
{
    return db_write(hub->db, fade_in_write, NULL, err);
}

static const struct job jobs[] = {
    {"signs of misuse", 1, look_run, .last = true},
    {"uploads that are held", 1, holds_run, .soon = true},
    {"honey keys", 1, honey_run, .last = true},
    {"programs of keys", 60, look_write_clients, .last = true},
    {"sign-ups", 10, sign_ups_run},
    {"misuse that fades", 600, fade},
    {0},
};
static const struct timer_kind timers[] = {{"misuse.case", case_late}, {0}};
static const struct machine *const machines[] = {&misuse_machine, NULL};

static const char *const forgets[] = {
    "DELETE FROM misuse_signal WHERE account_id = ?",
    "DELETE FROM misuse_client WHERE key_id IN (SELECT id FROM api_key WHERE account_id = ?)",
    "UPDATE misuse_case SET appeal = '', answer = '', state = CASE WHEN state <= 4 THEN 6 ELSE state END "
    "WHERE account_id = ?",
    "DELETE FROM sign_up WHERE account_id = ?",
    "DELETE FROM account_mark WHERE account_id = ?",
    "UPDATE honey_key SET account_id = 0 WHERE account_id = ?",
    NULL,
};
_Static_assert(CASE_FADED == 6, "a statement above names it");

const struct module misuse_module = {.name = "misuse",
                                     .migrations = &misuse_migrations,
                                     .routes = routes,
                                     .jobs = jobs,
                                     .timers = timers,
                                     .machines = machines,
                                     .served = look_served,
                                     .wrong_key = honey_wrong_key,
                                     .forgets = forgets};

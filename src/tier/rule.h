/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_RULE_H
#define CAIRN_TIER_RULE_H

#include "quota/quota.h"

/*
 * What a tier asks for, rule by rule; public, and shown to everybody as met or not with how to meet it:
 *
 *   {"rule": "address", "pattern": "*@*.edu"}      the account's address matches (glob, without case)
 *   {"rule": "age", "days": 30}                    the account is that old
 *   {"rule": "clean", "days": 90}                  it was not suspended, blocked or struck in that time
 *   {"rule": "used", "unit": "bytes.store.public", "percent": 60, "days": 30}
 *                                                  of the soft limit that the person has now was used, all those days
 *   {"rule": "sign-in", "level": "two-factor"}     the account has one-time codes or a passkey ("passkey": a passkey)
 *   {"rule": "answered"}                           an application with all answers, and evidence
 *   {"rule": "board"}                              an administrator of the hub has looked at it
 */
enum status rules_check(const json_t *rules, struct error *err);

struct rule_state {
    bool met;
    struct str what, how; /* for people */
};
/* What is known of a person when a rule is asked. */
struct rule_facts {
    struct account account;
    int64_t now_us;
    bool answered, looked_at; /* of the application at hand */
    bool holds;               /* whether it has the tier already, and may keep it, is asked */
};
/* The rule at hand; strings live in the arena. */
enum status rule_ask(struct db_conn *conn, struct arena *arena, const json_t *rule, const struct rule_facts *facts,
                     struct rule_state *out, struct error *err);
/* Are all met? board and answered count, too. */
enum status rules_met(struct db_conn *conn, const json_t *rules, const struct rule_facts *facts, bool *met,
                      struct error *err);

#endif

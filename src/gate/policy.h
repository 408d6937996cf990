/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_POLICY_H
#define CAIRN_GATE_POLICY_H

#include "base/time.h"
#include "gate/form.h"
#include "gate/rubric.h"
#include "identity/identity.h"

/*
 * What a gate asks for and how it decides: one JSON document, checked member by member, kept as immutable rows
 * gate_policy (gate_id, seq) with their SHA-256. Durations are days in the document and microseconds here.
 */
#define POLICY_LIMIT (256 * 1024)
#define POLICY_TERMS_MOST 16
#define POLICY_RULES_MOST 32
#define DAY_US (INT64_C(86400) * SECOND_US)

enum gate_mode { MODE_CLICK = 1, MODE_RULE = 2, MODE_MANUAL = 3 };

/* What has to be there before a case is decided; bits. */
enum gate_check {
    CHECK_EMAIL = 1,   /* the account has an address */
    CHECK_MEMBERS = 2, /* everybody named in the request has answered */
};

/* One condition over a request. All conditions of a gate together are its rule. */
enum rule_kind {
    RULE_ANSWER,  /* {"answer": NAME, "in": [values]}: the answer is one of them (true for a ticked box) */
    RULE_DOMAIN,  /* {"emailDomain": ["example.edu"]}: of the account's address, or below it */
    RULE_COUNTRY, /* {"country": ["CH", ...]}: as declared in the form */
    RULE_AGE,     /* {"accountDays": 30}: the account is at least that old */
};
struct gate_rule {
    enum rule_kind kind;
    struct str name;    /* of the answer */
    struct str *values; /* of the others: text as it is compared */
    size_t value_count;
    int64_t age_us;
};

struct gate_policy {
    enum gate_mode mode;                 /* "mode": click, rule or manual */
    int risk;                            /* "risk": 0 to 4; 0 when not given */
    struct str terms[POLICY_TERMS_MOST]; /* "terms": ["ns/slug", ...] */
    size_t term_count;
    bool has_form; /* "form": [fields]; without it a simple gate asks what its repo's card asks */
    struct form form;
    struct gate_rule rules[POLICY_RULES_MOST]; /* "rules": [conditions] */
    size_t rule_count;
    struct rubric rubric;    /* "rubric", as rubric.h has it; its default without one */
    int64_t grant_us;        /* "grantDays"; 0: for ever. Default by risk: none, 730, 365, 182, 91 days */
    int64_t renew_us;        /* "renewDays" before its end, and after it, that a grant can be renewed; 30 */
    int64_t second_rate_ppm; /* "secondRatePpm": cases in a million that get a second look; 100,000, of a click 0 */
    bool second_on_refuse;   /* "secondOnRefuse" */
    int64_t calibration_ppm; /* "calibrationPpm": of what reviewers get, cases that are decided; 30,000 */
    bool has_territory, territory_allow; /* "territory": {"allow": [...]} or {"deny": [...]} */
    struct str *countries;
    size_t country_count;
    unsigned checks;             /* "checks": ["email", "members"]; of enum gate_check */
    int64_t reapply_us;          /* "reapplyDays" after a refusal; 30 */
    int64_t reapply_most;        /* "reapplyMost" times; 3 */
    int64_t appeal_us;           /* "appealDays" after a decision; 30 */
    bool silence_approves;       /* "silenceApproves": only at risk 0 or 1 */
    bool binds_members;          /* "bindsMembers" */
    enum auth_level sign_in;     /* "signIn": password, two-factor or passkey; AUTH_NONE when not given */
    int64_t opens_us, closes_us; /* "opens", "closes": dates or times; 0: none */
    struct str text;             /* the document as it is kept */
    uint8_t sha256[SHA256_SIZE];
};

const char *gate_mode_name(enum gate_mode mode);

/* Reads a document. INVALID names the member, what is wrong, and what may stand there. Strings live in arena. */
enum status policy_read(struct arena *arena, struct str text, struct gate_policy *out, struct error *err);

/* "" for no gate; "auto" when the hub decides by itself, "manual" when people do: what stock clients are told. */
struct str gate_mode_gated(enum gate_mode mode);

bool policy_admits_country(const struct gate_policy *policy, struct str country);

/* Whether every condition holds. answers: the object that was sent. */
bool policy_rules_hold(const struct gate_policy *policy, const json_t *answers, const struct account *account,
                       int64_t now_us);

#endif

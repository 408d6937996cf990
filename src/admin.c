/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "admin.h"
#include "base/file.h"
#include "base/text.h"
#include "erase.h"
#include "gate/import.h"
#include "identity/key.h"
#include "identity/passkey.h"
#include "identity/password.h"
#include "misuse/misuse.h"
#include "modules.h"
#include "record/record.h"
#include "signin/key_scopes.h"
#include "terms/terms.h"
#include "tier/tier.h"
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "cairn admin - people, organisations and tokens\n"
    "\n"
    "People\n"
    "  cairn admin user create NAME [--admin] [--email E] [--full-name N] [--name N --role R [--days N]]\n"
    "      --admin        the person administers the hub, when using a token of role admin\n"
    "      --email E      shown to nobody but the person\n"
    "      --full-name N  shown beside NAME\n"
    "      --name N       with a first token, as \"token create\" makes and prints it\n"
    "\n"
    "  cairn admin user password NAME\n"
    "      Reads a password for NAME from standard input, of 10 to 1024 bytes; NAME's sessions end.\n"
    "\n"
    "  cairn admin user forget-factors NAME\n"
    "      For somebody who has lost the devices: no one-time codes and passkeys any more, and all sessions end.\n"
    "\n"
    "  cairn admin user erase NAME --reason request|law|order\n"
    "      Forgets NAME, who must own no repos any more: deletes the key on which the person's pseudonyms and names "
    "in\n"
    "      the log hang, so that nobody can open or link them again, while every proof stays valid; what the person\n"
    "      signed as evidence; name, address, tokens and memberships. The log gets an entry without any identity. "
    "Prints\n"
    "      a receipt for the person, which is kept nowhere. What stays: the author's name in commits, which their "
    "hashes\n"
    "      bind, what repos of others hold, proof files that were handed out, and the name in backups made before.\n"
    "      When it breaks off, run it again. Afterwards the name is free for others.\n"
    "\n"
    "Tokens: what a person signs in with, in the Authorization header or as the password of git\n"
    "  cairn admin token create USER --name N --role read|write|admin [--days N] [--repos LIST] [--addresses LIST]\n"
    "                                [--bytes-per-day N] [--value TOKEN]\n"
    "      Prints the token, and nothing else, on standard output. Only its hash is kept: nobody can read it again.\n"
    "      --name N       tells USER's tokens apart\n"
    "      --days N       how long it lasts, 1 to 366   (90)\n"
    "      --repos LIST   may touch nothing of USER's but this, as "
    "alice/flora:write,acme:read,datasets/alice/birds;\n"
    "                     without read, write or admin (settings, deleting) behind it, as --role says\n"
    "      --addresses LIST  works only from there, as 192.0.2.0/24,2001:db8::/32\n"
    "      --bytes-per-day N downloads no more than that\n"
    "      --role read    download what USER may see\n"
    "      --role write   also create, change and delete what USER may\n"
    "      --role admin   also administer the hub, when USER does\n"
    "      --value TOKEN  takes over a token that exists elsewhere, of 1 to 4096 visible ASCII characters; short or\n"
    "                     guessable ones are as weak here as they were there. Other users of the machine can see a\n"
    "                     command line while it runs\n"
    "  cairn admin token rotate USER --name N [--overlap DAYS]\n"
    "      Prints a new secret for the same token, which lasts as long again. The old one works on for DAYS (0 to 7),\n"
    "      with a warning in its answers, but not after a day without use   (7)\n"
    "  cairn admin token revoke USER --name N\n"
    "      From the next request on the token is worth nothing. Its name can be used again; its value cannot.\n"
    "  cairn admin token honey NOTE [--user USER]\n"
    "      Prints a token that opens nothing, to be laid where only a thief looks. Administrators are told of each "
    "use,\n"
    "      with NOTE; where it lay in a place of USER, USER's access is suspended until somebody has looked.\n"
    "\n"
    "Organisations: name spaces that several people share\n"
    "  cairn admin org create NAME\n"
    "  cairn admin org add-member ORG USER --role read|write|admin\n"
    "      --role read    see and download its private repos\n"
    "      --role write   also create and change repos\n"
    "      --role admin   also their settings, renaming and deleting\n"
    "      For a member already, this sets the role.\n"
    "  cairn admin org remove-member ORG USER\n"
    "  cairn admin org set ORG --default-private on|off\n"
    "      New repos are private (on) or public (off) unless whoever creates them says otherwise.\n"
    "\n"
    "Tiers: how much of the hub everybody may use\n"
    "  cairn admin tier set FILE\n"
    "      Publishes a version of a tier, for everybody to read at /api/tiers; FILE is JSON as docs/tiers.md has it.\n"
    "      In force within seconds. \"anon\" is the tier of those who are not signed in, \"basic\" that of everybody "
    "else.\n"
    "  cairn admin tier give NAME SLUG\n"
    "      Gives a person or organisation a tier, without an application.\n"
    "  cairn admin payment source NAME FILE\n"
    "      Believes what a payment provider sends to /api/payments/NAME when it is signed with the secret in FILE.\n"
    "\n"
    "Gates that exist on another hub\n"
    "  cairn admin import-gate REPO FILE [--terms FILE] [--dry-run] [--trust-names]\n"
    "      Takes over who may have the files of REPO (ns/name, or datasets/ns/name), who has asked, and who was "
    "refused,\n"
    "      from the report of user access that the other hub exports: CSV with a first line that names the columns, "
    "or\n"
    "      JSON. Columns: user, fullname, email, status (accepted, pending, rejected), timestamp; others are answers.\n"
    "      The gate is made when REPO has none, and each row that is taken over is logged. Who has no account here is\n"
    "      skipped and listed: create the accounts, and run it again. What a gate asks comes with the repo's own "
    "card.\n"
    "      People accept the gate's texts anew, as nobody here has seen them do it.\n"
    "      --terms FILE   a text that a gate which is made asks for; it is published as NS/NAME-terms\n"
    "      --dry-run      tells what would become of each row, and changes nothing\n"
    "      --trust-names  the same name is the same person, also where no address shows it\n"
    "\n"
    "The log, when it cannot go on because its key is lost or only old copies of it are left\n"
    "  cairn admin log begin-anew --origin NAME\n"
    "      Keeps the old log as log.N, where the hub still shows it, and begins another one under a new name such as\n"
    "      hub.example.org/log/2, with a key of its own, that says where the old one ended. Not while the hub runs.\n"
    "\n"
    "Everywhere\n"
    "  --data DIR         the folder of the hub, made when it is missing; also CAIRN_DATA in the environment   "
    "(./data)\n"
    "\n"
    "All else works while the hub runs and while it does not. Run it as the same system user as cairn serve: files "
    "made by\n"
    "another could be out of its reach. Flags may stand anywhere, as \"--name N\" or \"--name=N\".\n"
    "Names take 1 to 96 letters, digits, '-', '_' and '.', and are matched without case.\n"
    "Exit status 0: done; 1: it could not be done; 2: the command was not understood.\n";

enum flag {
    DATA,
    ADMIN,
    EMAIL,
    FULL_NAME,
    NAME,
    ROLE,
    VALUE,
    DEFAULT_PRIVATE,
    REASON,
    ORIGIN,
    DAYS,
    REPOS,
    ADDRESSES,
    BYTES_PER_DAY,
    OVERLAP,
    DRY_RUN,
    TERMS,
    TRUST_NAMES,
    USER,
    FLAGS
};

static const struct {
    const char *name;
    bool alone; /* takes no value */
} flags[FLAGS] = {
    [DATA] = {"--data"},           [ADMIN] = {"--admin", true},
    [EMAIL] = {"--email"},         [FULL_NAME] = {"--full-name"},
    [NAME] = {"--name"},           [ROLE] = {"--role"},
    [VALUE] = {"--value"},         [DEFAULT_PRIVATE] = {"--default-private"},
    [REASON] = {"--reason"},       [ORIGIN] = {"--origin"},
    [DAYS] = {"--days"},           [REPOS] = {"--repos"},
    [ADDRESSES] = {"--addresses"}, [BYTES_PER_DAY] = {"--bytes-per-day"},
    [OVERLAP] = {"--overlap"},     [DRY_RUN] = {"--dry-run", true},
    [TERMS] = {"--terms"},         [TRUST_NAMES] = {"--trust-names", true},
    [USER] = {"--user"},
};

#define WORDS_MOST 4 /* two of the command, two names */

struct words {
    struct str word[WORDS_MOST];
    size_t count;
    struct str flag[FLAGS]; /* absent when not given */
    bool wants_help;
    enum role role; /* what flag[ROLE] says */
    int64_t days, bytes_per_day, overlap;
};

/* The commands. */

static void say(struct str what, const char *done)
{
    printf("%.*s %s\n", STR_ARG(what), done);
}

static enum status create_account(struct db *db, const struct words *given, enum account_kind kind, struct error *err)
{
    struct account_new new = {
        .kind = kind,
        .name = given->word[2],
        .full_name = given->flag[FULL_NAME],
        .email = given->flag[EMAIL],
        .is_admin = str_given(given->flag[ADMIN]),
    };
    TRY(account_create(db, &new, 0, NULL, err));
    say(given->word[2], "is created");
    return OK;
}

/* A line, without its end. Never from the command line, which other users of the machine can see. */
static enum status user_password(struct db *db, const struct words *given, struct error *err)
{
    char line[PASSWORD_MOST + 3];
    size_t len = fread(line, 1, sizeof line, stdin);
    const char *end = memchr(line, '\n', len);
    struct str password = {line, end ? (size_t)(end - line) : len};
    if (str_ends(password, STR("\r")))
        password.len--;
    enum status status = password_set(db, given->word[2], password, 0, 0, err);
    explicit_bzero(line, sizeof line);
    TRY(status);
    say(given->word[2], "has a new password");
    return OK;
}

static enum status user_forget_factors(struct db *db, const struct words *given, struct error *err)
{
    TRY(factors_forget(db, given->word[2], 0, err));
    say(given->word[2], "signs in by password alone now");
    return OK;
}

static enum status org_create(struct db *db, const struct words *given, struct error *err)
{
    return create_account(db, given, ACCOUNT_ORG, err);
}

static enum status read_scopes(struct db *db, struct arena *arena, const struct words *given,
                               struct key_scope out[KEY_SCOPES_MOST], size_t *count, struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    struct str rest = given->flag[REPOS], piece;
    TRY(db_reader(db, &conn, err));
    while (str_given(rest) && str_cut(&rest, ',', &piece))
        TRY(key_scope_add(conn, arena, NULL, str_trim(piece), given->role, out, count, err));
    return OK;
}

static enum status token_create(struct db *db, const struct words *given, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str token;
    struct network addresses[KEY_ADDRESSES_MOST];
    struct key_scope scopes[KEY_SCOPES_MOST];
    struct key_new new = {
        .user = given->word[2],
        .name = given->flag[NAME],
        .role = given->role,
        .value = given->flag[VALUE],
        .days = given->days,
        .is_scoped = str_given(given->flag[REPOS]),
        .scopes = scopes,
        .addresses = addresses,
        .bytes_per_day = given->bytes_per_day,
    };
    TRY(key_addresses_parse(given->flag[ADDRESSES], addresses, &new.address_count, err));
    TRY(read_scopes(db, &arena, given, scopes, &new.scope_count, err));
    TRY(key_create(db, &arena, &new, &token, err));
    printf("%.*s\n", STR_ARG(token));
    return OK;
}

static enum status user_create(struct db *db, const struct words *given, struct error *err)
{
    TRY(create_account(db, given, ACCOUNT_USER, err));
    return str_given(given->flag[NAME]) ? token_create(db, given, err) : OK;
}

static enum status token_rotate(struct db *db, const struct words *given, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str token;
    int64_t old_until_us;
    const struct key_rotation rotation = {
        .user = given->word[2], .name = given->flag[NAME], .overlap_days = given->overlap, .renew = true};
    TRY(key_rotate(db, &arena, &rotation, &token, &old_until_us, err));
    printf("%.*s\n", STR_ARG(token));
    return OK;
}

static enum status token_revoke(struct db *db, const struct words *given, struct error *err)
{
    TRY(key_revoke(db, given->word[2], given->flag[NAME], 0, err));
    say(given->flag[NAME], "is revoked");
    return OK;
}

static enum status token_honey(struct db *db, const struct words *given, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str token;
    TRY(honey_make(db, &arena, given->flag[USER], given->word[2], &token, err));
    printf("%.*s\n", STR_ARG(token));
    return OK;
}

static enum status org_add_member(struct db *db, const struct words *given, struct error *err)
{
    TRY(member_set(db, given->word[2], given->word[3], given->role, 0, err));
    say(given->word[3], "is a member");
    return OK;
}

static enum status org_remove_member(struct db *db, const struct words *given, struct error *err)
{
    TRY(member_set(db, given->word[2], given->word[3], ROLE_NONE, 0, err));
    say(given->word[3], "is no member any more");
    return OK;
}

static enum status org_set(struct db *db, const struct words *given, struct error *err)
{
    bool on = str_eq(given->flag[DEFAULT_PRIVATE], STR("on"));
    TRY(org_set_default_private(db, given->word[2], on, 0, err));
    say(given->word[2], on ? "makes new repos private" : "makes new repos public");
    return OK;
}

static const char *data_folder(const struct words *given)
{
    const char *environment = getenv("CAIRN_DATA");
    if (str_given(given->flag[DATA]))
        return given->flag[DATA].data; /* the end of an argument, so it ends with NUL */
    return environment && *environment ? environment : "data";
}

static enum status user_erase(struct db *db, const struct words *given, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct person_erased erased;
    TRY(erase_person(data_folder(given), db, given->word[2], given->flag[REASON], &erased, err));
    if (erased.before) {
        printf("%s had been erased before; nothing is left of it in the files\n", erased.name);
        return OK;
    }
    printf("%.*s is erased, and the account is called %s now\n", STR_ARG(given->word[2]), erased.name);
    printf("entries of the log that were the person's: %llu\n", (unsigned long long)erased.count);
    if (erased.logged)
        printf("entry of the log that says so: %llu\n", (unsigned long long)erased.index);
    else
        printf("the hub puts an entry about it into its log when it runs again\n");
    printf("receipt, for the person alone: %.*s\n", STR_ARG(hex_encode(&arena, erased.nonce, sizeof erased.nonce)));
    return OK;
}

static enum status log_begin_anew(struct db *db, const struct words *given, struct error *err)
{
    auto_fd int lock = -1;
    int64_t number;
    const char *data = data_folder(given);
    TRY(hub_data_lock(data, &lock, err));
    TRY(record_begin_anew(data, given->flag[ORIGIN], "/proc/self/exe", db, &number, err));
    if (number)
        printf("the log so far is kept as log.%lld\n", (long long)number);
    printf("the next start of the hub begins the log %.*s\n", STR_ARG(given->flag[ORIGIN]));
    return OK;
}

#define TIER_FILE_LIMIT (1 << 20)

static enum status tier_set(struct db *db, const struct words *given, struct error *err)
{
    auto_buf struct buf text = {0};
    int64_t seq = 0;
    TRY(file_read_all(given->word[2].data, TIER_FILE_LIMIT, &text, err));
    TRY(tier_publish(db, buf_view(&text), 0, &seq, err));
    printf("version %lld of the tier is published\n", (long long)seq);
    return OK;
}

static enum status payment_source(struct db *db, const struct words *given, struct error *err)
{
    auto_buf struct buf secret = {0};
    TRY(file_read_all(given->word[3].data, 4096, &secret, err));
    TRY(payment_source_set(db, given->word[2], buf_view(&secret), err));
    say(given->word[2], "is believed now");
    return OK;
}

static enum status give_tier(struct db *db, const struct words *given, struct error *err)
{
    TRY(tier_give(db, given->word[2], given->word[3], 0, err));
    say(given->word[2], "has the tier now");
    return OK;
}

static void report_import(void *dry_run, struct str user, const char *what, const char *why)
{
    (void)dry_run;
    printf("%-9s %.*s%s%s\n", what, STR_ARG(user), why ? ": " : "", why ? why : "");
}

static enum status find_named_repo(struct db *db, struct arena *arena, struct str name, struct repo *out,
                                   struct error *err)
{
    auto_conn struct db_conn *conn = NULL;
    enum repo_kind kind = KIND_MODEL;
    struct str rest = name, first = STR(""), ns;
    bool moved;
    if (str_cut(&rest, '/', &first) && str_has(rest, STR("/"))) {
        if (!repo_kind_parse(first, &kind))
            return fail(err, INVALID, NULL, "say the repo as ns/name, datasets/ns/name or spaces/ns/name");
        name = rest;
    }
    if (!str_cut(&name, '/', &ns) || !str_given(name))
        return fail(err, INVALID, NULL, "say the repo as ns/name, datasets/ns/name or spaces/ns/name");
    TRY(db_reader(db, &conn, err));
    return repo_find(conn, arena, kind, ns, name, out, &moved, err);
}

static enum status import_gate(struct db *db, const struct words *given, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf file = {0}, terms = {0};
    struct repo repo;
    struct import how = {
        .dry_run = str_given(given->flag[DRY_RUN]),
        .trust_names = str_given(given->flag[TRUST_NAMES]),
        .report = report_import,
    };
    TRY(file_read_all(given->word[2].data, IMPORT_FILE_LIMIT, &file, err));
    if (str_given(given->flag[TERMS])) {
        TRY(file_read_all(given->flag[TERMS].data, TERMS_TEXT_MOST, &terms, err));
        how.terms = buf_view(&terms);
    }
    TRY(find_named_repo(db, &arena, given->word[1], &repo, err));
    TRY(gate_import(db, &repo, buf_view(&file), &how, err));
    printf(
        "%s%lld accepted, %lld pending, %lld drafts (a text has to be accepted first), %lld rejected, %lld skipped\n",
        how.dry_run ? "dry run, nothing is changed: " : "", (long long)how.accepted, (long long)how.pending,
        (long long)how.drafts, (long long)how.rejected, (long long)how.skipped);
    return OK;
}

#define FLAG(flag) (1u << (flag))

static const struct command {
    const char *noun, *verb, *names; /* verb NULL: the command is one word */
    size_t name_count;
    unsigned needs, takes; /* sets of flags; takes are those beyond needs */
    enum status (*run)(struct db *db, const struct words *given, struct error *err);
} commands[] = {
    {"user", "create", "NAME", 1, 0, FLAG(ADMIN) | FLAG(EMAIL) | FLAG(FULL_NAME) | FLAG(NAME) | FLAG(ROLE) | FLAG(DAYS),
     user_create},
    {"user", "password", "NAME", 1, 0, 0, user_password},
    {"user", "forget-factors", "NAME", 1, 0, 0, user_forget_factors},
    {"user", "erase", "NAME", 1, FLAG(REASON), 0, user_erase},
    {"log", "begin-anew", "", 0, FLAG(ORIGIN), 0, log_begin_anew},
    {"import-gate", NULL, "REPO FILE", 2, 0, FLAG(TERMS) | FLAG(DRY_RUN) | FLAG(TRUST_NAMES), import_gate},
    {"token", "create", "USER", 1, FLAG(NAME) | FLAG(ROLE),
     FLAG(VALUE) | FLAG(DAYS) | FLAG(REPOS) | FLAG(ADDRESSES) | FLAG(BYTES_PER_DAY), token_create},
    {"token", "rotate", "USER", 1, FLAG(NAME), FLAG(OVERLAP), token_rotate},
    {"token", "revoke", "USER", 1, FLAG(NAME), 0, token_revoke},
    {"token", "honey", "NOTE", 1, 0, FLAG(USER), token_honey},
    {"tier", "set", "FILE", 1, 0, 0, tier_set},
    {"tier", "give", "NAME SLUG", 2, 0, 0, give_tier},
    {"payment", "source", "NAME FILE", 2, 0, 0, payment_source},
    {"org", "create", "NAME", 1, 0, FLAG(FULL_NAME), org_create},
    {"org", "add-member", "ORG USER", 2, FLAG(ROLE), 0, org_add_member},
    {"org", "remove-member", "ORG USER", 2, 0, 0, org_remove_member},
    {"org", "set", "ORG", 1, FLAG(DEFAULT_PRIVATE), 0, org_set},
};

/* Reading the command line. */

static enum flag find_flag(struct str name)
{
    enum flag flag = 0;
    while (flag < FLAGS && !str_eq(name, str_of(flags[flag].name)))
        flag++;
    return flag;
}

static enum status read_flag(int argc, char **argv, int *at, struct words *out, struct error *err)
{
    struct str value = str_of(argv[*at]), name;
    str_cut(&value, '=', &name);
    enum flag flag = find_flag(name);
    if (flag == FLAGS)
        return fail(err, INVALID, NULL, "%.*s is not a flag of this command", STR_ARG(name));
    if (flags[flag].alone && str_given(value))
        return fail(err, INVALID, NULL, "%s takes no value", flags[flag].name);
    if (!flags[flag].alone && !str_given(value)) {
        if (++*at == argc)
            return fail(err, INVALID, NULL, "%s needs a value", flags[flag].name);
        value = str_of(argv[*at]);
    }
    out->flag[flag] = flags[flag].alone ? STR("") : value;
    return OK;
}

static enum status read_words(int argc, char **argv, struct words *out, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        struct str word = str_of(argv[i]);
        if (str_eq(word, STR("--help")) || str_eq(word, STR("-h")))
            out->wants_help = true;
        else if (str_starts(word, STR("-")))
            TRY(read_flag(argc, argv, &i, out, err));
        else if (out->count == WORDS_MOST)
            return fail(err, INVALID, NULL, "\"%s\" is one word too many", argv[i]);
        else
            out->word[out->count++] = word;
    }
    return OK;
}

static enum status find_command(const struct words *given, const struct command **out, struct error *err)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const struct command *command = &commands[i];
        size_t words = command->verb ? 2 : 1;
        if (given->count < words || !str_eq(given->word[0], str_of(command->noun)) ||
            (command->verb && !str_eq(given->word[1], str_of(command->verb))))
            continue;
        *out = command;
        if (given->count == words + command->name_count)
            return OK;
        return fail(err, INVALID, NULL, "say: cairn admin %s%s%s %s", command->noun, command->verb ? " " : "",
                    command->verb ? command->verb : "", command->names);
    }
    return fail(err, INVALID, NULL, "there is no such command");
}

static enum status flag_number(const struct words *given, enum flag flag, int64_t otherwise, int64_t *out,
                               struct error *err)
{
    *out = otherwise;
    if (!str_given(given->flag[flag]) || str_to_i64(given->flag[flag], out))
        return OK;
    return fail(err, INVALID, NULL, "%s takes a whole number", flags[flag].name);
}

static enum status check_flags(const struct command *command, struct words *given, struct error *err)
{
    for (enum flag flag = 0; flag < FLAGS; flag++) {
        bool there = str_given(given->flag[flag]);
        if (there && !((command->needs | command->takes | FLAG(DATA)) & FLAG(flag)))
            return fail(err, INVALID, NULL, "%s is not a flag of %s%s%s", flags[flag].name, command->noun,
                        command->verb ? " " : "", command->verb ? command->verb : "");
        if (!there && command->needs & FLAG(flag))
            return fail(err, INVALID, NULL, "%s %s needs %s", command->noun, command->verb, flags[flag].name);
    }
    bool named = str_given(given->flag[NAME]), days = str_given(given->flag[DAYS]);
    if (command->takes & FLAG(ROLE) && (named != str_given(given->flag[ROLE]) || (days && !named)))
        return fail(err, INVALID, NULL, "a first token needs both --name and --role");
    if (str_given(given->flag[ROLE]) && !role_parse(given->flag[ROLE], &given->role))
        return fail(err, INVALID, NULL, "--role is read, write or admin");
    if (str_given(given->flag[DATA]) && given->flag[DATA].len == 0)
        return fail(err, INVALID, NULL, "--data names no folder");
    TRY(flag_number(given, DAYS, KEY_DAYS, &given->days, err));
    TRY(flag_number(given, BYTES_PER_DAY, 0, &given->bytes_per_day, err));
    TRY(flag_number(given, OVERLAP, KEY_OVERLAP_DAYS_MOST, &given->overlap, err));
    struct str reason = given->flag[REASON];
    if (str_given(reason) && !str_eq(reason, STR("request")) && !str_eq(reason, STR("law")) &&
        !str_eq(reason, STR("order")))
        return fail(err, INVALID, NULL, "--reason is request, law or order");
    struct str on = given->flag[DEFAULT_PRIVATE];
    if (str_given(on) && !str_eq(on, STR("on")) && !str_eq(on, STR("off")))
        return fail(err, INVALID, NULL, "--default-private is on or off");
    return OK;
}

/* Running. */

static enum status run(const struct command *command, const struct words *given, struct error *err)
{
    struct db *db;
    TRY(hub_data_open(data_folder(given), &db, err));
    enum status status = command->run(db, given, err);
    db_close(db);
    /* Whoever asked for a token has to know that it exists and is lost. */
    if (status == OK && (fflush(stdout) != 0 || ferror(stdout)))
        return fail(err, INTERNAL, NULL, "It is done, but the answer cannot be written to standard output");
    return status;
}

int admin_main(int argc, char **argv)
{
    struct words given = {0};
    struct error err = {0};
    const struct command *command = NULL;
    enum status status = read_words(argc, argv, &given, &err);
    if (given.wants_help || argc < 2) {
        fputs(help, given.wants_help ? stdout : stderr);
        return given.wants_help ? 0 : 2;
    }
    if (status == OK)
        status = find_command(&given, &command, &err);
    if (status == OK)
        status = check_flags(command, &given, &err);
    if (status != OK) {
        fprintf(stderr, "cairn admin: %s (see cairn admin --help)\n", err.message);
        return 2;
    }
    if (run(command, &given, &err) != OK) {
        fprintf(stderr, "cairn admin: %s\n", err.message);
        return 1;
    }
    return 0;
}

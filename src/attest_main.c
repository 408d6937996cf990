/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "attest_main.h"
#include "attest/attest.h"
#include "attest/signer.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "fetch/fetch.h"
#include "oms/intoto.h"
#include "options.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "cairn attest - say something of a commit, signed with a key that only you have\n"
    "\n"
    "The hub keeps what you signed as evidence and puts an entry into its log, which it cannot take back. Anybody\n"
    "who may see the repo can check that your key has signed it; not even the hub can make it say anything else.\n"
    "Tell those who rely on it which key is yours in another way than through the hub, too.\n"
    "\n"
    "Your key\n"
    "  cairn attest key new FILE.pem [--type p256|p384|p521|ed25519]\n"
    "      Makes a key and prints its public half. The private half stays in FILE.pem, which only you can read, and\n"
    "      is never sent anywhere; keep a copy in a safe place.\n"
    "  cairn attest key register --hub URL --key FILE.pem [--name LABEL]\n"
    "      Tells the hub that this key is yours. It takes a token that may write.\n"
    "  cairn attest key revoke --hub URL --key FILE.pem\n"
    "      From now on the hub takes nothing signed with it. What it has signed stays said. It cannot come back.\n"
    "\n"
    "Reviews\n"
    "  cairn attest approve|reject|withdraw --hub URL --repo REPO --revision REV --key FILE.pem [--branch B]\n"
    "      Your newest word on a commit is what counts. A protected branch moves only to a commit that has the\n"
    "      approvals for that branch that its rule asks for.\n"
    "      --branch B       the branch that the commit is meant for (main)\n"
    "\n"
    "Releases\n"
    "  cairn attest release --hub URL --repo REPO --revision REV --key FILE.pem --version V [--channel C]\n"
    "      Says that the commit is version V. It takes the right to write to the repo. A version stays one commit\n"
    "      for good; it may be released again in another channel.\n"
    "      --channel C      alpha, beta, dev, preview or stable (stable)\n"
    "      --supersedes N   the entry of the release that this one replaces\n"
    "\n"
    "Deployments: what runs where\n"
    "  cairn attest deploy start --hub URL --repo REPO --revision REV --key FILE.pem --env prod|staging|dev|edge\n"
    "      Prints the id of the deployment.\n"
    "      --approval N     the entry of the approval that let it run\n"
    "      --region CC      the country that it runs in, such as NL\n"
    "      --hardware H     cpu, gpu, npu, tpu or other\n"
    "      --runtime SHA256, --config SHA256, --tee SHA256\n"
    "                       digests of what runs it, of its configuration, and of a quote of the trusted hardware\n"
    "  cairn attest deploy heartbeat|stop --hub URL --repo REPO --revision REV --key FILE.pem --id ID\n"
    "      Heartbeats may come as often as you like; the log gets one an hour.\n"
    "\n"
    "Everywhere\n"
    "  --hub URL          the hub, such as https://models.example.org; also CAIRN_HUB in the environment\n"
    "  --repo REPO        ns/name for a model, datasets/ns/name or spaces/ns/name\n"
    "  --revision REV     a commit of 40 hex digits, or a branch or tag that the hub is asked for; the commit that\n"
    "                     you sign is printed. Give the digits where it matters that the hub cannot choose\n"
    "  --token-file FILE  the token to sign in with; otherwise HF_TOKEN in the environment\n"
    "\n"
    "Exit status 0: done; 1: it could not be done; 2: the command was not understood.\n";

enum option {
    HUB,
    REPO,
    REVISION,
    KEY,
    NAME,
    TYPE,
    BRANCH,
    VERSION,
    CHANNEL,
    SUPERSEDES,
    ENV,
    ID,
    APPROVAL,
    REGION,
    HARDWARE,
    RUNTIME,
    CONFIG,
    TEE,
    TOKEN_FILE,
    OPTIONS
};

struct call {
    struct arena arena;
    const char *option[OPTIONS]; /* NULL where it was not given */
    struct str token;
    EVP_PKEY *key;
    const char *word, *path; /* "approve"; the file of a new key */
};

static enum status need(const struct call *call, enum option option, const char *flag, struct error *err)
{
    return call->option[option] ? OK : fail(err, INVALID, NULL, "this takes %s (see cairn attest --help)", flag);
}

/* Keys. */

static EVP_PKEY *make_key(const char *type)
{
    static const struct {
        const char *type, *curve;
    } curves[] = {{"p256", "P-256"}, {"p384", "P-384"}, {"p521", "P-521"}};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(type, curves[i].type) == 0)
            return EVP_EC_gen(curves[i].curve);
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

/* A file that is there is never written over: it may be somebody's only copy of a key. */
static enum status write_new(const char *path, struct str text, struct error *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST)
        return fail(err, CONFLICT, NULL, "%s is there already, and is left as it is", path);
    if (fd < 0)
        return fail_errno(err, path);
    TRY(write_full(fd, text.data, text.len, err));
    return fsync(fd) == 0 ? OK : fail_errno(err, path);
}

static enum status new_key(struct call *call, struct error *err)
{
    const char *type = call->option[TYPE] ? call->option[TYPE] : "p256";
    auto_buf struct buf secret = {0}, public = {0};
    auto_key EVP_PKEY *key = NULL;
    if (strcmp(type, "p256") != 0 && strcmp(type, "p384") != 0 && strcmp(type, "p521") != 0 &&
        strcmp(type, "ed25519") != 0)
        return fail(err, INVALID, NULL, "--type is p256, p384, p521 or ed25519");
    key = make_key(type);
    if (!key)
        return fail(err, INTERNAL, NULL, "OpenSSL could not make a key");
    oms_key_write_private(key, &secret);
    enum status status = write_new(call->path, buf_view(&secret), err);
    OPENSSL_cleanse(secret.data, secret.len);
    TRY(status);
    oms_key_write_public(key, &public);
    printf("%.*s", STR_ARG(buf_view(&public)));
    return OK;
}

static enum status read_key(struct call *call, struct error *err)
{
    auto_buf struct buf pem = {0};
    TRY(need(call, KEY, "--key FILE.pem", err));
    TRY(file_read_all(call->option[KEY], OMS_PEM_MOST, &pem, err));
    enum status status = oms_key_read_private(buf_view(&pem), &call->key, err);
    OPENSSL_cleanse(pem.data, pem.len);
    return status;
}

/* The hub. */

static enum status read_token(struct call *call, struct error *err)
{
    const char *token = getenv("HF_TOKEN");
    auto_buf struct buf text = {0};
    if (call->option[TOKEN_FILE]) {
        TRY(file_read_all(call->option[TOKEN_FILE], 8192, &text, err));
        call->token = arena_copy(&call->arena, str_trim(buf_view(&text)));
    } else if (token && *token)
        call->token = str_of(token);
    return call->token.len > 0 ? OK
                               : fail(err, UNAUTHENTICATED, NULL,
                                      "sign in: put a token into HF_TOKEN, or name a file of one with --token-file");
}

/* The reason that a hub gives, as text that cannot steer a terminal. */
static struct str reason_of(struct call *call, const struct fetch_answer *answer)
{
    auto_json json_t *body = NULL;
    if (json_read(answer->body, answer->body.len, &body, NULL) != OK || !str_given(json_get_str(body, "error")))
        return STR("it does not say why");
    struct str reason = arena_copy(&call->arena, json_get_str(body, "error"));
    for (size_t i = 0; i < reason.len; i++)
        if ((unsigned char)reason.data[i] < ' ' || reason.data[i] == 0x7f)
            ((char *)reason.data)[i] = '?';
    return reason;
}

static enum status ask(struct call *call, const char *method, struct str path, struct str body,
                       struct fetch_answer *out, struct error *err)
{
    struct str hub = str_of(call->option[HUB]);
    while (str_ends(hub, STR("/")))
        hub.len--;
    struct fetch request = {.method = method,
                            .url = arena_printf(&call->arena, "%.*s%.*s", STR_ARG(hub), STR_ARG(path)),
                            .token = call->token,
                            .type = STR("application/json"),
                            .body = body};
    TRY(fetch(&call->arena, &request, out, err));
    if (out->status >= 200 && out->status < 300)
        return OK;
    return fail(err, UNAVAILABLE, NULL, "the hub refuses (%d): %.*s", out->status, STR_ARG(reason_of(call, out)));
}

/* One member of what a GET answers. */
static enum status ask_member(struct call *call, struct str path, const char *member, struct str *out,
                              struct error *err)
{
    struct fetch_answer answer;
    auto_json json_t *body = NULL;
    TRY(ask(call, NULL, path, (struct str){0}, &answer, err));
    TRY(json_read(answer.body, answer.body.len, &body, err));
    if (!str_given(json_get_str(body, member)))
        return fail(err, UNAVAILABLE, NULL, "the hub's answer has no \"%s\": is this a Cairn hub?", member);
    *out = arena_copy(&call->arena, json_get_str(body, member));
    return OK;
}

static enum status sign(struct call *call, struct str type, struct str payload, struct buf *out, struct error *err)
{
    char hint[OMS_HINT_SIZE];
    struct dsse_signature signature;
    struct dsse_envelope envelope = {.type = type, .payload = payload, .signatures = &signature, .count = 1};
    oms_key_hint(call->key, hint);
    signature.keyid = arena_copy(&call->arena, str_of(hint));
    TRY(dsse_sign(&call->arena, type, payload, call->key, &signature.sig, err));
    struct json_writer w = jw_to(out);
    dsse_write(&call->arena, &envelope, &w);
    return OK;
}

static enum status open_hub(struct call *call, struct error *err)
{
    TRY(need(call, HUB, "--hub URL", err));
    TRY(read_key(call, err));
    return read_token(call, err);
}

static enum status register_key(struct call *call, struct error *err)
{
    auto_buf struct buf claim = {0}, pem = {0}, envelope = {0};
    struct fetch_answer answer;
    struct str vkey, origin, user;
    char hint[OMS_HINT_SIZE];
    TRY(open_hub(call, err));
    TRY(ask(call, NULL, STR("/log/vkey"), (struct str){0}, &answer, err));
    vkey = answer.body;
    if (!str_cut(&vkey, '+', &origin) || !str_given(vkey))
        return fail(err, UNAVAILABLE, NULL, "the hub has no log: is this a Cairn hub?");
    TRY(ask_member(call, STR("/api/whoami-v2"), "name", &user, err));
    oms_key_write_public(call->key, &pem);
    struct json_writer w = jw_to(&claim);
    jw_object(&w);
    jw_key_str(&w, "origin", origin);
    jw_key_str(&w, "user", user);
    jw_key_str(&w, "publicKey", buf_view(&pem));
    jw_key_str(&w, "name", str_of(call->option[NAME] ? call->option[NAME] : "cairn attest"));
    jw_end(&w);
    TRY(sign(call, STR(SIGNER_MEDIA_TYPE), buf_view(&claim), &envelope, err));
    TRY(ask(call, NULL, STR("/api/settings/signing-keys"), buf_view(&envelope), &answer, err));
    oms_key_hint(call->key, hint);
    printf("registered  %s\nperson      %.*s\n", hint, STR_ARG(user));
    return OK;
}

static enum status revoke_key(struct call *call, struct error *err)
{
    struct fetch_answer answer;
    char hint[OMS_HINT_SIZE];
    TRY(open_hub(call, err));
    oms_key_hint(call->key, hint);
    struct str path = arena_printf(&call->arena, "/api/settings/signing-keys/%s", hint);
    TRY(ask(call, "DELETE", path, (struct str){0}, &answer, err));
    printf("revoked  %s\n", hint);
    return OK;
}

/* Statements. */

struct target {
    struct str api;  /* "/api/models/ns/name" */
    struct str name; /* "ns/name" */
    struct str id;   /* in the log */
    struct str commit;
};

static enum status split_repo(struct call *call, struct target *out, struct error *err)
{
    static const struct {
        const char *prefix, *kind;
    } kinds[] = {{"datasets/", "datasets"}, {"spaces/", "spaces"}, {"models/", "models"}, {"", "models"}};
    struct str text = str_of(call->option[REPO]), rest, ns;
    size_t i = 0;
    while (!str_starts(text, str_of(kinds[i].prefix)))
        i++;
    out->name = rest = str_from(text, strlen(kinds[i].prefix));
    if (!str_cut(&rest, '/', &ns) || !str_given(rest) || ns.len == 0 || rest.len == 0)
        return fail(err, INVALID, NULL, "\"%s\" is no repo: say ns/name, datasets/ns/name or spaces/ns/name",
                    call->option[REPO]);
    out->api = arena_printf(&call->arena, "/api/%s/%.*s", kinds[i].kind,
                            STR_ARG(percent_encode(&call->arena, out->name, true)));
    return OK;
}

static enum status find_target(struct call *call, struct target *out, struct error *err)
{
    struct arena *arena = &call->arena;
    uint8_t oid[SHA1_SIZE];
    TRY(need(call, REPO, "--repo REPO", err));
    TRY(need(call, REVISION, "--revision REV", err));
    TRY(split_repo(call, out, err));
    struct str revision = str_of(call->option[REVISION]);
    TRY(ask_member(call, arena_printf(arena, "%.*s/provenance?limit=1", STR_ARG(out->api)), "repo", &out->id, err));
    if (hex_decode(revision, oid, sizeof oid)) {
        out->commit = str_lower(arena, revision);
        return OK;
    }
    struct str path =
        arena_printf(arena, "%.*s/revision/%.*s", STR_ARG(out->api), STR_ARG(percent_encode(arena, revision, false)));
    TRY(ask_member(call, path, "sha", &out->commit, err));
    return hex_decode(out->commit, oid, sizeof oid)
               ? OK
               : fail(err, UNAVAILABLE, NULL, "the hub does not say which commit %s is", call->option[REVISION]);
}

static void write_option(const struct call *call, struct json_writer *w, const char *member, enum option option)
{
    if (call->option[option])
        jw_key_str(w, member, str_of(call->option[option]));
}

static enum status write_index(const struct call *call, struct json_writer *w, const char *member, enum option option,
                               const char *flag, struct error *err)
{
    int64_t index;
    if (!call->option[option])
        return OK;
    if (!str_to_i64(str_of(call->option[option]), &index))
        return fail(err, INVALID, NULL, "%s is the number of an entry of the log", flag);
    jw_key_int(w, member, index);
    return OK;
}

/* Fills in what a predicate has beside the repo and the time. */
typedef enum status predicate_writer(const struct call *call, const struct target *target, struct json_writer *w,
                                     struct error *err);

static enum status write_approval(const struct call *call, const struct target *target, struct json_writer *w,
                                  struct error *err)
{
    (void)err;
    jw_key_str(w, "repo", target->id);
    jw_key_str(w, "decision", str_of(call->word));
    write_option(call, w, "branch", BRANCH);
    return OK;
}

static enum status write_release(const struct call *call, const struct target *target, struct json_writer *w,
                                 struct error *err)
{
    auto_arena struct arena arena = {0};
    TRY(need(call, VERSION, "--version V", err));
    struct str version = percent_encode(&arena, str_of(call->option[VERSION]), false);
    jw_key_str(w, "purl", arena_printf(&arena, "pkg:generic/%.*s@%.*s", STR_ARG(target->name), STR_ARG(version)));
    jw_key_str(w, "packageId", target->id);
    jw_key_str(w, "channel", str_of(call->option[CHANNEL] ? call->option[CHANNEL] : "stable"));
    return write_index(call, w, "supersedes", SUPERSEDES, "--supersedes", err);
}

static enum status write_deployment(const struct call *call, const struct target *target, struct json_writer *w,
                                    struct error *err)
{
    if (strcmp(call->word, "start") == 0)
        TRY(need(call, ENV, "--env prod|staging|dev|edge", err));
    else
        TRY(need(call, ID, "--id ID", err));
    jw_key_str(w, "repo", target->id);
    jw_key_str(w, "phase", str_of(call->word));
    write_option(call, w, "id", ID);
    write_option(call, w, "env", ENV);
    write_option(call, w, "region", REGION);
    write_option(call, w, "hardware", HARDWARE);
    write_option(call, w, "runtime", RUNTIME);
    write_option(call, w, "config", CONFIG);
    write_option(call, w, "tee", TEE);
    return write_index(call, w, "approval", APPROVAL, "--approval", err);
}

static void print_answer(const struct target *target, const json_t *answer)
{
    printf("commit    %.*s\nentry     %lld\nevidence  %.*s\n", STR_ARG(target->commit),
           (long long)json_get_int(answer, "index", -1), STR_ARG(json_get_str(answer, "evidence")));
    if (str_given(json_get_str(answer, "id")))
        printf("id        %.*s\n", STR_ARG(json_get_str(answer, "id")));
}

static enum status say(struct call *call, const char *predicate_type, predicate_writer *write, struct error *err)
{
    auto_buf struct buf predicate = {0}, payload = {0}, envelope = {0};
    auto_json json_t *answer = NULL;
    struct fetch_answer reply;
    struct target target;
    TRY(open_hub(call, err));
    TRY(find_target(call, &target, err));
    struct json_writer w = jw_to(&predicate);
    jw_object(&w);
    TRY(write(call, &target, &w, err));
    /* Otherwise the same word twice would be one and the same envelope, which the hub takes once. */
    jw_key_str(&w, "at", time_iso(&call->arena, now_us()));
    jw_end(&w);
    struct intoto_subject subject = {target.name, "gitCommit", target.commit};
    intoto_write(&payload, predicate_type, &subject, 1, buf_view(&predicate));
    TRY(sign(call, STR(INTOTO_MEDIA_TYPE), buf_view(&payload), &envelope, err));
    struct str path = arena_printf(&call->arena, "%.*s/attestations", STR_ARG(target.api));
    TRY(ask(call, NULL, path, buf_view(&envelope), &reply, err));
    TRY(json_read(reply.body, reply.body.len, &answer, err));
    print_answer(&target, answer);
    return OK;
}

static enum status approve(struct call *call, struct error *err)
{
    return say(call, APPROVAL_PREDICATE, write_approval, err);
}

static enum status release(struct call *call, struct error *err)
{
    return say(call, RELEASE_PREDICATE, write_release, err);
}

static enum status deploy(struct call *call, struct error *err)
{
    return say(call, DEPLOYMENT_PREDICATE, write_deployment, err);
}

/* The words. */

static const struct {
    const char *first, *second; /* second: NULL for commands of one word */
    bool names_file;
    enum status (*run)(struct call *call, struct error *err);
} commands[] = {
    {"key", "new", true, new_key},     {"key", "register", false, register_key}, {"key", "revoke", false, revoke_key},
    {"approve", NULL, false, approve}, {"reject", NULL, false, approve},         {"withdraw", NULL, false, approve},
    {"release", NULL, false, release}, {"deploy", "start", false, deploy},       {"deploy", "heartbeat", false, deploy},
    {"deploy", "stop", false, deploy},
};

static enum status run(struct call *call, const char *const *words, size_t count, struct error *err)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        size_t wants = 1 + (commands[i].second != NULL);
        if (count < wants || strcmp(words[0], commands[i].first) != 0 ||
            (commands[i].second && strcmp(words[1], commands[i].second) != 0))
            continue;
        call->word = words[wants - 1];
        if (count != wants + commands[i].names_file)
            return fail(err, INVALID, NULL, "%s",
                        commands[i].names_file ? "say where the key goes: cairn attest key new FILE.pem"
                                               : "there are too many words (see cairn attest --help)");
        call->path = words[count - 1];
        return commands[i].run(call, err);
    }
    return fail(err, INVALID, NULL,
                "say what to do: key, approve, reject, withdraw, release or deploy (see cairn attest --help)");
}

int attest_main(int argc, char **argv)
{
    static const char *const names[OPTIONS] = {
        [HUB] = "hub",           [REPO] = "repo",     [REVISION] = "revision",     [KEY] = "key",
        [NAME] = "name",         [TYPE] = "type",     [BRANCH] = "branch",         [VERSION] = "version",
        [CHANNEL] = "channel",   [ENV] = "env",       [SUPERSEDES] = "supersedes", [ID] = "id",
        [APPROVAL] = "approval", [REGION] = "region", [HARDWARE] = "hardware",     [RUNTIME] = "runtime",
        [CONFIG] = "config",     [TEE] = "tee",       [TOKEN_FILE] = "token-file",
    };
    struct call call = {0};
    struct option_spec specs[OPTIONS];
    const char *words[4] = {0};
    size_t count;
    struct error err = {0};
    bool asked = argc >= 2;
    if (!asked || flag_take(&argc, argv, "--help") || flag_take(&argc, argv, "-h")) {
        fputs(help, asked ? stdout : stderr);
        return asked ? 0 : 2;
    }
    for (size_t i = 0; i < OPTIONS; i++)
        specs[i] = (struct option_spec){names[i], &call.option[i]};
    enum status status = options_read(argc, argv, specs, OPTIONS, words, 4, &count, &err);
    if (status == OK)
        status = run(&call, words, count, &err);
    oms_key_free(&call.key);
    arena_free(&call.arena);
    if (status != OK)
        fprintf(stderr, "cairn attest: %s\n", err.message);
    return status == OK ? 0 : status == INVALID ? 2 : 1;
}

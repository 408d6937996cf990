/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sign_main.h"
#include "base/file.h"
#include "base/text.h"
#include "fetch/fetch.h"
#include "oms/bundle.h"
#include "oms/intoto.h"
#include "options.h"
#include "verify/folder.h"
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TOKEN_MOST 4096
#define ANSWER_MOST (1024 * 1024)
#define UPLOAD_MS (10 * 60 * 1000)
#define SIGNATURE_NAME "model.sig"
#define TOOLS_OWN ".cache/huggingface" /* verify/folder.c */

static const char help[] =
    "cairn sign - sign a model with your own key (OpenSSF Model Signing v1.0)\n\n"
    "  cairn sign --hub URL --repo NS/NAME --key FILE [FOLDER]\n"
    "  cairn sign FOLDER --key FILE\n\n"
    "On a hub: the hub says which files the revision holds and what their SHA-256 are, so that a model of any size is\n"
    "signed without downloading it. The key stays on this machine; what is signed is shown, and the signature goes to\n"
    "the hub, which checks it and puts it into its log. You take the hub's word for the digests, unless you also give\n"
    "the FOLDER that you uploaded: its files are then read and compared, and nothing is signed when one differs.\n\n"
    "Without a hub: the files of FOLDER are read and signed. Send the signature along with them, or keep it in FOLDER\n"
    "as model.sig.\n\n"
    "  --hub URL       the hub's address\n"
    "  --repo NS/NAME  --type model|dataset|space  --revision REV   what to sign: the model's main when not given\n"
    "  --key FILE      your private key: PEM without a passphrase, ECDSA on P-256, P-384 or P-521. To make one:\n"
    "                  cairn attest key new key.pem > key.pub    (this half is for those who verify)\n"
    "                  The hub must know it as yours: cairn attest key register --hub URL --key key.pem\n"
    "  --certificate-chain FILE   sign as the holder of a certificate: PEM, yours first, then those up to the root.\n"
    "                  The hub must trust the root (cairn serve --certificate-anchors)\n"
    "  --out FILE      where to write the signature                                                       (model.sig)\n"
    "  --no-upload     only write the file\n"
    "  --token-file FILE   holds your token for the hub; otherwise HF_TOKEN is used. It must be allowed to write\n\n"
    "Verify what was signed with: cairn verify FOLDER --bundle model.sig --key key.pub\n"
    "or with other people's tools: model_signing verify key FOLDER --signature model.sig --public_key key.pub\n"
    "(with --ignore-paths FOLDER/.cache where hf download made it: the tool counts what hf leaves there)\n\n"
    "Exit status 0: signed, and where a hub is named, in its log; 1: not; 2: the command was not understood.\n";

struct signing {
    struct arena arena;
    const char *hub, *repo, *type, *revision, *folder, *key, *chain, *out, *token_file;
    bool upload;
    struct str token;
    struct str commit;        /* of the hub's revision: in hex */
    struct buf statement;     /* what is signed */
    struct manifest manifest; /* the same; without sizes when it came from a hub */
};

/* Asking the hub. */

/* A hub's words, for a terminal. */
static struct str plain(struct arena *arena, struct str text)
{
    char *copy = arena_cstr(arena, str_given(text) ? text : STR(""));
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7F)
            *at = '?';
    return str_of(copy);
}

/* What a hub says when it refuses: a sentence, and where files differ, a line for each. */
static enum status refused(struct signing *signing, const struct fetch_answer *answer, struct error *err)
{
    auto_json json_t *said = NULL;
    if (json_read(answer->body, ANSWER_MOST, &said, NULL) != OK || !json_is_object(said))
        return fail(err, UNAVAILABLE, NULL, "The hub answers with status %d.", answer->status);
    const json_t *lines = json_object_get(said, "files");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        struct str line = plain(&signing->arena, str_of(json_string_value(json_array_get(lines, i))));
        fprintf(stderr, "  %.*s\n", STR_ARG(line));
    }
    struct str sentence = plain(&signing->arena, json_get_str(said, "error"));
    return fail(err, FORBIDDEN, NULL, "The hub refuses (status %d). %.*s", answer->status, STR_ARG(sentence));
}

static enum status ask(struct signing *signing, const char *path, struct str body, size_t limit, struct str *out,
                       struct error *err)
{
    struct arena *arena = &signing->arena;
    struct fetch_answer answer;
    struct str base = str_of(signing->hub);
    while (str_ends(base, STR("/")))
        base.len--;
    struct fetch what = {
        .url = arena_printf(arena, "%.*s/api/%ss/%.*s/%s", STR_ARG(base), signing->type,
                            STR_ARG(percent_encode(arena, str_of(signing->repo), true)), path),
        .token = signing->token,
        .type = STR("application/json"),
        .body = body,
        .limit = limit,
        .timeout_ms = UPLOAD_MS,
    };
    TRY(fetch(arena, &what, &answer, err));
    *out = answer.body;
    if (answer.status == 200 || answer.status == 201)
        return OK;
    if (answer.status == 307)
        return fail(err, NOT_FOUND, NULL, "The repo %s has another name now. Sign it by that one.", signing->repo);
    return refused(signing, &answer, err);
}

/* A branch may move while we sign, so all that follows is about the commit that it stands at now. */
static enum status ask_commit(struct signing *signing, struct error *err)
{
    struct arena *arena = &signing->arena;
    struct str answer,
        path = arena_printf(arena, "oms/%.*s", STR_ARG(percent_encode(arena, str_of(signing->revision), false)));
    uint8_t id[SHA1_SIZE];
    auto_json json_t *known = NULL;
    TRY(ask(signing, path.data, (struct str){0}, ANSWER_MOST, &answer, err));
    TRY(json_read(answer, ANSWER_MOST, &known, err));
    struct str commit = json_get_str(known, "commit");
    if (commit.len != 2 * SHA1_SIZE || !hex_decode(commit, id, sizeof id))
        return fail(err, INVALID, NULL, "The hub does not say which commit %s is.", signing->revision);
    signing->commit = arena_copy(arena, commit);
    return OK;
}

/*
 * Nobody should sign what a stranger wrote. So the hub's statement is read, written anew from what was understood, and
 * must come out the same to the byte: this model, whole files by SHA-256, and none left out by a rule but what is
 * always.
 */
static enum status check_statement(struct signing *signing, struct str statement, struct error *err)
{
    struct arena *arena = &signing->arena;
    struct oms_statement read;
    struct manifest_rules rules;
    struct str own = STR(SIGNATURE_NAME), name = str_of(strchr(signing->repo, '/') + 1);
    TRY(oms_statement_read(arena, statement, &read, err));
    struct manifest_file *files = arena_array(arena, read.count, sizeof *files);
    for (size_t i = 0; i < read.count; i++) {
        files[i].name = read.resources[i].name;
        memcpy(files[i].sha256, read.resources[i].digest, SHA256_SIZE);
    }
    TRY(manifest_rules_make(arena, &own, 1, &rules, err));
    TRY(manifest_make(arena, files, read.count, &rules, &signing->manifest, err));
    TRY(oms_statement_write(arena, &signing->manifest, read.model, &signing->statement, err));
    if (!str_eq(buf_view(&signing->statement), statement) || !str_eq_nocase(read.model, name))
        return fail(err, INVALID, NULL,
                    "What the hub wants signed is not a plain list of the files of %.*s, so it is not signed.",
                    STR_ARG(name));
    return OK;
}

static enum status ask_statement(struct signing *signing, struct error *err)
{
    struct str statement;
    TRY(ask_commit(signing, err));
    struct str path = arena_printf(&signing->arena, "oms/%.*s/statement", STR_ARG(signing->commit));
    TRY(ask(signing, path.data, (struct str){0}, OMS_STATEMENT_MOST, &statement, err));
    return check_statement(signing, statement, err);
}

/* The folder. */

static void show_findings(const struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        fprintf(stderr, "  %s\n", report->findings[i].text);
}

/* Lists and reads what is in the folder; what a download tool keeps there is only read when it is signed already. */
static enum status read_folder(struct signing *signing, struct folder *folder, struct report *report, struct error *err)
{
    const char *own[] = {signing->out};
    struct progress progress = {0};
    if (folder_open(folder, signing->folder, false, own, 1, report) &&
        folder_hash(folder, (struct folder_choice){0}, &progress, report))
        return OK;
    show_findings(report);
    return fail(err, UNPROCESSABLE, NULL, "The folder %s cannot be signed.", signing->folder);
}

static struct manifest_file *files_of(struct arena *arena, const struct folder *folder, size_t *count)
{
    struct manifest_file *files = arena_array(arena, folder->count + 1, sizeof *files);
    *count = 0;
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->files[i].aside)
            continue;
        files[*count] = folder->files[i].file;
        files[*count].name = arena_copy(arena, files[*count].name);
        ++*count;
    }
    return files;
}

static enum status compare_folder(struct signing *signing, const struct folder *folder, struct error *err)
{
    auto_buf struct buf lines = {0};
    struct oms_statement statement;
    struct oms_found found = {0};
    found.files = files_of(&signing->arena, folder, &found.count);
    TRY(oms_statement_read(&signing->arena, buf_view(&signing->statement), &statement, err));
    enum status status = oms_statement_compare(&signing->arena, &statement, &found, &lines, err);
    if (status == OK)
        return OK;
    fprintf(stderr, "%.*s", (int)lines.len, lines.data ? lines.data : "");
    return fail(err, status, NULL, "The folder %s is not what the hub holds, so nothing is signed.", signing->folder);
}

/* The folder's own name, whatever way leads to it. */
static enum status folder_name(struct signing *signing, struct str *out, struct error *err)
{
    char path[PATH_MAX];
    if (!realpath(signing->folder, path))
        return fail_errno(err, signing->folder);
    const char *slash = strrchr(path, '/');
    *out = arena_copy(&signing->arena, str_of(slash + 1));
    return out->len > 0 ? OK : fail(err, INVALID, NULL, "A model needs a folder with a name of its own.");
}

/* What is set aside is left out by a rule, so that verifiers do not miss it. */
static enum status rules_of(struct signing *signing, const struct folder *folder, struct manifest_rules *out,
                            struct error *err)
{
    struct str *paths = arena_array(&signing->arena, folder->count + 1, sizeof *paths);
    size_t count = 0;
    paths[count++] = STR(SIGNATURE_NAME);
    for (size_t i = 0; i < folder->count; i++)
        if (folder->files[i].aside)
            paths[count++] = str_starts(folder->files[i].file.name, STR(TOOLS_OWN "/")) ? STR(TOOLS_OWN)
                                                                                        : folder->files[i].file.name;
    return manifest_rules_make(&signing->arena, paths, count, out, err);
}

static enum status state_folder(struct signing *signing, const struct folder *folder, struct error *err)
{
    struct manifest_rules rules;
    struct str name;
    size_t count;
    struct manifest_file *files = files_of(&signing->arena, folder, &count);
    TRY(folder_name(signing, &name, err));
    TRY(rules_of(signing, folder, &rules, err));
    TRY(manifest_make(&signing->arena, files, count, &rules, &signing->manifest, err));
    return oms_statement_write(&signing->arena, &signing->manifest, name, &signing->statement, err);
}

static enum status make_statement(struct signing *signing, struct error *err)
{
    struct folder folder = {.fd = -1};
    struct report report = {0};
    enum status status = OK;
    if (signing->hub)
        TRY(ask_statement(signing, err));
    if (!signing->folder)
        return OK;
    status = read_folder(signing, &folder, &report, err);
    if (status == OK)
        status = signing->hub ? compare_folder(signing, &folder, err) : state_folder(signing, &folder, err);
    folder_free(&folder);
    arena_free(&report.arena);
    return status;
}

/* Signing. */

static enum status read_key(const char *path, EVP_PKEY **key, struct error *err)
{
    auto_buf struct buf pem = {0};
    TRY(file_read_all(path, OMS_PEM_MOST, &pem, err));
    enum status status = oms_key_read_private(buf_view(&pem), key, err);
    OPENSSL_cleanse(pem.data, pem.len);
    TRY(status);
    return oms_key_is_ecdsa(*key)
               ? OK
               : fail(err, UNSUPPORTED, NULL, "Models are signed with ECDSA keys on P-256, P-384 or P-521 only.");
}

static enum status make_bundle(struct signing *signing, EVP_PKEY *key, struct buf *out, struct error *err)
{
    struct arena *arena = &signing->arena;
    auto_buf struct buf pem = {0};
    struct str sig, statement = buf_view(&signing->statement), *certificates;
    struct oms_bundle bundle;
    size_t count;
    TRY(dsse_sign(arena, STR(INTOTO_MEDIA_TYPE), statement, key, &sig, err));
    if (!signing->chain) {
        TRY(oms_bundle_of_key(arena, statement, sig, key, &bundle, err));
        return oms_bundle_write(arena, &bundle, out, err);
    }
    TRY(file_read_all(signing->chain, CHAIN_ANCHORS_MOST, &pem, err));
    TRY(chain_read_pem(arena, buf_view(&pem), &certificates, &count, err));
    enum status status = oms_bundle_of_chain(arena, statement, sig, certificates, count, &bundle, err);
    if (status == UNPROCESSABLE)
        return fail(err, INVALID, NULL, "The first certificate of %s is not for the key %s.", signing->chain,
                    signing->key);
    TRY(status);
    return oms_bundle_write(arena, &bundle, out, err);
}

static void show_signed(struct signing *signing, EVP_PKEY *key)
{
    char hint[OMS_HINT_SIZE];
    const struct manifest *manifest = &signing->manifest;
    oms_key_hint(key, hint);
    if (signing->hub)
        printf("Signed    %zu files of %s at commit %.*s\n", manifest->count, signing->repo, STR_ARG(signing->commit));
    else
        printf("Signed    %zu files of %s\n", manifest->count, signing->folder);
    if (signing->hub && !signing->folder)
        puts("          by the digests that the hub gives; no file was read here");
    printf("dirHash1  %.*s\n", STR_ARG(hex_encode(&signing->arena, manifest->dir_hash, SHA256_SIZE)));
    printf("Key       %s\n", hint);
    printf("Written   %s\n", signing->out);
}

static enum status upload(struct signing *signing, struct str bundle, struct error *err)
{
    struct str answer;
    auto_json json_t *said = NULL;
    struct str path = arena_printf(&signing->arena, "oms/%.*s", STR_ARG(signing->commit));
    TRY(ask(signing, path.data, bundle, ANSWER_MOST, &answer, err));
    TRY(json_read(answer, ANSWER_MOST, &said, err));
    printf("Logged    entry %lld, evidence %.*s\n", (long long)json_get_int(said, "index", -1),
           STR_ARG(plain(&signing->arena, json_get_str(said, "evidence"))));
    return OK;
}

static enum status sign(struct signing *signing, struct error *err)
{
    auto_key EVP_PKEY *key = NULL;
    auto_buf struct buf bundle = {0};
    TRY(read_key(signing->key, &key, err));
    TRY(make_statement(signing, err));
    TRY(make_bundle(signing, key, &bundle, err));
    TRY(file_write_durable(signing->out, buf_view(&bundle), 0644, err));
    show_signed(signing, key);
    return signing->hub && signing->upload ? upload(signing, buf_view(&bundle), err) : OK;
}

/* What was asked. */

static enum status read_token(struct signing *signing, struct error *err)
{
    auto_buf struct buf text = {0};
    const char *from_environment = getenv("HF_TOKEN");
    if (!signing->token_file) {
        signing->token = from_environment && from_environment[0] ? str_of(from_environment) : (struct str){0};
        return OK;
    }
    TRY(file_read_all(signing->token_file, TOKEN_MOST, &text, err));
    signing->token = arena_copy(&signing->arena, str_trim(buf_view(&text)));
    return OK;
}

static enum status check_options(const struct signing *signing, struct error *err)
{
    const char *slash = signing->repo ? strchr(signing->repo, '/') : NULL;
    if (!signing->key)
        return fail(err, INVALID, NULL, "--key is missing: the file of your private key");
    if (!signing->hub && !signing->folder)
        return fail(err, INVALID, NULL, "Say what to sign: a folder, or --hub and --repo");
    if ((signing->hub != NULL) != (signing->repo != NULL))
        return fail(err, INVALID, NULL, "--hub and --repo belong together");
    if (signing->repo && (!slash || slash == signing->repo || !slash[1] || strchr(slash + 1, '/')))
        return fail(err, INVALID, NULL, "--repo is a name space and a name, as in alice/model, not \"%s\"",
                    signing->repo);
    if (strcmp(signing->type, "model") != 0 && strcmp(signing->type, "dataset") != 0 &&
        strcmp(signing->type, "space") != 0)
        return fail(err, INVALID, NULL, "--type is model, dataset or space, not \"%s\"", signing->type);
    return OK;
}

static enum status read_options(struct signing *signing, int argc, char **argv, struct error *err)
{
    const struct option_spec specs[] = {
        {"hub", &signing->hub},   {"repo", &signing->repo},
        {"type", &signing->type}, {"revision", &signing->revision},
        {"key", &signing->key},   {"certificate-chain", &signing->chain},
        {"out", &signing->out},   {"token-file", &signing->token_file},
    };
    size_t rest;
    signing->upload = !flag_take(&argc, argv, "--no-upload");
    TRY(options_read(argc, argv, specs, sizeof specs / sizeof *specs, &signing->folder, 1, &rest, err));
    return check_options(signing, err);
}

int sign_main(int argc, char **argv)
{
    struct signing signing = {.type = "model", .revision = "main", .out = SIGNATURE_NAME};
    struct error err = {0};
    if (flag_take(&argc, argv, "--help") || flag_take(&argc, argv, "-h")) {
        fputs(help, stdout);
        return 0;
    }
    bool understood = read_options(&signing, argc, argv, &err) == OK;
    enum status status = understood ? read_token(&signing, &err) : INVALID;
    if (status == OK)
        status = sign(&signing, &err);
    if (status == OK && fflush(stdout) != 0)
        status = fail_errno(&err, "standard output");
    if (status != OK)
        fprintf(stderr, "cairn sign: %s%s\n", err.message, understood ? "" : " (see cairn sign --help)");
    buf_free(&signing.statement);
    arena_free(&signing.arena);
    return status == OK ? 0 : understood ? 1 : 2;
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a repo, and what its first commit holds (hub-protocol 1.2). */
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "repo/internal.h"

/* The first files. */

/* Weights, tensors and archives: what is large or cannot be read in a diff. */
static const char *const large_patterns[] = {
    "*.7z",          "*.arrow",
    "*.bin",         "*.bz2",
    "*.ckpt",        "*.ftz",
    "*.gz",          "*.h5",
    "*.joblib",      "*.lfs.*",
    "*.mlmodel",     "*.model",
    "*.msgpack",     "*.npy",
    "*.npz",         "*.onnx",
    "*.ot",          "*.parquet",
    "*.pb",          "*.pickle",
    "*.pkl",         "*.pt",
    "*.pth",         "*.rar",
    "*.safetensors", "saved_model/**/*",
    "*.tar.*",       "*.tar",
    "*.tflite",      "*.tgz",
    "*.wasm",        "*.xz",
    "*.zip",         "*.zst",
    "*tfevents*",    NULL,
};
static const char *const media_patterns[] = {
    "*.pcm", "*.sam", "*.raw",  "*.aac", "*.flac", "*.m4a",  "*.mp3", "*.ogg", "*.opus", "*.wav", "*.bmp",  "*.gif",
    "*.png", "*.tif", "*.tiff", "*.jpg", "*.jpeg", "*.webp", "*.avi", "*.mkv", "*.mov",  "*.mp4", "*.webm", NULL,
};

static void add_patterns(struct buf *out, const char *const *patterns)
{
    for (; *patterns; patterns++)
        buf_printf(out, "%s filter=lfs diff=lfs merge=lfs -text\n", *patterns);
}

static const char page_html[] = "<!doctype html>\n"
                                "<html lang=\"en\">\n"
                                "  <head>\n"
                                "    <meta charset=\"utf-8\">\n"
                                "    <meta name=\"viewport\" content=\"width=device-width\">\n"
                                "    <title>A new space</title>\n"
                                "    <link rel=\"stylesheet\" href=\"style.css\">\n"
                                "  </head>\n"
                                "  <body>\n"
                                "    <h1>A new space</h1>\n"
                                "    <p>Replace <code>index.html</code> to show something here.</p>\n"
                                "  </body>\n"
                                "</html>\n";
static const char page_css[] =
    "body {\n    font-family: sans-serif;\n    margin: 2rem auto;\n    max-width: 40rem;\n}\n";

static enum status put_first_files(struct draft *draft, const struct repo_new *what, struct error *err)
{
    auto_buf struct buf attributes = {0}, readme = {0};
    add_patterns(&attributes, large_patterns);
    if (what->kind == KIND_DATASET)
        add_patterns(&attributes, media_patterns);
    TRY(draft_put(draft, STR(".gitattributes"), buf_view(&attributes), err));
    if (what->kind != KIND_SPACE)
        return OK;
    buf_printf(&readme, "---\ntitle: \"%.*s\"\nsdk: \"%.*s\"\n---\n\n# %.*s\n", STR_ARG(what->name), STR_ARG(what->sdk),
               STR_ARG(what->name));
    TRY(draft_put(draft, STR("README.md"), buf_view(&readme), err));
    if (!str_eq(what->sdk, STR("static")))
        return OK;
    TRY(draft_put(draft, STR("index.html"), str_of(page_html), err));
    return draft_put(draft, STR("style.css"), str_of(page_css), err);
}

/* Rows. */

struct create_call {
    const struct repo_new *what;
    struct draft *draft;
    struct oid head;
    int64_t id;
};

static const char taken_sql[] = "SELECT 1 FROM repo WHERE kind = ? AND ns_key = ? AND name_key = ?";
static const char free_alias_sql[] = "DELETE FROM repo_alias WHERE kind = ? AND ns_key = ? AND name_key = ?";

static void bind_name(struct stmt *stmt, struct arena *arena, const struct repo_new *what)
{
    stmt_bind_int(stmt, 1, what->kind);
    stmt_bind_str(stmt, 2, str_lower(arena, what->ns));
    stmt_bind_str(stmt, 3, str_lower(arena, what->name));
}

/* A name that a repo had before it was moved is free again: whoever may create in the name space takes it over. */
static enum status take_name(struct db_conn *tx, struct arena *arena, const struct repo_new *what, struct error *err)
{
    auto_stmt struct stmt *taken = NULL, *free_alias = NULL;
    TRY(db_prepare(tx, taken_sql, &taken, err));
    bind_name(taken, arena, what);
    bool found = stmt_next(taken);
    TRY(stmt_end(taken, err));
    if (found)
        return fail(err, CONFLICT, NULL, "You already created this %.*s repo", STR_ARG(repo_kind_name(what->kind)));
    TRY(db_prepare(tx, free_alias_sql, &free_alias, err));
    bind_name(free_alias, arena, what);
    return stmt_run(free_alias, err);
}

static const char serial_sql[] = "UPDATE repo_serial SET last = last + 1 RETURNING last";

static enum status next_id(struct db_conn *tx, int64_t *out, struct error *err)
{
    auto_stmt struct stmt *serial = NULL;
    TRY(db_prepare(tx, serial_sql, &serial, err));
    *out = 0;
    while (stmt_next(serial))
        *out = stmt_int(serial, 0);
    TRY(stmt_end(serial, err));
    return *out ? OK : fail(err, CORRUPT, NULL, "The row of repo_serial is missing");
}

static const char insert_sql[] =
    "INSERT INTO repo (id, public_id, kind, owner_id, ns, name, ns_key, name_key, visibility, "
    "sdk, created_us, updated_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

static enum status insert_repo(struct db_conn *tx, struct arena *arena, int64_t id, const struct repo_new *what,
                               struct error *err)
{
    auto_stmt struct stmt *insert = NULL;
    uint8_t public_id[12];
    int64_t now = now_us();
    random_bytes(public_id, sizeof public_id);
    TRY(db_prepare(tx, insert_sql, &insert, err));
    stmt_bind_int(insert, 1, id);
    stmt_bind_str(insert, 2, hex_encode(arena, public_id, sizeof public_id));
    stmt_bind_int(insert, 3, what->kind);
    stmt_bind_int(insert, 4, what->owner_id);
    stmt_bind_str(insert, 5, what->ns);
    stmt_bind_str(insert, 6, what->name);
    stmt_bind_str(insert, 7, str_lower(arena, what->ns));
    stmt_bind_str(insert, 8, str_lower(arena, what->name));
    stmt_bind_int(insert, 9, what->visibility);
    stmt_bind_str(insert, 10, str_given(what->sdk) ? what->sdk : STR(""));
    stmt_bind_int(insert, 11, now);
    stmt_bind_int(insert, 12, now);
    return stmt_run(insert, err);
}

static enum status create_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct create_call *call = context;
    const struct repo_new *what = call->what;
    auto_arena struct arena arena = {0};
    auto_buf struct buf body = {0};
    TRY(take_name(tx, &arena, what, err));
    TRY(next_id(tx, &call->id, err));
    TRY(insert_repo(tx, &arena, call->id, what, err));
    TRY(draft_store(call->draft, tx, call->id, STR("refs/heads/main"), NULL, what->by_id, err));

    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "kind", repo_kind_name(what->kind));
    jw_key_str(&w, "name", arena_printf(&arena, "%.*s/%.*s", STR_ARG(what->ns), STR_ARG(what->name)));
    jw_key_int(&w, "owner", what->owner_id);
    jw_key_str(&w, "visibility", repo_visibility_name(what->visibility));
    jw_key_str(&w, "ref", STR("refs/heads/main"));
    jw_key_str(&w, "new", oid_hex(&arena, &call->head));
    jw_end(&w);
    return repo_event_append(tx, EVENT_CREATE, call->id, what->by_id, &body, err);
}

static enum status check_sdk(struct str sdk, struct error *err)
{
    bool valid = sdk.len <= 32;
    for (size_t i = 0; valid && i < sdk.len; i++)
        valid = sdk.data[i] >= 'a' && sdk.data[i] <= 'z';
    return valid ? OK : fail(err, INVALID, NULL, "\"sdk\" must be one of [gradio, docker, static, streamlit]");
}

enum status repo_create(struct db *db, struct arena *arena, const struct repo_new *what, struct repo *out,
                        struct error *err)
{
    auto_draft struct draft *draft = NULL;
    auto_conn struct db_conn *conn = NULL;
    struct create_call call = {.what = what};
    struct draft_commit first = {.title = STR("initial commit"), .author = {what->by_name, what->by_email, now_us()}};
    bool unchanged;
    TRY(repo_name_check(what->name, err));
    TRY(check_sdk(what->sdk, err));
    TRY(draft_new(db, 0, &draft, err)); /* the repo gets its number when the draft is stored */
    TRY(put_first_files(draft, what, err));
    TRY(draft_build(draft, arena, &first, &call.head, &unchanged, err));
    call.draft = draft;
    TRY(db_write(db, create_in_write, &call, err));
    TRY(db_reader(db, &conn, err));
    return repo_get(conn, arena, call.id, out, err);
}

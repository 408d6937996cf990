/* SPDX-License-Identifier: LGPL-3.0-or-later */
#include "fetch/fetch.h"
#include "base/library.h"
#include "base/network.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LIMIT ((size_t)1024 * 1024)
#define TIMEOUT_MS 30000
#define CONNECT_MS 5000
#define PIECE                                                                                                          \
    (512L << 10) /* that a large body is received and sent in: each costs both sides an exchange on the line */

/* What is used of libcurl, which most programs that are started do without (base/library.h). */
#define FUNCTIONS(X)                                                                                                   \
    X(easy_init)                                                                                                       \
    X(easy_cleanup)                                                                                                    \
    X(easy_reset)                                                                                                      \
    X(easy_setopt)                                                                                                     \
    X(easy_perform)                                                                                                    \
    X(easy_getinfo)                                                                                                    \
    X(easy_header) X(easy_strerror) X(global_init) X(slist_append) X(slist_free_all)
#define POINTER(name) __typeof__(curl_##name) *name;
#define NAME(name) "curl_" #name,
static struct {
    FUNCTIONS(POINTER)
} libcurl;

static pthread_key_t handles;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct error not_loaded;

/* When it is first wanted: it also reads the settings of OpenSSL. */
static void start(void)
{
    static const char *const names[] = {FUNCTIONS(NAME) NULL};
    if (library_load("libcurl.so.4", names, (void **)&libcurl, &not_loaded) != OK)
        return;
    libcurl.global_init(CURL_GLOBAL_DEFAULT);
    if (pthread_key_create(&handles, libcurl.easy_cleanup) != 0)
        abort();
}

/* A thread's own, which keeps its connections open for what the thread asks next. NULL without libcurl. */
static CURL *handle(void)
{
    pthread_once(&once, start);
    if (not_loaded.status)
        return NULL;
    CURL *curl = pthread_getspecific(handles);
    if (curl) {
        libcurl.easy_reset(curl);
        return curl;
    }
    curl = libcurl.easy_init();
    if (!curl || pthread_setspecific(handles, curl) != 0)
        abort();
    return curl;
}

struct receiving {
    CURL *curl;
    struct buf *body;
    size_t start, limit; /* start: what was in the buffer before */
    bool too_large;
};

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    struct receiving *r = context;
    size_t len = size * count;
    curl_off_t all = 0;
    r->too_large = len > r->limit - (r->body->len - r->start);
    if (r->too_large)
        return 0;
    if (r->body->len == r->start &&
        libcurl.easy_getinfo(r->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &all) == CURLE_OK && all > 0 &&
        (uint64_t)all <= r->limit)
        buf_reserve(r->body, (size_t)all);
    buf_add(r->body, data, len);
    return len;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = libcurl.slist_append(list, line);
    if (!longer)
        abort();
    return longer;
}

static struct curl_slist *headers_of(struct arena *arena, const struct fetch *what)
{
    struct curl_slist *list = add_header(NULL, "Expect:");
    if (str_given(what->body))
        list = add_header(list, arena_printf(arena, "Content-Type: %.*s",
                                             STR_ARG(str_given(what->type) ? what->type : STR("text/plain")))
                                    .data);
    return list;
}

/* Looks at the address itself, when it is known: a name that was looked up before may lead elsewhere by now. */
static curl_socket_t open_public(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct network address = {.bits = 128};
    (void)context, (void)purpose;
    if (to->family == AF_INET6) {
        memcpy(address.bytes, &((struct sockaddr_in6 *)&to->addr)->sin6_addr, sizeof address.bytes);
    } else if (to->family == AF_INET) {
        address.bytes[10] = address.bytes[11] = 0xff;
        memcpy(address.bytes + 12, &((struct sockaddr_in *)&to->addr)->sin_addr, 4);
    } else
        return CURL_SOCKET_BAD;
    return network_is_public(&address) ? socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol)
                                       : CURL_SOCKET_BAD;
}

static void set_up(CURL *curl, struct arena *arena, const struct fetch *what, struct receiving *receiving)
{
    libcurl.easy_setopt(curl, CURLOPT_URL, arena_cstr(arena, what->url));
    libcurl.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(curl, CURLOPT_FOLLOWLOCATION, (long)what->follow);
    libcurl.easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    libcurl.easy_setopt(curl, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
    libcurl.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    libcurl.easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(what->timeout_ms ? what->timeout_ms : TIMEOUT_MS));
    libcurl.easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    libcurl.easy_setopt(curl, CURLOPT_WRITEDATA, receiving);
    if (str_given(what->token)) {
        libcurl.easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        libcurl.easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, arena_cstr(arena, what->token));
    }
    if (str_given(what->basic)) {
        libcurl.easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        libcurl.easy_setopt(curl, CURLOPT_USERPWD, arena_cstr(arena, what->basic));
    }
    if (what->public_only) {
        libcurl.easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public);
        libcurl.easy_setopt(curl, CURLOPT_FRESH_CONNECT,
                            1L); /* none that was opened for somebody who may go anywhere */
        libcurl.easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
        libcurl.easy_setopt(curl, CURLOPT_PROXY, ""); /* it would be the proxy that goes there, unseen */
    }
    if (what->into)
        libcurl.easy_setopt(curl, CURLOPT_BUFFERSIZE, PIECE);
    if (what->body.len > (size_t)PIECE)
        libcurl.easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, PIECE);
    if (str_given(what->body)) {
        libcurl.easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)what->body.len);
        libcurl.easy_setopt(curl, CURLOPT_POSTFIELDS, what->body.data);
    }
    if (what->range)
        libcurl.easy_setopt(curl, CURLOPT_RANGE, what->range);
    if (what->method)
        libcurl.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, what->method);
}

static struct str type_of(CURL *curl, struct arena *arena)
{
    const char *text = NULL;
    struct str type, rest;
    libcurl.easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &text);
    rest = text ? arena_copy(arena, str_of(text)) : STR("");
    return str_cut(&rest, ';', &type) ? str_trim(type) : STR("");
}

static struct str error_code_of(CURL *curl, struct arena *arena)
{
    struct curl_header *header;
    if (libcurl.easy_header(curl, "X-Error-Code", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return STR("");
    return arena_copy(arena, str_of(header->value));
}

static enum status failed(const struct fetch *what, CURLcode code, bool too_large, const char *why, struct error *err)
{
    if (too_large)
        return fail(err, TOO_LARGE, NULL, "%.*s answers with more than %zu bytes.", STR_ARG(what->url),
                    what->limit ? what->limit : LIMIT);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail(err, TIMED_OUT, NULL, "%.*s did not answer in time.", STR_ARG(what->url));
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
        return fail(err, INVALID, NULL, "%.*s is not an http:// or https:// address.", STR_ARG(what->url));
    return fail(err, UNAVAILABLE, NULL, "%.*s cannot be reached: %s.", STR_ARG(what->url),
                why[0] ? why : libcurl.easy_strerror(code));
}

enum status fetch(struct arena *arena, const struct fetch *what, struct fetch_answer *out, struct error *err)
{
    auto_buf struct buf own = {0};
    struct buf *body = what->into ? what->into : &own;
    CURL *curl = handle();
    if (!curl)
        return fail(err, not_loaded.status, NULL, "%s", not_loaded.message);
    struct receiving receiving = {curl, body, body->len, what->limit ? what->limit : LIMIT, false};
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    struct curl_slist *headers = headers_of(arena, what);
    set_up(curl, arena, what, &receiving);
    libcurl.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    CURLcode code = libcurl.easy_perform(curl);
    if (code == CURLE_OK) {
        struct str came = str_from(buf_view(body), receiving.start);
        libcurl.easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        *out = (struct fetch_answer){(int)status, type_of(curl, arena), what->into ? came : arena_copy(arena, came),
                                     error_code_of(curl, arena)};
    } else
        body->len = receiving.start;
    libcurl.easy_reset(curl); /* what it was told lives no longer than this call */
    libcurl.slist_free_all(headers);
    return code == CURLE_OK ? OK : failed(what, code, receiving.too_large, why, err);
}

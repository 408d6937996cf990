/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many clients at once, polite and rude, over a server whose timeouts fall among them. Meant for TSan as much as for
 * its asserts. */
#include "fixture.h"

#define CLIENTS 24
#define ROUNDS 60

struct client {
    struct site *site;
    pthread_t thread;
    unsigned seed;
    int heard, wrong;
};

/* Assertions of cmocka belong to the main thread; here a wrong thing is counted. */
static bool hear_until(int fd, struct buf *into, size_t len)
{
    while (into->len < len) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, PATIENCE_MS) != 1)
            return false;
        buf_reserve(into, 64 << 10);
        ssize_t n = recv(fd, into->data + into->len, into->capacity - into->len, 0);
        if (n <= 0)
            return false;
        into->len += (size_t)n;
    }
    return true;
}

static int dial_quietly(struct site *site)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(site->server))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fd_close(&fd);
    return fd;
}

#define TELL(fd, literal) (void)!send(fd, literal, sizeof(literal) - 1, MSG_NOSIGNAL)

static void be_polite(struct client *client, int fd)
{
    for (int i = 0; i < 5; i++) {
        auto_buf struct buf answer = {0};
        TELL(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\npolite");
        bool whole = hear_until(fd, &answer, 1);
        while (whole && !memmem(answer.data, answer.len, "polite", 6))
            whole = hear_until(fd, &answer, answer.len + 1);
        client->heard += whole;
        client->wrong += !whole;
    }
}

static void behave(struct client *client, int fd)
{
    auto_buf struct buf some = {0};
    switch (rand_r(&client->seed) % 7) {
    case 0: /* leaves within a download */
        TELL(fd, "GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
        hear_until(fd, &some, (size_t)(rand_r(&client->seed) % 3000000));
        break;
    case 1: /* leaves within a body */
        TELL(fd, "PUT /sum HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf");
        break;
    case 2: /* leaves within a head */
        TELL(fd, "PUT /sum HTTP/1.1\r\nHost");
        break;
    case 3: /* talks nonsense */
        TELL(fd, "nonsense\n\n");
        hear_until(fd, &some, 20);
        break;
    case 4: /* does not listen */
        TELL(fd, "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
        break;
    default:
        be_polite(client, fd);
    }
}

static void *visit(void *context)
{
    struct client *client = context;
    for (int i = 0; i < ROUNDS; i++) {
        auto_fd int fd = dial_quietly(client->site);
        if (fd < 0)
            client->wrong++;
        else
            behave(client, fd);
    }
    return NULL;
}

static void everybody_polite_is_served_whatever_the_others_do(void **state)
{
    (void)state;
    struct site *site = calloc(1, sizeof *site);
    site->config.max_connections = 64;
    site->grace_seconds = 20;
    site_start(site);
    struct client clients[CLIENTS];
    int heard = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.site = site, .seed = i + 1};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, visit, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].wrong, 0);
        heard += clients[i].heard;
    }
    assert_true(heard > 0);
    struct http_stats stats;
    wait_until((http_server_stats(site->server, &stats), stats.connections == 0));
    site_stop_and_check(site);
    free(site);
}

/* Connections come and go while the server stops under them: it must end, with every request reported. */
static void stopping_amid_a_crowd_ends(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct site *site = calloc(1, sizeof *site);
        site->grace_seconds = (unsigned)round % 2;
        site_start(site);
        struct client clients[8];
        for (unsigned i = 0; i < 8; i++) {
            clients[i] = (struct client){.site = site, .seed = 100 + i};
            assert_int_equal(pthread_create(&clients[i].thread, NULL, visit, &clients[i]), 0);
        }
        wait_until(site->handled > 20);
        http_server_stop(site->server);
        pthread_join(site->thread, NULL);
        for (unsigned i = 0; i < 8; i++)
            pthread_join(clients[i].thread, NULL);
        assert_int_equal(site->handled, site->done);
        http_server_free(site->server);
        close(site->file);
        free(site);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_polite_is_served_whatever_the_others_do),
        cmocka_unit_test(stopping_amid_a_crowd_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "net/internal.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024
#define ACCEPT_TURN 64 /* connections taken before the thread looks at other events */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* "127.0.0.1:80", "[::1]:80", "localhost:80". Names are not resolved: which address one gets should not depend on a
 * resolver. */
static enum status parse_address(const char *text, union address *out, socklen_t *len, struct error *err)
{
    const char *colon = text ? strrchr(text, ':') : NULL;
    int64_t port;
    char host[64];
    if (!colon || !str_to_i64(str_of(colon + 1), &port) || port > 65535 || (size_t)(colon - text) >= sizeof host)
        return fail(err, INVALID, NULL, "%s: give an address and a port, such as 127.0.0.1:8080", text ? text : "");
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    struct str name = str_of(host);
    memset(out, 0, sizeof *out);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]"))) {
        host[name.len - 1] = '\0';
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons((uint16_t)port);
        *len = sizeof out->v6;
        if (inet_pton(AF_INET6, host + 1, &out->v6.sin6_addr) == 1)
            return OK;
    } else {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons((uint16_t)port);
        *len = sizeof out->v4;
        if (inet_pton(AF_INET, str_eq(name, STR("localhost")) ? "127.0.0.1" : host, &out->v4.sin_addr) == 1)
            return OK;
    }
    return fail(err, INVALID, NULL, "%s is not an IPv4 or [IPv6] address or localhost", text);
}

enum status listen_open(struct http_server *server, struct error *err)
{
    union address address;
    socklen_t len;
    int on = 1;
    TRY(parse_address(server->config.listen, &address, &len, err));
    server->listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0)
        return fail_errno(err, "socket");
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(server->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
    if (bind(server->listener, &address.any, len) != 0 || listen(server->listener, BACKLOG) != 0 ||
        getsockname(server->listener, &address.any, &len) != 0)
        return fail_errno(err, server->config.listen);
    server->port = ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
    return OK;
}

void listen_arm(struct http_server *server, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
    event.data.u64 = EVENT_LISTENER;
    epoll_ctl(server->epoll, operation, server->listener, &event);
}

/* The peer as text; an IPv4 peer on an IPv6 socket reads as IPv4, so that logs and limits see one address for one peer.
 */
static void name_peer(struct connection *c, const union address *peer)
{
    const void *address = &peer->v4.sin_addr;
    int family = peer->any.sa_family;
    if (family == AF_INET6) {
        address = &peer->v6.sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
            address = peer->v6.sin6_addr.s6_addr + 12;
            family = AF_INET;
        }
    }
    if (!inet_ntop(family, address, c->remote, sizeof c->remote))
        c->remote[0] = '\0';
}

/* Out of descriptors or kernel memory: accepting goes on when a connection closes or at the keeper's next round, not at
 * once. */
static void pause_accept(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->accept_paused = true;
    pthread_mutex_unlock(&server->lock);
}

static bool no_resources(int number)
{
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

void listen_accept(struct http_server *server)
{
    for (int i = 0; i < ACCEPT_TURN && !atomic_load(&server->stopping); i++) {
        union address peer;
        socklen_t len = sizeof peer;
        struct connection *c = table_reserve(server);
        if (!c)
            return;
        c->fd = accept4(server->listener, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c->fd >= 0) {
            name_peer(c, &peer);
            int64_t deadline = monotonic_us() + server->config.idle_seconds * SECOND_US;
            if (table_park(c, WAIT_READ, deadline))
                continue;
            listen_arm(server, EPOLL_CTL_MOD); /* before serving: a handler may take long */
            connection_serve(c);
            return;
        }
        int number = errno;
        table_release(c);
        if (number == EAGAIN || number == EINVAL)
            break;
        if (no_resources(number)) {
            pause_accept(server);
            return;
        }
    }
    if (!atomic_load(&server->stopping)) /* a listener that is shut down is always ready */
        listen_arm(server, EPOLL_CTL_MOD);
}

#include "carrier.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* -- what epoll is told ------------------------------------------------------------------------ */

/* A side is read only while nothing of it waits: that is the back-pressure. */
static bool is_read(const struct link *link, enum side side)
{
    return link->ends[!side].waiting == NULL && !(side == CLIENT && link->deaf);
}

static uint32_t wanted(const struct link *link, enum side side)
{
    uint32_t events = 0;

    if (is_read(link, side))
        events |= EPOLLIN;
    if (link->ends[side].waiting != NULL)
        events |= EPOLLOUT;
    return events;
}

/* Have *events* of this end reported, if they are not yet. It is taken out if there are none: epoll
 * would go on reporting that its peer has hung up. Only taking out can't fail. */
static int watch(struct carrier *carrier, struct link *link, enum side side, uint32_t events)
{
    struct end *end = &link->ends[side];
    struct epoll_event event = {
        .events = events,
        .data.u64 = table_key(&carrier->table, link, side),
    };
    int how = EPOLL_CTL_MOD;

    if (events == end->watched)
        return 0;
    if (events == 0)
        how = EPOLL_CTL_DEL;
    else if (end->watched == 0)
        how = EPOLL_CTL_ADD;
    if (epoll_ctl(carrier->epoll, how, end->fd, &event) != 0)
        return errno;
    end->watched = events;
    return 0;
}

static void watch_no_more(struct carrier *carrier, struct link *link)
{
    (void)watch(carrier, link, CLIENT, 0);
    (void)watch(carrier, link, BACKEND, 0);
}

/* -- the end of a link ------------------------------------------------------------------------- */

static void drop_waiting(struct end *end)
{
    free(end->waiting);
    end->waiting = NULL;
}

/* It ends by itself: nothing is carried any more, and its owner is told to part it. */
static void end_link(struct carrier *carrier, struct link *link)
{
    watch_no_more(carrier, link);
    table_end(&carrier->table, link);
}

static void break_link(struct carrier *carrier, struct link *link)
{
    link->broken = true;
    end_link(carrier, link);
}

void carrier_let_go(struct carrier *carrier, struct link *link)
{
    watch_no_more(carrier, link);
    for (int side = CLIENT; side <= BACKEND; side++) {
        drop_waiting(&link->ends[side]);
        (void)close(link->ends[side].fd);
    }
}

/* -- carrying ---------------------------------------------------------------------------------- */

/* Keep what *side* has to get and does not take now. */
static bool keep(struct link *link, enum side side, const uint8_t *data, size_t size)
{
    struct end *end = &link->ends[side];

    if (size == 0)
        return true;
    end->waiting = malloc(size);
    if (end->waiting == NULL)
        return false;
    memcpy(end->waiting, data, size);
    end->waiting_from = 0;
    end->waiting_size = size;
    return true;
}

/* Nothing more comes from *side*. What a backend said up to now is still for the client to get. */
static void on_gone(struct carrier *carrier, struct link *link, enum side side)
{
    const struct stream *answers = &link->framing.answers;

    if (side == CLIENT) {
        end_link(carrier, link);
        return;
    }
    (void)keep(link, CLIENT, answers->held, answers->held_size); /* without memory it is cut off */
    break_link(carrier, link);
}

/* *side* takes nothing more, for this *error*. A backend that has exited may have said why, so it
 * is heard out. */
static void on_refused(struct carrier *carrier, struct link *link, enum side side, int error)
{
    drop_waiting(&link->ends[side]);
    if (side == CLIENT)
        end_link(carrier, link);
    else if (error == EPIPE || error == ECONNRESET)
        link->deaf = true;
    else
        break_link(carrier, link);
}

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* How much of this *side* takes now; -1, and errno, if it takes nothing any more. */
static ssize_t put(const struct link *link, enum side side, const uint8_t *data, size_t size)
{
    const ssize_t sent = send(link->ends[side].fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    return sent < 0 && would_block(errno) ? 0 : sent;
}

/* Send, and keep what does not go; nothing waits for *side* yet. */
static void deliver(struct carrier *carrier, struct link *link, enum side side, const uint8_t *data,
                    size_t size)
{
    ssize_t sent;

    if (size == 0)
        return;
    sent = put(link, side, data, size);
    if (sent < 0)
        on_refused(carrier, link, side, errno);
    else if (!keep(link, side, data + sent, size - (size_t)sent))
        break_link(carrier, link);
}

/* Send what waits for *side*. */
static void flush(struct carrier *carrier, struct link *link, enum side side)
{
    struct end *end = &link->ends[side];
    const size_t left = end->waiting_size - end->waiting_from;
    const ssize_t sent = put(link, side, end->waiting + end->waiting_from, left);

    if (sent < 0)
        on_refused(carrier, link, side, errno);
    else if ((size_t)sent == left)
        drop_waiting(end);
    else
        end->waiting_from += (size_t)sent;
}

static void on_requests(struct carrier *carrier, struct link *link, const uint8_t *data,
                        size_t size)
{
    size_t forward;

    link->touched = true;
    if (!framing_requests(&link->framing, data, size, &forward)) {
        link->violated = true;
        break_link(carrier, link);
        return;
    }
    deliver(carrier, link, BACKEND, data, forward);
    if (link->framing.terminated && link->state == LINKED)
        end_link(carrier, link);
}

static void on_answers(struct carrier *carrier, struct link *link, const uint8_t *data, size_t size)
{
    const size_t forward = framing_answers(&link->framing, data, size);

    deliver(carrier, link, CLIENT, data, forward);
}

/* Read a piece from *side*, and send it on. */
static void carry(struct carrier *carrier, struct link *link, enum side side)
{
    const struct stream *stream =
        side == CLIENT ? &link->framing.requests : &link->framing.answers;
    const size_t held = stream->held_size;
    ssize_t got;

    got = recv(link->ends[side].fd, carrier->piece + held, PIECE, MSG_DONTWAIT);
    if (got < 0 && would_block(errno))
        return;
    if (got <= 0) {
        on_gone(carrier, link, side);
        return;
    }
    memcpy(carrier->piece, stream->held, held);
    if (side == CLIENT)
        on_requests(carrier, link, carrier->piece, held + (size_t)got);
    else
        on_answers(carrier, link, carrier->piece, held + (size_t)got);
}

/* Tell epoll what is wanted now; a link that can't be watched is ended. */
static void settle(struct carrier *carrier, struct link *link)
{
    if (watch(carrier, link, CLIENT, wanted(link, CLIENT)) != 0
        || watch(carrier, link, BACKEND, wanted(link, BACKEND)) != 0)
        break_link(carrier, link);
}

/* A peer that has hung up or failed is found out by sending to it, or else by reading. */
void carrier_go_on(struct carrier *carrier, link_key key, uint32_t events)
{
    struct link *link = table_find(&carrier->table, key);
    const enum side side = key & 1 ? BACKEND : CLIENT;

    if (link == NULL || link->state != LINKED)
        return;
    if (link->ends[side].waiting != NULL && (events & ~(uint32_t)EPOLLIN) != 0)
        flush(carrier, link, side);
    if (link->state == LINKED && is_read(link, side) && (events & ~(uint32_t)EPOLLOUT) != 0)
        carry(carrier, link, side);
    if (link->state == LINKED)
        settle(carrier, link);
}

void carrier_begin(struct carrier *carrier, struct link *link, struct bytes greeting,
                   struct bytes ahead)
{
    deliver(carrier, link, CLIENT, greeting.data, greeting.size);
    if (ahead.size > 0 && link->state == LINKED)
        on_requests(carrier, link, ahead.data, ahead.size);
    if (link->state == LINKED)
        settle(carrier, link);
}

/* -- opening and closing ----------------------------------------------------------------------- */

int carrier_open(struct carrier *carrier)
{
    const int error = table_open(&carrier->table);

    carrier->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (error != 0)
        return error;
    return carrier->epoll < 0 ? errno : 0;
}

void carrier_close(struct carrier *carrier)
{
    for (uint32_t i = 0; i < carrier->table.capacity; i++) {
        struct link *link = &carrier->table.links[i];

        if (table_is_linked(link))
            carrier_let_go(carrier, link);
    }
    table_close(&carrier->table);
    if (carrier->epoll >= 0)
        (void)close(carrier->epoll);
}

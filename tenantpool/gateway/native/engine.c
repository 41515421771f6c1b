#define _GNU_SOURCE

#include "engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "framing.h"

enum {
    MOST_EVENTS = 64,
    PIECE = 65536, /* bytes that are read at once, and the most that waits in each direction */
    STACK = 256 * 1024,
    FIRST_LINKS = 64,
};

enum side { CLIENT, BACKEND };

static const uint32_t NOWHERE = UINT32_MAX;
static const uint64_t STOP = UINT64_MAX; /* the event that ends the thread; no link's, see key_of */

/* One end of a link. */
struct end {
    int fd;
    uint32_t watched; /* the events that epoll was told to report; 0: it does not have it */
    uint8_t *waiting; /* what the peer here has not taken yet, or NULL, as nearly always */
    size_t waiting_from;
    size_t waiting_size;
};

enum state {
    VACANT,
    LINKED,
    ENDED,    /* by itself, and is in the list of those */
    REPORTED, /* it was taken off that list, to be parted */
    RESIGNED  /* it was parted while in that list, and is vacant once it comes off */
};

/* A client and a backend. Kept small, as most of them are idle most of the time. */
struct link {
    struct end ends[2];
    struct framing framing;
    uint32_t generation; /* how often its place was used */
    uint32_t next;       /* in the list of the vacant, or of those that have ended */
    enum state state;
    bool touched;  /* the client has sent something */
    bool deaf;     /* the backend takes nothing any more, but may have something to say */
    bool broken;   /* it ended in no orderly way */
    bool violated; /* the client sent what can't be a message */
};

struct engine {
    pthread_t thread;
    pthread_mutex_t turnstile; /* see enter */
    pthread_mutex_t lock;      /* guards all that follows, but for the descriptors' numbers */
    int epoll;
    int stop_fd;
    int ended_fd;
    struct link *links;
    uint32_t capacity;
    uint32_t vacant;
    uint32_t first_ended;
    uint32_t last_ended;
    /* What is read now; only what the other side does not take at once is copied. */
    uint8_t piece[FRAMING_MOST_HELD + PIECE];
};

/* Take the lock. Mutexes are not fair, and under load the thread unlocks only to lock again at
 * once; but nobody passes the turnstile while another one stands in it. Locking plain mutexes can't fail. */
static void enter(struct engine *engine)
{
    pthread_mutex_lock(&engine->turnstile);
    pthread_mutex_lock(&engine->lock);
    pthread_mutex_unlock(&engine->turnstile);
}

static void leave(struct engine *engine)
{
    pthread_mutex_unlock(&engine->lock);
}

/* -- keys -------------------------------------------------------------------------------------- */

/* The side is the lowest bit: a link's key is that of its client's end. */
static uint64_t key_of(const struct engine *engine, const struct link *link, enum side side)
{
    const uint64_t index = (uint64_t)(link - engine->links);

    return (uint64_t)link->generation << 32 | index << 1 | (uint64_t)side;
}

/* The link, or NULL: events that were fetched before a link was parted are reported after it. */
static struct link *find(struct engine *engine, uint64_t key)
{
    const uint32_t index = (uint32_t)key >> 1;
    struct link *link = index < engine->capacity ? &engine->links[index] : NULL;

    if (link == NULL || link->generation != (uint32_t)(key >> 32))
        return NULL;
    return link->state == VACANT || link->state == RESIGNED ? NULL : link;
}

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
static int watch(struct engine *engine, struct link *link, enum side side, uint32_t events)
{
    struct end *end = &link->ends[side];
    struct epoll_event event = {.events = events, .data.u64 = key_of(engine, link, side)};
    int how = EPOLL_CTL_MOD;

    if (events == end->watched)
        return 0;
    if (events == 0)
        how = EPOLL_CTL_DEL;
    else if (end->watched == 0)
        how = EPOLL_CTL_ADD;
    if (epoll_ctl(engine->epoll, how, end->fd, &event) != 0)
        return errno;
    end->watched = events;
    return 0;
}

static void watch_no_more(struct engine *engine, struct link *link)
{
    (void)watch(engine, link, CLIENT, 0);
    (void)watch(engine, link, BACKEND, 0);
}

static void drop_waiting(struct end *end)
{
    free(end->waiting);
    end->waiting = NULL;
}

/* -- the end of a link ------------------------------------------------------------------------- */

static void ring(int eventfd)
{
    const uint64_t one = 1;
    ssize_t written;

    do /* it can't be full: it is rung once until it is read */
        written = write(eventfd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
}

static void silence(int eventfd)
{
    uint64_t count;
    ssize_t got;

    do
        got = read(eventfd, &count, sizeof count);
    while (got < 0 && errno == EINTR);
}

/* It ends by itself: nothing is carried any more, and its owner is told to part it. */
static void end_link(struct engine *engine, struct link *link)
{
    const uint32_t index = (uint32_t)(link - engine->links);

    watch_no_more(engine, link);
    link->state = ENDED;
    link->next = NOWHERE;
    if (engine->first_ended == NOWHERE) {
        engine->first_ended = index;
        ring(engine->ended_fd);
    } else {
        engine->links[engine->last_ended].next = index;
    }
    engine->last_ended = index;
}

static void break_link(struct engine *engine, struct link *link)
{
    link->broken = true;
    end_link(engine, link);
}

static void vacate(struct engine *engine, struct link *link)
{
    link->state = VACANT;
    link->generation++;
    link->next = engine->vacant;
    engine->vacant = (uint32_t)(link - engine->links);
}

/* Let go of its sockets. Others have them, too: epoll would go on with them if it were not told. */
static void unlink_ends(struct engine *engine, struct link *link)
{
    watch_no_more(engine, link);
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
static void on_gone(struct engine *engine, struct link *link, enum side side)
{
    const struct stream *answers = &link->framing.answers;

    if (side == CLIENT) {
        end_link(engine, link);
        return;
    }
    (void)keep(link, CLIENT, answers->held, answers->held_size); /* without memory it is cut off */
    break_link(engine, link);
}

/* *side* takes nothing more, for this *error*. A backend that has exited may have said why, so it is
 * heard out. */
static void on_refused(struct engine *engine, struct link *link, enum side side, int error)
{
    drop_waiting(&link->ends[side]);
    if (side == CLIENT)
        end_link(engine, link);
    else if (error == EPIPE || error == ECONNRESET)
        link->deaf = true;
    else
        break_link(engine, link);
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
static void deliver(struct engine *engine, struct link *link, enum side side, const uint8_t *data,
                    size_t size)
{
    ssize_t sent;

    if (size == 0)
        return;
    sent = put(link, side, data, size);
    if (sent < 0)
        on_refused(engine, link, side, errno);
    else if (!keep(link, side, data + sent, size - (size_t)sent))
        break_link(engine, link);
}

/* Send what waits for *side*. */
static void flush(struct engine *engine, struct link *link, enum side side)
{
    struct end *end = &link->ends[side];
    const size_t left = end->waiting_size - end->waiting_from;
    const ssize_t sent = put(link, side, end->waiting + end->waiting_from, left);

    if (sent < 0)
        on_refused(engine, link, side, errno);
    else if ((size_t)sent == left)
        drop_waiting(end);
    else
        end->waiting_from += (size_t)sent;
}

static void on_requests(struct engine *engine, struct link *link, const uint8_t *data, size_t size)
{
    size_t forward;

    link->touched = true;
    if (!framing_requests(&link->framing, data, size, &forward)) {
        link->violated = true;
        break_link(engine, link);
        return;
    }
    deliver(engine, link, BACKEND, data, forward);
    if (link->framing.terminated && link->state == LINKED)
        end_link(engine, link);
}

static void on_answers(struct engine *engine, struct link *link, const uint8_t *data, size_t size)
{
    const size_t forward = framing_answers(&link->framing, data, size);

    deliver(engine, link, CLIENT, data, forward);
}

/* Read a piece from *side*, and send it on. */
static void carry(struct engine *engine, struct link *link, enum side side)
{
    const struct stream *stream =
        side == CLIENT ? &link->framing.requests : &link->framing.answers;
    const size_t held = stream->held_size;
    ssize_t got;

    got = recv(link->ends[side].fd, engine->piece + held, PIECE, MSG_DONTWAIT);
    if (got < 0 && would_block(errno))
        return;
    if (got <= 0) {
        on_gone(engine, link, side);
        return;
    }
    memcpy(engine->piece, stream->held, held);
    if (side == CLIENT)
        on_requests(engine, link, engine->piece, held + (size_t)got);
    else
        on_answers(engine, link, engine->piece, held + (size_t)got);
}

/* Tell epoll what is wanted now; a link that can't be watched is ended. */
static void settle(struct engine *engine, struct link *link)
{
    if (watch(engine, link, CLIENT, wanted(link, CLIENT)) != 0
        || watch(engine, link, BACKEND, wanted(link, BACKEND)) != 0)
        break_link(engine, link);
}

/* A peer that has hung up or failed is found out by sending to it, or else by reading. */
static void on_event(struct engine *engine, uint64_t key, uint32_t events)
{
    struct link *link = find(engine, key);
    const enum side side = key & 1 ? BACKEND : CLIENT;

    if (link == NULL || link->state != LINKED)
        return;
    if (link->ends[side].waiting != NULL && (events & ~(uint32_t)EPOLLIN) != 0)
        flush(engine, link, side);
    if (link->state == LINKED && is_read(link, side) && (events & ~(uint32_t)EPOLLOUT) != 0)
        carry(engine, link, side);
    if (link->state == LINKED)
        settle(engine, link);
}

/* Events are reported as long as they hold (level-triggered): a piece that is larger than what is
 * read at once costs no book-keeping, and others get their turn before its rest. */
static void *run(void *argument)
{
    struct engine *engine = argument;
    struct epoll_event events[MOST_EVENTS];

    for (;;) {
        const int count = epoll_wait(engine->epoll, events, MOST_EVENTS, -1);

        if (count < 0 && errno != EINTR)
            abort(); /* a mistake of ours; nobody would carry anything any more */
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == STOP)
                return NULL;
            enter(engine);
            on_event(engine, events[i].data.u64, events[i].events);
            leave(engine);
        }
    }
}

/* -- starting and closing ---------------------------------------------------------------------- */

static int open_descriptors(struct engine *engine)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.u64 = STOP};

    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (engine->epoll < 0)
        return errno;
    engine->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine->stop_fd < 0)
        return errno;
    engine->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (engine->ended_fd < 0)
        return errno;
    return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, engine->stop_fd, &stop) != 0 ? errno : 0;
}

static void close_descriptor(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void free_engine(struct engine *engine)
{
    close_descriptor(engine->epoll);
    close_descriptor(engine->stop_fd);
    close_descriptor(engine->ended_fd);
    (void)pthread_mutex_destroy(&engine->turnstile);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine->links);
    free(engine);
}

/* Signals are for the other threads. */
static int start_thread(struct engine *engine)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = pthread_attr_init(&attributes);

    if (error != 0)
        return error;
    (void)sigfillset(&all);
    (void)pthread_attr_setstacksize(&attributes, STACK);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&engine->thread, &attributes, run, engine);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (error == 0)
        (void)pthread_setname_np(engine->thread, "splice");
    return error;
}

int engine_start(struct engine **started)
{
    struct engine *engine = calloc(1, sizeof *engine);
    int error;

    if (engine == NULL)
        return ENOMEM;
    engine->epoll = engine->stop_fd = engine->ended_fd = -1;
    engine->vacant = engine->first_ended = engine->last_ended = NOWHERE;
    (void)pthread_mutex_init(&engine->turnstile, NULL); /* on Linux these can't fail */
    (void)pthread_mutex_init(&engine->lock, NULL);
    error = open_descriptors(engine);
    if (error == 0)
        error = start_thread(engine);
    if (error != 0) {
        free_engine(engine);
        return error;
    }
    *started = engine;
    return 0;
}

void engine_close(struct engine *engine)
{
    ring(engine->stop_fd);
    (void)pthread_join(engine->thread, NULL);
    for (uint32_t i = 0; i < engine->capacity; i++) {
        struct link *link = &engine->links[i];

        if (link->state != VACANT && link->state != RESIGNED)
            unlink_ends(engine, link);
    }
    free_engine(engine);
}

int engine_fd(const struct engine *engine)
{
    return engine->ended_fd;
}

/* -- joining and parting ----------------------------------------------------------------------- */

/* Make room for more links. They may move: nobody keeps their addresses without the lock. */
static int grow(struct engine *engine)
{
    const uint32_t before = engine->capacity;
    const uint32_t after = before == 0 ? FIRST_LINKS : 2 * before;
    struct link *links;

    if (after > UINT32_MAX / 4)
        return ENOMEM;
    links = realloc(engine->links, after * sizeof *links);
    if (links == NULL)
        return ENOMEM;
    memset(links + before, 0, (after - before) * sizeof *links);
    engine->links = links;
    engine->capacity = after;
    for (uint32_t i = after; i-- > before;) {
        links[i].next = engine->vacant;
        engine->vacant = i;
    }
    return 0;
}

static int duplicate(int fd, int *copy)
{
    *copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *copy < 0 ? errno : 0;
}

/* Take a vacant place for these sockets, which are its own now. */
static struct link *occupy(struct engine *engine, int client, int backend)
{
    struct link *link = &engine->links[engine->vacant];
    const uint32_t generation = link->generation;

    engine->vacant = link->next;
    memset(link, 0, sizeof *link);
    link->generation = generation;
    link->state = LINKED;
    link->ends[CLIENT].fd = client;
    link->ends[BACKEND].fd = backend;
    framing_init(&link->framing);
    return link;
}

static int link_up(struct engine *engine, int client, int backend, struct bytes greeting,
                   struct bytes ahead, link_key *key)
{
    const int error = engine->vacant == NOWHERE ? grow(engine) : 0;
    struct link *link;

    if (error != 0)
        return error;
    link = occupy(engine, client, backend);
    *key = key_of(engine, link, CLIENT);
    deliver(engine, link, CLIENT, greeting.data, greeting.size);
    if (ahead.size > 0 && link->state == LINKED)
        on_requests(engine, link, ahead.data, ahead.size);
    if (link->state == LINKED)
        settle(engine, link);
    return 0;
}

int engine_join(struct engine *engine, int client, int backend, struct bytes greeting,
                struct bytes ahead, link_key *key)
{
    int ours = -1, theirs = -1;
    int error = duplicate(client, &theirs);

    if (error == 0)
        error = duplicate(backend, &ours);
    if (error == 0) {
        enter(engine);
        error = link_up(engine, theirs, ours, greeting, ahead, key);
        leave(engine);
    }
    if (error != 0) {
        close_descriptor(theirs);
        close_descriptor(ours);
    }
    return error;
}

/* Whether the client has sent nothing, and has got all that the backend sent. */
static bool is_quiet(const struct link *link)
{
    return link->state == LINKED && !link->touched && framing_is_clean(&link->framing)
           && link->ends[CLIENT].waiting == NULL;
}

/* Say how it is left; what waits for the client changes hands. */
static void sum_up(struct link *link, struct parting *parting)
{
    struct end *client = &link->ends[CLIENT];

    *parting = (struct parting){
        .clean = framing_is_clean(&link->framing) && link->ends[BACKEND].waiting == NULL
                 && !link->deaf && !link->broken,
        .whole = framing_answers_whole(&link->framing),
        .violated = link->violated,
        .kind = link->framing.invalid_kind,
        .length = link->framing.invalid_length,
    };
    if (client->waiting == NULL)
        return;
    parting->rest = client->waiting;
    parting->rest_size = client->waiting_size - client->waiting_from;
    memmove(client->waiting, client->waiting + client->waiting_from, parting->rest_size);
    client->waiting = NULL;
}

static enum part_result part(struct engine *engine, link_key key, bool quietly,
                             struct parting *parting)
{
    struct link *link = find(engine, key);
    bool is_listed;

    if (link == NULL)
        return NO_SUCH_LINK;
    if (quietly && !is_quiet(link))
        return NOT_QUIET;
    is_listed = link->state == ENDED;
    sum_up(link, parting);
    unlink_ends(engine, link);
    if (is_listed)
        link->state = RESIGNED;
    else
        vacate(engine, link);
    return PARTED;
}

enum part_result engine_part(struct engine *engine, link_key key, bool quietly,
                             struct parting *parting)
{
    enum part_result result;

    enter(engine);
    result = part(engine, key, quietly, parting);
    leave(engine);
    return result;
}

/* Take the next one off the list of those that have ended; NULL if there is none. */
static struct link *take_ended(struct engine *engine)
{
    struct link *link;

    if (engine->first_ended == NOWHERE)
        return NULL;
    link = &engine->links[engine->first_ended];
    engine->first_ended = link->next;
    if (engine->first_ended == NOWHERE)
        silence(engine->ended_fd);
    if (link->state == ENDED)
        link->state = REPORTED;
    return link;
}

bool engine_next_ended(struct engine *engine, link_key *key)
{
    struct link *link;

    enter(engine);
    while ((link = take_ended(engine)) != NULL && link->state == RESIGNED)
        vacate(engine, link);
    if (link != NULL)
        *key = key_of(engine, link, CLIENT);
    leave(engine);
    return link != NULL;
}

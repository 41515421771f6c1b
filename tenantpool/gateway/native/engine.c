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
#include <unistd.h>

#include "carrier.h"
#include "table.h"

enum {
    MOST_EVENTS = 64,
    STACK = 256 * 1024,
};

static const uint64_t STOP = UINT64_MAX; /* the event that ends the thread; no link's key */

struct engine {
    pthread_t thread;
    pthread_mutex_t turnstile; /* see enter */
    pthread_mutex_t lock;      /* guards the carrier, but for its descriptors' numbers */
    int stop_fd;
    struct carrier carrier;
};

/* Take the lock. Mutexes are not fair, and under load the thread unlocks only to lock again at
 * once; but nobody passes the turnstile while another one stands in it. Locking plain mutexes
 * can't fail. */
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

/* -- the thread -------------------------------------------------------------------------------- */

/* Events are reported as long as they hold (level-triggered): a piece that is larger than what is
 * read at once costs no book-keeping, and others get their turn before its rest. */
static void *run(void *argument)
{
    struct engine *engine = argument;
    struct epoll_event events[MOST_EVENTS];

    for (;;) {
        const int count = epoll_wait(engine->carrier.epoll, events, MOST_EVENTS, -1);

        if (count < 0 && errno != EINTR)
            abort(); /* a mistake of ours; nobody would carry anything any more */
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == STOP)
                return NULL;
            enter(engine);
            carrier_go_on(&engine->carrier, events[i].data.u64, events[i].events);
            leave(engine);
        }
    }
}

/* -- starting and closing ---------------------------------------------------------------------- */

static int open_descriptors(struct engine *engine)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.u64 = STOP};
    const int error = carrier_open(&engine->carrier);

    engine->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (error != 0)
        return error;
    if (engine->stop_fd < 0
        || epoll_ctl(engine->carrier.epoll, EPOLL_CTL_ADD, engine->stop_fd, &stop) != 0)
        return errno;
    return 0;
}

static void close_descriptor(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static void free_engine(struct engine *engine)
{
    carrier_close(&engine->carrier);
    close_descriptor(engine->stop_fd);
    (void)pthread_mutex_destroy(&engine->turnstile);
    (void)pthread_mutex_destroy(&engine->lock);
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
    (void)eventfd_write(engine->stop_fd, 1);
    (void)pthread_join(engine->thread, NULL);
    free_engine(engine);
}

int engine_fd(const struct engine *engine)
{
    return engine->carrier.table.ended_fd;
}

/* -- joining and parting ----------------------------------------------------------------------- */

static int duplicate(int fd, int *copy)
{
    *copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *copy < 0 ? errno : 0;
}

static int link_up(struct carrier *carrier, int client, int backend, struct bytes greeting,
                   struct bytes ahead, link_key *key)
{
    struct link *link;
    const int error = table_occupy(&carrier->table, client, backend, &link);

    if (error != 0)
        return error;
    *key = table_key(&carrier->table, link, CLIENT);
    carrier_begin(carrier, link, greeting, ahead);
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
        error = link_up(&engine->carrier, theirs, ours, greeting, ahead, key);
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

static enum part_result part(struct carrier *carrier, link_key key, bool quietly,
                             struct parting *parting)
{
    struct link *link = table_find(&carrier->table, key);
    bool is_listed;

    if (link == NULL)
        return NO_SUCH_LINK;
    if (quietly && !is_quiet(link))
        return NOT_QUIET;
    is_listed = link->state == ENDED;
    sum_up(link, parting);
    carrier_let_go(carrier, link);
    if (is_listed)
        link->state = RESIGNED;
    else
        table_vacate(&carrier->table, link);
    return PARTED;
}

enum part_result engine_part(struct engine *engine, link_key key, bool quietly,
                             struct parting *parting)
{
    enum part_result result;

    enter(engine);
    result = part(&engine->carrier, key, quietly, parting);
    leave(engine);
    return result;
}

bool engine_next_ended(struct engine *engine, link_key *key)
{
    struct table *table = &engine->carrier.table;
    struct link *link;

    enter(engine);
    while ((link = table_take_ended(table)) != NULL && link->state == RESIGNED)
        table_vacate(table, link);
    if (link != NULL)
        *key = table_key(table, link, CLIENT);
    leave(engine);
    return link != NULL;
}

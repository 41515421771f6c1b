/* Links between clients and backends, and the thread that carries bytes along them.
 *
 * Every function may be called from any thread, but for engine_close, after which there is no
 * engine. None blocks for longer than the thread takes for one piece of data. Where an int is
 * returned it is 0, or an errno.
 */
#ifndef TENANTPOOL_ENGINE_H
#define TENANTPOOL_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;

/* Names a link. The key of a link that was parted names no other. */
typedef uint64_t link_key;

struct bytes {
    const uint8_t *data;
    size_t size;
};

/* How a link was left. */
struct parting {
    bool clean;    /* the backend is at rest, and got all that the client has sent */
    bool whole;    /* the client gets whole messages, so that one of ours can follow */
    bool violated; /* the client sent what can't be a message: */
    uint8_t kind;
    uint32_t length;
    uint8_t *rest; /* what the client did not take yet, or NULL: the caller's to free */
    size_t rest_size;
};

enum part_result { PARTED, NOT_QUIET, NO_SUCH_LINK };

/* Start the thread. */
int engine_start(struct engine **started);

/* End the thread and part all links. Blocks for a moment. */
void engine_close(struct engine *engine);

/* Readable while there are links that have ended. */
int engine_fd(const struct engine *engine);

/* Link duplicates of two sockets. The client gets *greeting* first; *ahead* is what it sent. */
int engine_join(struct engine *engine, int client, int backend, struct bytes greeting,
                struct bytes ahead, link_key *key);

/* Let go of both sockets: once this returns the thread does not touch them. With *quietly* only if
 * the client has sent nothing and got everything. */
enum part_result engine_part(struct engine *engine, link_key key, bool quietly,
                             struct parting *parting);

/* The next link that has ended by itself, and is to be parted. False: there is none. */
bool engine_next_ended(struct engine *engine, link_key *key);

#endif

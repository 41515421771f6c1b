/* tenantpool.gateway._splice: the framing and the engine as Python sees them, see _splice.pyi.
 *
 * The interpreter's lock is kept throughout, as nothing here blocks for long: so no thread can close
 * an engine that another one is using.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "framing.h"

struct state {
    PyObject *protocol_violation;
};

struct framing_object {
    PyObject_HEAD
    struct framing framing;
};

struct engine_object {
    PyObject_HEAD
    struct engine *engine; /* NULL: it is closed */
};

static PyObject *explain(uint8_t kind, uint32_t length)
{
    return PyUnicode_FromFormat("invalid message: type %u, length %lu", (unsigned)kind,
                                (unsigned long)length);
}

static PyObject *raise_errno(int error)
{
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* Instances of a heap type own a reference to it. */
static void free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    release(self);
    Py_DECREF(type);
}

/* -- Framing ----------------------------------------------------------------------------------- */

static struct framing *framing_of(PyObject *self)
{
    return &((struct framing_object *)self)->framing;
}

static PyObject *framing_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, ""))
        return NULL;
    self = allocate(type, 0);
    if (self != NULL)
        framing_init(framing_of(self));
    return self;
}

/* What *stream* held back, and *piece*: a new reference to bytes that nobody else has yet. */
static PyObject *with_held(const struct stream *stream, const Py_buffer *piece)
{
    const Py_ssize_t held = stream->held_size;
    PyObject *joined = PyBytes_FromStringAndSize(NULL, held + piece->len);
    char *data;

    if (joined == NULL)
        return NULL;
    data = PyBytes_AsString(joined);
    memcpy(data, stream->held, (size_t)held);
    if (piece->len > 0)
        memcpy(data + held, piece->buf, (size_t)piece->len);
    return joined;
}

/* The first *size* bytes of *whole*, whose reference is taken. */
static PyObject *first(PyObject *whole, size_t size)
{
    PyObject *part;

    if ((size_t)PyBytes_Size(whole) == size)
        return whole;
    part = PyBytes_FromStringAndSize(PyBytes_AsString(whole), (Py_ssize_t)size);
    Py_DECREF(whole);
    return part;
}

static PyObject *raise_violation(PyObject *self)
{
    const struct framing *framing = framing_of(self);
    const struct state *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *text = explain(framing->invalid_kind, framing->invalid_length);

    if (text != NULL)
        PyErr_SetObject(state->protocol_violation, text);
    Py_XDECREF(text);
    return NULL;
}

static PyObject *framing_requests_method(PyObject *self, PyObject *args)
{
    struct framing *framing = framing_of(self);
    Py_buffer piece;
    PyObject *data;
    size_t forward;

    if (!PyArg_ParseTuple(args, "y*:requests", &piece))
        return NULL;
    data = with_held(&framing->requests, &piece);
    PyBuffer_Release(&piece);
    if (data == NULL)
        return NULL;
    if (framing_requests(framing, (const uint8_t *)PyBytes_AsString(data),
                         (size_t)PyBytes_Size(data), &forward))
        return first(data, forward);
    Py_DECREF(data);
    return raise_violation(self);
}

static PyObject *framing_answers_method(PyObject *self, PyObject *args)
{
    struct framing *framing = framing_of(self);
    Py_buffer piece;
    PyObject *data;
    size_t forward;

    if (!PyArg_ParseTuple(args, "y*:answers", &piece))
        return NULL;
    data = with_held(&framing->answers, &piece);
    PyBuffer_Release(&piece);
    if (data == NULL)
        return NULL;
    forward = framing_answers(framing, (const uint8_t *)PyBytes_AsString(data),
                              (size_t)PyBytes_Size(data));
    return first(data, forward);
}

static PyObject *framing_rest_of_answers(PyObject *self, PyObject *unused)
{
    const struct stream *answers = &framing_of(self)->answers;

    (void)unused;
    return PyBytes_FromStringAndSize((const char *)answers->held, answers->held_size);
}

static PyObject *framing_get_clean(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(framing_is_clean(framing_of(self)));
}

static PyObject *framing_get_whole(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(framing_answers_whole(framing_of(self)));
}

static PyObject *framing_get_terminated(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(framing_of(self)->terminated);
}

static PyObject *framing_repr(PyObject *self)
{
    const struct framing *framing = framing_of(self);

    return PyUnicode_FromFormat("<Framing %lld of %lld answered, %s>", (long long)framing->answered,
                                (long long)framing->asked,
                                framing_is_clean(framing) ? "clean" : "busy");
}

static PyMethodDef framing_methods[] = {
    {"requests", framing_requests_method, METH_VARARGS, NULL},
    {"answers", framing_answers_method, METH_VARARGS, NULL},
    {"rest_of_answers", framing_rest_of_answers, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef framing_getset[] = {
    {"is_clean", framing_get_clean, NULL, NULL, NULL},
    {"answers_whole", framing_get_whole, NULL, NULL, NULL},
    {"terminated", framing_get_terminated, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot framing_slots[] = {
    {Py_tp_doc, "tenantpool.gateway.framing.Framing, in C."},
    {Py_tp_new, framing_new},
    {Py_tp_dealloc, free_object},
    {Py_tp_repr, framing_repr},
    {Py_tp_methods, framing_methods},
    {Py_tp_getset, framing_getset},
    {0, NULL},
};

static PyType_Spec framing_spec = {
    .name = "tenantpool.gateway._splice.Framing",
    .basicsize = sizeof(struct framing_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = framing_slots,
};

/* -- Engine ------------------------------------------------------------------------------------ */

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    PyObject *self;
    int error;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, ""))
        return NULL;
    self = allocate(type, 0);
    if (self == NULL)
        return NULL;
    error = engine_start(&((struct engine_object *)self)->engine);
    if (error != 0) {
        Py_DECREF(self);
        return raise_errno(error);
    }
    return self;
}

/* The engine, or NULL with an exception. */
static struct engine *engine_of(PyObject *self)
{
    struct engine *engine = ((struct engine_object *)self)->engine;

    if (engine == NULL)
        PyErr_SetString(PyExc_ValueError, "the engine is closed");
    return engine;
}

static PyObject *engine_close_method(PyObject *self, PyObject *unused)
{
    struct engine_object *object = (struct engine_object *)self;

    (void)unused;
    if (object->engine != NULL)
        engine_close(object->engine);
    object->engine = NULL;
    Py_RETURN_NONE;
}

static void engine_dealloc(PyObject *self)
{
    struct engine_object *object = (struct engine_object *)self;

    if (object->engine != NULL)
        engine_close(object->engine);
    free_object(self);
}

static PyObject *engine_fileno(PyObject *self, PyObject *unused)
{
    struct engine *engine = engine_of(self);

    (void)unused;
    return engine == NULL ? NULL : PyLong_FromLong(engine_fd(engine));
}

static PyObject *engine_join_method(PyObject *self, PyObject *args)
{
    struct engine *engine = engine_of(self);
    int client, backend, error;
    Py_buffer greeting, ahead;
    link_key key = 0;

    if (engine == NULL
        || !PyArg_ParseTuple(args, "iiy*y*:join", &client, &backend, &greeting, &ahead))
        return NULL;
    error = engine_join(engine, client, backend,
                        (struct bytes){greeting.buf, (size_t)greeting.len},
                        (struct bytes){ahead.buf, (size_t)ahead.len}, &key);
    PyBuffer_Release(&greeting);
    PyBuffer_Release(&ahead);
    return error != 0 ? raise_errno(error) : PyLong_FromUnsignedLongLong(key);
}

/* Parting.violation: what was wrong, or an empty text. */
static PyObject *violation_of(const struct parting *parting)
{
    return parting->violated ? explain(parting->kind, parting->length)
                             : PyUnicode_FromString("");
}

static PyObject *engine_part_method(PyObject *self, PyObject *args)
{
    struct engine *engine = engine_of(self);
    unsigned long long key;
    struct parting parting;
    int quietly = 0;
    PyObject *result;

    if (engine == NULL || !PyArg_ParseTuple(args, "K|p:part", &key, &quietly))
        return NULL;
    switch (engine_part(engine, key, quietly != 0, &parting)) {
    case NOT_QUIET:
        Py_RETURN_NONE;
    case NO_SUCH_LINK:
        return PyErr_Format(PyExc_KeyError, "%llu", key);
    case PARTED:
        break;
    }
    result = Py_BuildValue("(OONy#)", parting.clean ? Py_True : Py_False,
                           parting.whole ? Py_True : Py_False, violation_of(&parting),
                           parting.rest_size == 0 ? "" : (const char *)parting.rest,
                           (Py_ssize_t)parting.rest_size);
    free(parting.rest);
    return result;
}

/* Append the *key*; return whether that went well. */
static int append_key(PyObject *list, link_key key)
{
    PyObject *number = PyLong_FromUnsignedLongLong(key);
    int failed;

    if (number == NULL)
        return 0;
    failed = PyList_Append(list, number);
    Py_DECREF(number);
    return failed == 0;
}

static PyObject *engine_ended(PyObject *self, PyObject *unused)
{
    struct engine *engine = engine_of(self);
    PyObject *keys;
    link_key key;

    (void)unused;
    if (engine == NULL)
        return NULL;
    keys = PyList_New(0);
    if (keys == NULL)
        return NULL;
    while (engine_next_ended(engine, &key)) {
        if (!append_key(keys, key)) {
            Py_DECREF(keys);
            return NULL;
        }
    }
    return keys;
}

static PyMethodDef engine_methods[] = {
    {"fileno", engine_fileno, METH_NOARGS, NULL},
    {"join", engine_join_method, METH_VARARGS, NULL},
    {"part", engine_part_method, METH_VARARGS, NULL},
    {"ended", engine_ended, METH_NOARGS, NULL},
    {"close", engine_close_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "A thread that carries bytes between clients and backends."},
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {0, NULL},
};

static PyType_Spec engine_spec = {
    .name = "tenantpool.gateway._splice.Engine",
    .basicsize = sizeof(struct engine_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = engine_slots,
};

/* -- the module -------------------------------------------------------------------------------- */

static int add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int failed;

    if (type == NULL)
        return -1;
    failed = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return failed;
}

static int module_exec(PyObject *module)
{
    struct state *state = PyModule_GetState(module);
    PyObject *protocol = PyImport_ImportModule("tenantpool.gateway.protocol");

    if (protocol == NULL)
        return -1;
    state->protocol_violation = PyObject_GetAttrString(protocol, "ProtocolViolation");
    Py_DECREF(protocol);
    if (state->protocol_violation == NULL || add_type(module, &framing_spec) != 0)
        return -1;
    return add_type(module, &engine_spec);
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct state *state = PyModule_GetState(module);

    Py_VISIT(state->protocol_violation);
    return 0;
}

static int module_clear(PyObject *module)
{
    struct state *state = PyModule_GetState(module);

    Py_CLEAR(state->protocol_violation);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_splice",
    .m_doc = "What carries bytes between clients and backends, without Python.",
    .m_size = sizeof(struct state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit__splice(void)
{
    return PyModuleDef_Init(&module_def);
}

/*
 * Stands between a program and its disk: notes what is done to the files of one store, and lets the n-th call fail.
 *
 * Loaded with LD_PRELOAD; asleep until `proof_io_begin` is called in the process that is to be watched.
 *
 * Rule 1: a change is noted before it is made, a sync after it has returned. So the log never claims that something is on
 *         the disk which may not be, and a process that is killed in between leaves a change too many and never one too few.
 * Rule 2: a record is one writev to a file opened with O_APPEND, one file a process.
 *
 * A record is a `struct record`, the name (two for a rename, with a NUL between them), and the bytes of a write.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN = 1, WRITE, TRUNCATE, SYNC, FOLDER_SYNC, UNLINK, RENAME, FAULT, CALLS };
enum fallible { FAIL_WRITE = 1, FAIL_SYNC = 2, FAIL_TRUNCATE = 4 };
enum watch { NOT_OURS = 0, NOTED = 1, FALLIBLE_ONLY = 2, FOLDER = 3 };

struct record {
    uint32_t magic;
    uint16_t kind, name_bytes;
    uint32_t data_bytes, is_created; /* of a FAULT: whether it hit the database, its WAL, its journal or its folder */
    uint64_t inode;
    int64_t offset, began, ended; /* instants in ns of CLOCK_MONOTONIC; the two are equal but for a sync */
};

#define MAGIC 0x4f494a57u
#define MOST_FDS 65536
#define REAL(name) ((__typeof__(&name))real(#name))

static char prefix[PATH_MAX], folder[PATH_MAX];
static int log_fd = -1;
static unsigned char watched[MOST_FDS];
static uint64_t inodes[MOST_FDS];
static atomic_long calls;
static long fail_at, fail_last;
static int fail_errno, fail_kinds;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Watch the files whose path begins with `files`. From call `first` to `last` of `kinds` fail with `error`; none where first is 0. */
int proof_io_begin(const char *files, const char *log, long first, long last, int error, int kinds) {
    snprintf(prefix, sizeof prefix, "%s", files);
    snprintf(folder, sizeof folder, "%s", files);
    *strrchr(folder, '/') = 0;
    fail_at = first, fail_last = last, fail_errno = error, fail_kinds = kinds;
    atomic_store(&calls, 0);
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return log_fd < 0 ? errno : 0;
}

static void note(enum kind kind, const char *name, size_t name_bytes, uint64_t inode, int64_t offset, const void *data,
                 size_t bytes, int is_created, int64_t began) {
    int keep = errno;
    struct record head = {MAGIC, kind, name_bytes, bytes, is_created, inode, offset, began, now()};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)name, name_bytes}, {(void *)data, bytes}};
    size_t whole = sizeof head + name_bytes + bytes;
    if (kind != SYNC && kind != FOLDER_SYNC) head.ended = head.began;
    if (REAL(writev)(log_fd, parts, 3) != (ssize_t)whole) abort(); /* a log with a hole proves nothing */
    errno = keep;
}

static void note_name(enum kind kind, const char *name, uint64_t inode, int is_created) {
    note(kind, name, strlen(name), inode, 0, NULL, 0, is_created, now());
}

/* When the program ends: how many calls could have failed. */
__attribute__((destructor)) static void note_calls(void) {
    if (log_fd >= 0) note(CALLS, "", 0, atomic_load(&calls), 0, NULL, 0, 0, now());
}

/* -- whose file it is -- */

static enum watch watch_of(const char *path) {
    size_t length = strlen(prefix);
    if (!length) return NOT_OURS;
    if (!strcmp(path, folder)) return FOLDER;
    if (strncmp(path, prefix, length)) return NOT_OURS;
    const char *end = path + length;
    return !*end || !strcmp(end, "-wal") || !strcmp(end, "-journal") ? NOTED : FALLIBLE_ONLY;
}

static enum watch watch_fd(int fd) { return fd >= 0 && fd < MOST_FDS ? watched[fd] : NOT_OURS; }

static int is_missing(const char *path) {
    struct stat found;
    return stat(path, &found) < 0;
}

static int remember(int fd, const char *path, int flags, int was_missing) {
    int keep = errno;
    struct stat found;
    if (fd < 0 || fd >= MOST_FDS) return fd;
    watched[fd] = watch_of(path);
    if (watched[fd] == NOTED && !fstat(fd, &found)) {
        inodes[fd] = found.st_ino;
        note_name(OPEN, path, found.st_ino, was_missing);
        if (flags & O_TRUNC) note(TRUNCATE, "", 0, found.st_ino, 0, NULL, 0, 0, now());
    }
    errno = keep;
    return fd;
}

/* -- what fails -- */

static int fails(enum fallible kind, enum watch watch, const char *what) {
    if (!watch || !fail_at || !(fail_kinds & kind)) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (call < fail_at || call > fail_last) return 0;
    note(FAULT, what, strlen(what), call, fail_errno, NULL, 0, watch != FALLIBLE_ONLY, now());
    errno = fail_errno;
    return 1;
}

/* -- what a program calls -- */

#define OPENS(name)                                                    \
    int name(const char *path, int flags, ...) {                       \
        va_list more;                                                  \
        va_start(more, flags);                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more);                                                  \
        int missing = watch_of(path) == NOTED && is_missing(path);     \
        return remember(REAL(name)(path, flags, mode), path, flags, missing); \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                 \
    int name(int at, const char *path, int flags, ...) {               \
        va_list more;                                                  \
        va_start(more, flags);                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more);                                                  \
        int missing = watch_of(path) == NOTED && is_missing(path);     \
        return remember(REAL(name)(at, path, flags, mode), path, flags, missing); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

int close(int fd) {
    if (watch_fd(fd)) watched[fd] = NOT_OURS;
    return REAL(close)(fd);
}

#define POSITIONED_WRITE(name, offset_type)                                            \
    ssize_t name(int fd, const void *data, size_t bytes, offset_type offset) {         \
        enum watch watch = watch_fd(fd);                                               \
        if (fails(FAIL_WRITE, watch, "pwrite")) return -1;                           \
        if (watch == NOTED) note(WRITE, "", 0, inodes[fd], offset, data, bytes, 0, now()); \
        return REAL(name)(fd, data, bytes, offset);                                    \
    }
POSITIONED_WRITE(pwrite, off_t)
POSITIONED_WRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t bytes) {
    enum watch watch = watch_fd(fd);
    if (fails(FAIL_WRITE, watch, "write")) return -1;
    if (watch == NOTED) note(WRITE, "", 0, inodes[fd], lseek(fd, 0, SEEK_CUR), data, bytes, 0, now());
    return REAL(write)(fd, data, bytes);
}

#define TRUNCATES(name, offset_type)                                              \
    int name(int fd, offset_type size) {                                          \
        enum watch watch = watch_fd(fd);                                          \
        if (fails(FAIL_TRUNCATE, watch, "ftruncate")) return -1;                \
        if (watch == NOTED) note(TRUNCATE, "", 0, inodes[fd], size, NULL, 0, 0, now()); \
        return REAL(name)(fd, size);                                              \
    }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

#define SYNCS(name)                                                                        \
    int name(int fd) {                                                                     \
        enum watch watch = watch_fd(fd);                                                   \
        if (fails(FAIL_SYNC, watch, watch == FOLDER ? "folder " #name : #name)) return -1; \
        int64_t began = now();                                                             \
        int failed = REAL(name)(fd);                                                       \
        if (!failed && watch == NOTED) note(SYNC, "", 0, inodes[fd], 0, NULL, 0, 0, began); \
        if (!failed && watch == FOLDER) note(FOLDER_SYNC, "", 0, 0, 0, NULL, 0, 0, began); \
        return failed;                                                                     \
    }
SYNCS(fsync)
SYNCS(fdatasync)

int unlink(const char *path) {
    if (watch_of(path) == NOTED && !is_missing(path)) note_name(UNLINK, path, 0, 0);
    return REAL(unlink)(path);
}

int rename(const char *from, const char *to) {
    char both[2 * PATH_MAX];
    if (watch_of(from) == NOTED || watch_of(to) == NOTED) {
        size_t bytes = strlen(from) + 1 + strlen(to);
        snprintf(both, sizeof both, "%s%c%s", from, 0, to);
        note(RENAME, both, bytes, 0, 0, NULL, 0, 0, now());
    }
    return REAL(rename)(from, to);
}

/* Moves the wall clock of the process it is preloaded into: by the nanoseconds (64 bits) at the start of the file that
   PROOF_CLOCK names. The file is mapped, so that a write to it is a jump at once. The monotonic clocks stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static const volatile long long *offset_ns;

__attribute__((constructor)) static void prepare(void)
{
    const char *path = getenv("PROOF_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page;

    if (!real_clock_gettime)
        *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0)
        abort();
    page = mmap(NULL, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED)
        abort();
    close(file);
    offset_ns = page;
}

static long long wall_ns(clockid_t clock)
{
    struct timespec now;

    if (!offset_ns)
        prepare();
    real_clock_gettime(clock, &now);
    return now.tv_sec * SECOND + now.tv_nsec + *offset_ns;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        long long ns = wall_ns(clock);

        now->tv_sec = ns / SECOND;
        now->tv_nsec = ns % SECOND;
        return 0;
    }
    if (!real_clock_gettime)
        prepare();
    return real_clock_gettime(clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    long long ns = wall_ns(CLOCK_REALTIME);

    (void)zone;
    now->tv_sec = ns / SECOND;
    now->tv_usec = ns % SECOND / 1000;
    return 0;
}

time_t time(time_t *result)
{
    time_t now = wall_ns(CLOCK_REALTIME) / SECOND;

    if (result)
        *result = now;
    return now;
}

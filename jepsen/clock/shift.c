/* Shifts the wall clock of one process by what a file says, and nothing else: the monotonic clocks stay true, as they
 * do on a machine whose time is set. Preloaded into a node for faults of clocks.
 *
 * Not libfaketime: timerd's allocator asks for the time while it starts, libfaketime allocates when it is asked for
 * the first time, and each waits for the other. Here nothing is allocated; the offset is read from shared memory, so a
 * jump takes effect at once. Deliberately absent: every way to ask for the time but those that timerd and its
 * libraries use. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000LL

/* Nanoseconds to be added to the wall clock; the harness writes it. */
static volatile int64_t *offset_ns;

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("JEPSEN_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        offset_ns = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (failed || !offset_ns || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return (int)failed;
    int64_t all = (int64_t)time->tv_sec * NANOSECONDS + time->tv_nsec + *offset_ns;
    time->tv_sec = all / NANOSECONDS;
    time->tv_nsec = all % NANOSECONDS;
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return (time_t)-1;
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

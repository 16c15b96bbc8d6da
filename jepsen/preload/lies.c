/* What one node is told that is not so: the time of day, and what became of its syncs. Preloaded into a node for faults
 * of clocks and disks. The monotonic clocks stay true, as they do on a machine whose time is set.
 *
 * Not libfaketime: timerd's allocator asks for the time while it starts, libfaketime allocates when it is asked for
 * the first time, and each waits for the other. Here nothing is allocated; what to say is read from a page of shared
 * memory (struct page, as in src/lies.rs), so it takes effect at once. Deliberately absent: every call but those that
 * timerd and its libraries make. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS 1000000000LL

/* The harness writes it; only the last two fields change here. */
struct page {
    _Atomic int64_t offset_ns;     /* added to the wall clock */
    _Atomic int64_t drift_ppm;     /* and so much of the time since drift_from_ns */
    _Atomic int64_t drift_from_ns; /* by the monotonic clock */
    _Atomic int64_t sync_delay_ns; /* every sync takes so much longer */
    _Atomic int64_t sync_errno;    /* not 0: syncs fail so */
    _Atomic int64_t syncs_left;    /* but for so many */
    _Atomic int64_t syncs_spoilt;  /* delayed or failed so far */
};

static struct page *page;

__attribute__((constructor)) static void open_page(void) {
    const char *path = getenv("JEPSEN_LIES");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        page = mapped;
}

static int64_t all_ns(const struct timespec *time) {
    return (int64_t)time->tv_sec * NANOSECONDS + time->tv_nsec;
}

static int64_t ahead_ns(void) {
    int64_t ahead = page->offset_ns, ppm = page->drift_ppm;
    struct timespec now;
    if (ppm && !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now))
        ahead += (all_ns(&now) - page->drift_from_ns) / 1000 * ppm / 1000;
    return ahead;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (failed || !page || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return (int)failed;
    int64_t all = all_ns(time) + ahead_ns();
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

/* 0: the sync goes on; else what it fails with. */
static int spoil_sync(void) {
    if (!page)
        return 0;
    int64_t delay = page->sync_delay_ns, failure = page->sync_errno;
    if (delay) {
        struct timespec wait = {delay / NANOSECONDS, delay % NANOSECONDS};
        nanosleep(&wait, NULL);
    }
    failure = failure && atomic_fetch_sub(&page->syncs_left, 1) <= 0 ? failure : 0;
    if (delay || failure)
        atomic_fetch_add(&page->syncs_spoilt, 1);
    return (int)failure;
}

static int sync_by(long call, int file) {
    int failure = spoil_sync();
    if (failure) {
        errno = failure;
        return -1;
    }
    return (int)syscall(call, file);
}

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }

int fsync(int file) { return sync_by(SYS_fsync, file); }

/* A disk that loses everything that was not synced, for LD_PRELOAD.
 *
 * Under DISK_SHADOW is what the disk is sure to hold: each database file and each write-ahead log as it was when its
 * last successful sync began. While DISK_FAILS exists, syncs of write-ahead logs fail, and what they should have
 * written is lost: later syncs succeed, as Linux lets them, but the log on the disk does not grow until it begins
 * anew. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/file.h>

#define HEADER 32

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int has_lost_log;
static char lost_header[HEADER];

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static int copy(int from, const char *path) {
    static char buffer[1 << 20];
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) return -1;
    off_t offset = 0;
    ssize_t count;
    while ((count = pread(from, buffer, sizeof buffer, offset)) > 0) {
        if (write(to, buffer, count) != count) count = -1;
        if (count < 0) break;
        offset += count;
    }
    close(to);
    return count < 0 ? -1 : 0;
}

static int synced(int fd, int (*sync)(int)) {
    char link[64], path[4096], before[9000], after[8200], header[HEADER] = {0};
    const char *shadow = getenv("DISK_SHADOW"), *fails = getenv("DISK_FAILS");
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || shadow == NULL) return sync(fd);
    path[length] = 0;
    int is_log = ends_with(path, ".db-wal");
    if (!is_log && !ends_with(path, ".db")) return sync(fd);
    pthread_mutex_lock(&one_at_a_time);
    snprintf(after, sizeof after, "%s/lock", shadow);
    int lock = open(after, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0 || flock(lock, LOCK_EX) < 0) abort();
    int result;
    if (is_log && fails != NULL && access(fails, F_OK) == 0) {
        if (pread(fd, lost_header, HEADER, 0) >= 0) has_lost_log = 1;
        errno = EIO;
        result = -1;
    } else {
        snprintf(after, sizeof after, "%s/%s", shadow, strrchr(path, '/') + 1);
        snprintf(before, sizeof before, "%s.new", after);
        if (is_log && has_lost_log && pread(fd, header, HEADER, 0) >= 0)
            has_lost_log = memcmp(header, lost_header, HEADER) == 0;
        int is_kept = !(is_log && has_lost_log);
        if (is_kept && copy(fd, before) < 0) abort();
        result = sync(fd);
        if (is_kept && result == 0 && rename(before, after) < 0) abort();
    }
    int error = errno;
    close(lock);
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, dlsym(RTLD_NEXT, "fsync")); }

int fdatasync(int fd) { return synced(fd, dlsym(RTLD_NEXT, "fdatasync")); }

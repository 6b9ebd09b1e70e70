/* Stands between the store and the kernel (LD_PRELOAD): notes every sync in the log that the test reads, and is a
 * full or failing disk while the test says so. DISK_LOG names the log; the files DISK_LOG.full and DISK_LOG.failing
 * are the switches. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static int switched_on(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("DISK_LOG"), name);
    return access(path, F_OK) == 0;
}

static int sync_with(const char *name, int fd) {
    if (switched_on("failing")) {
        errno = EIO;
        return -1;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(fd);
    int log = open(getenv("DISK_LOG"), O_WRONLY | O_APPEND);
    if (result != 0 || log < 0 || dprintf(log, "sync\n") < 0) abort();
    close(log);
    return result;
}

int fsync(int fd) { return sync_with("fsync", fd); }
int fdatasync(int fd) { return sync_with("fdatasync", fd); }

/* The store's files are what this process writes at a place; logs and pipes are written without one. */
static ssize_t pwrite_with(const char *name, int fd, const void *data, size_t size, off64_t place) {
    if (switched_on("full")) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, name);
    return real(fd, data, size, place);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    return pwrite_with("pwrite", fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    return pwrite_with("pwrite64", fd, data, size, place);
}

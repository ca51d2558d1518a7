/* Preloaded: counts the calls that change files below one directory, and lets one of them fail, or ends the process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char root[4096];
static volatile long count, at;
static int failure; /* 0: end the process before the call; else the errno that the call gives */

void faults_arm(const char *directory, long call, int error) {
  strncpy(root, directory, sizeof root - 1);
  count = 0;
  at = call;
  failure = error;
}

long faults_count(void) { return count; }

void faults_disarm(void) { root[0] = 0; }

static int below(const char *path) { return root[0] && path && strncmp(path, root, strlen(root)) == 0; }

static int below_fd(int fd) {
  char link[64], path[4096];
  if (!root[0]) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return below(path);
}

static int fault(int ours) {
  if (!ours || __sync_add_and_fetch(&count, 1) != at) return 0;
  if (!failure) _exit(137);
  errno = failure;
  return 1;
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENING(name)                                                    \
  int name(const char *path, int flags, ...) {                           \
    REAL(name);                                                          \
    mode_t mode = 0;                                                     \
    if (flags & O_CREAT) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); } \
    if ((flags & O_CREAT) && fault(below(path))) return -1;              \
    return real(path, flags, mode);                                      \
  }
OPENING(open)
OPENING(open64)

#define ONE_FD(name) int name(int fd) { REAL(name); return fault(below_fd(fd)) ? -1 : real(fd); }
ONE_FD(fsync)
ONE_FD(fdatasync)
ONE_FD(syncfs)

#define ONE_PATH(name) int name(const char *path) { REAL(name); return fault(below(path)) ? -1 : real(path); }
ONE_PATH(unlink)
ONE_PATH(rmdir)

#define TWO_PATHS(name) int name(const char *a, const char *b) { REAL(name); return fault(below(b)) ? -1 : real(a, b); }
TWO_PATHS(rename)
TWO_PATHS(link)

#define WITH_MODE(name) int name(const char *p, mode_t m) { REAL(name); return fault(below(p)) ? -1 : real(p, m); }
WITH_MODE(mkdir)
WITH_MODE(chmod)

int fchmod(int fd, mode_t mode) { REAL(fchmod); return fault(below_fd(fd)) ? -1 : real(fd, mode); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); return fault(below_fd(fd)) ? -1 : real(fd, n); }
int ftruncate64(int fd, off64_t n) { REAL(ftruncate64); return fault(below_fd(fd)) ? -1 : real(fd, n); }

/* A process that ends in a write has written the first half of it. */
#define WRITING(name, parameters, half, whole)                                 \
  ssize_t name parameters {                                                    \
    REAL(name);                                                                \
    if (below_fd(fd) && __sync_add_and_fetch(&count, 1) == at) {               \
      if (!failure) { if (half < 0) _exit(136); _exit(137); }                  \
      errno = failure;                                                         \
      return -1;                                                               \
    }                                                                          \
    return whole;                                                              \
  }
WRITING(write, (int fd, const void *data, size_t n), real(fd, data, n / 2), real(fd, data, n))
WRITING(pwrite, (int fd, const void *data, size_t n, off_t o), real(fd, data, n / 2, o), real(fd, data, n, o))
WRITING(pwrite64, (int fd, const void *data, size_t n, off64_t o), real(fd, data, n / 2, o), real(fd, data, n, o))

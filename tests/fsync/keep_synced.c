/* Keeps of each file only what was synced: the disk after a power cut, without one.
 *
 * kill -9 leaves the page cache alive, so it proves nothing about fsync. This shim does. Preloaded into a server, it
 * watches one folder and maintains a second one, the image, that holds what a disk is bound to hold:
 *
 *   - the content of a file as it was at its last fsync, fdatasync or msync(MS_SYNC);
 *   - the names in a folder as they were at that folder's last fsync.
 *
 * A test runs the server with it, kills the server, and starts it again on the image: whatever was confirmed must be
 * there. With syncing switched off the image stays empty, and the test must fail.
 *
 *   cc -shared -fPIC -O1 -o keep_synced.so keep_synced.c -ldl
 *   LD_PRELOAD=.../keep_synced.so KEEP_SYNCED_FROM=/abs/data KEEP_SYNCED_TO=/abs/image server --data /abs/data
 *
 * Both folders exist before the server starts, are absolute and without symbolic links, and lie on one file system.
 * The image is the folder KEEP_SYNCED_TO/root. KEEP_SYNCED_OFF=1 makes every sync do nothing and report success:
 * a disk that lies, to see the test fail.
 *
 * How: KEEP_SYNCED_TO/inodes/N is the synced content of the file with inode N; names in the image are hard links to
 * it. A file that loses its last name gives its number up, so that a later file with the same one starts empty.
 * Stricter than ext4, which also keeps a new file's name at the file's own fsync; O_SYNC, sync() and syncfs() count
 * for nothing. Copies are made at the sync, from the page cache: writes through a shared mapping are in them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *from(void) { return getenv("KEEP_SYNCED_FROM"); }
static const char *to(void) { return getenv("KEEP_SYNCED_TO"); }
static int off(void) { return getenv("KEEP_SYNCED_OFF") != NULL; }

/* The part of an absolute path below the watched folder ("" for the folder itself), or NULL. */
static const char *below(const char *path) {
    size_t n = from() ? strlen(from()) : 0;
    if (n == 0 || !to() || strncmp(path, from(), n) != 0) return NULL;
    if (path[n] == 0) return "";
    return path[n] == '/' ? path + n + 1 : NULL;
}

static void inode_path(char *out, ino_t inode) {
    snprintf(out, PATH_MAX, "%s/inodes", to());
    mkdir(out, 0700);
    snprintf(out, PATH_MAX, "%s/inodes/%llu", to(), (unsigned long long)inode);
}

/* Copies what an open file holds over its image, holes left out. */
static void keep_content(int fd, const struct stat *st) {
    char path[PATH_MAX], buffer[65536];
    inode_path(path, st->st_ino);
    int out = open(path, O_WRONLY | O_CREAT, 0600);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int in = open(self, O_RDONLY);
    if (out < 0 || in < 0) abort();
    /* What was punched or truncated away must not stay. What stays is never away: the server may die between two lines. */
    if (ftruncate(out, st->st_size)) abort();
    off_t at = 0, data;
    while ((data = lseek(in, at, SEEK_DATA)) >= 0) {
        if (data > at && fallocate(out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, data - at)) abort();
        off_t hole = lseek(in, data, SEEK_HOLE);
        for (at = data; at < hole;) {
            size_t want = (size_t)(hole - at) < sizeof buffer ? (size_t)(hole - at) : sizeof buffer;
            ssize_t n = pread(in, buffer, want, at);
            if (n <= 0) break;
            if (pwrite(out, buffer, (size_t)n, at) != n) abort();
            at += n;
        }
        if (at < hole) break;
    }
    if (data < 0 && st->st_size > at
        && fallocate(out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, st->st_size - at)) abort();
    close(in);
    close(out);
}

static void empty_and_remove(const char *path) {
    DIR *dir = opendir(path);
    if (dir) {
        struct dirent *e;
        char child[PATH_MAX];
        while ((e = readdir(dir))) {
            if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
            if (snprintf(child, sizeof child, "%s/%s", path, e->d_name) >= PATH_MAX) continue;
            empty_and_remove(child);
        }
        closedir(dir);
        REAL(rmdir)(path);
    } else {
        REAL(unlink)(path);
    }
}

static void make_parents(const char *path) {
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(part, 0700);
            *p = '/';
        }
    mkdir(part, 0700);
}

/* Makes the names in a folder's image those of the folder. */
static void keep_names(const char *real, const char *rel) {
    char image[PATH_MAX], a[PATH_MAX], b[PATH_MAX], inode[PATH_MAX];
    snprintf(image, sizeof image, "%s/root%s%s", to(), *rel ? "/" : "", rel);
    make_parents(image);
    DIR *dir = opendir(real);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (snprintf(a, sizeof a, "%s/%s", real, e->d_name) >= PATH_MAX) continue;
        if (snprintf(b, sizeof b, "%s/%s", image, e->d_name) >= PATH_MAX) continue;
        struct stat st, kept, known;
        if (lstat(a, &st)) continue;
        if (S_ISDIR(st.st_mode)) {
            mkdir(b, 0700);
        } else if (S_ISREG(st.st_mode)) {
            inode_path(inode, st.st_ino);
            int fd = open(inode, O_WRONLY | O_CREAT, 0600);
            if (fd < 0 || fstat(fd, &known)) abort();
            close(fd);
            if (!lstat(b, &kept) && kept.st_ino == known.st_ino) continue;
            /* In one step: the server may die between two. */
            if (snprintf(a, sizeof a, "%s/next-name", to()) >= PATH_MAX) abort();
            REAL(unlink)(a);
            if (link(inode, a) || REAL(rename)(a, b)) abort();
        }
    }
    if (dir) closedir(dir);
    /* What is gone goes last: a new name of a file is there before its old one is not. */
    dir = opendir(image);
    while (dir && (e = readdir(dir))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (snprintf(a, sizeof a, "%s/%s", real, e->d_name) >= PATH_MAX) continue;
        if (snprintf(b, sizeof b, "%s/%s", image, e->d_name) >= PATH_MAX) continue;
        struct stat st;
        if (lstat(a, &st)) empty_and_remove(b);
    }
    if (dir) closedir(dir);
}

static void keep(int fd) {
    char self[64], path[PATH_MAX];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = 0;
    const char *rel = below(path);
    struct stat st;
    if (!rel || fstat(fd, &st)) return;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(st.st_mode)) keep_names(path, rel);
    else if (S_ISREG(st.st_mode)) keep_content(fd, &st);
    pthread_mutex_unlock(&lock);
}

/* A name goes: a file that has no other gives its number up. */
static void forget(int at, const char *path) {
    struct stat st;
    char real[PATH_MAX], inode[PATH_MAX];
    if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || st.st_nlink > 1) return;
    if (at != AT_FDCWD || !realpath(path, real)) {
        char self[64], folder[PATH_MAX];
        snprintf(self, sizeof self, "/proc/self/fd/%d", at);
        ssize_t n = readlink(self, folder, sizeof folder - 1);
        if (n <= 0) return;
        folder[n] = 0;
        if (path[0] == '/') snprintf(real, sizeof real, "%s", path);
        else if (snprintf(real, sizeof real, "%s/%s", folder, path) >= PATH_MAX) return;
    }
    if (!below(real)) return;
    pthread_mutex_lock(&lock);
    inode_path(inode, st.st_ino);
    REAL(unlink)(inode);
    pthread_mutex_unlock(&lock);
}

int fsync(int fd) {
    if (off()) return 0;
    int result = REAL(fsync)(fd), error = errno;
    if (result == 0) keep(fd);
    errno = error;
    return result;
}

int fdatasync(int fd) {
    if (off()) return 0;
    int result = REAL(fdatasync)(fd), error = errno;
    if (result == 0) keep(fd);
    errno = error;
    return result;
}

int unlink(const char *path) {
    forget(AT_FDCWD, path);
    return REAL(unlink)(path);
}

int unlinkat(int at, const char *path, int flags) {
    if (!(flags & AT_REMOVEDIR)) forget(at, path);
    return REAL(unlinkat)(at, path, flags);
}

int rename(const char *old, const char *new) {
    struct stat a, b;
    if (stat(old, &a) || stat(new, &b) || a.st_ino != b.st_ino) forget(AT_FDCWD, new);
    return REAL(rename)(old, new);
}

int renameat(int old_at, const char *old, int new_at, const char *new) {
    forget(new_at, new);
    return REAL(renameat)(old_at, old, new_at, new);
}

/* Mappings of watched files: msync names no descriptor, so the file is found by its address. */
int msync(void *address, size_t length, int flags) {
    if (off()) return 0;
    int result = REAL(msync)(address, length, flags), error = errno;
    FILE *maps = result == 0 && (flags & MS_SYNC) ? fopen("/proc/self/maps", "r") : NULL;
    char line[PATH_MAX + 128];
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char *path = strchr(line, '/');
        if (!path || sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
        if ((unsigned long)address < start || (unsigned long)address >= end) continue;
        path[strcspn(path, "\n")] = 0;
        int fd = open(path, O_RDONLY);
        if (fd >= 0) {
            keep(fd);
            close(fd);
        }
        break;
    }
    if (maps) fclose(maps);
    errno = error;
    return result;
}

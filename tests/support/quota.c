/* A disk quota: to be preloaded (LD_PRELOAD), as few kernels have quotas for a file system that a test may mount.
 *
 * Writes to regular files on the file system of QUOTA_FOLDER fail with EDQUOT where they would take it beyond
 * QUOTA_BYTES.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

static int exceeds_quota(int file, size_t more) {
    const char *folder = getenv("QUOTA_FOLDER"), *bytes = getenv("QUOTA_BYTES");
    struct stat of_folder, of_file;
    struct statvfs disk;
    if (!folder || !bytes || stat(folder, &of_folder) || fstat(file, &of_file) || statvfs(folder, &disk)) return 0;
    if (of_folder.st_dev != of_file.st_dev || !S_ISREG(of_file.st_mode)) return 0;
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize + more > strtoull(bytes, NULL, 10);
}

#define WITHIN_QUOTA(name, parameters, arguments, size)                    \
    ssize_t name parameters {                                              \
        ssize_t(*next) parameters = dlsym(RTLD_NEXT, #name);               \
        if (!exceeds_quota(file, size)) return next arguments;             \
        errno = EDQUOT;                                                    \
        return -1;                                                         \
    }

static size_t size_of(const struct iovec *parts, int count) {
    size_t size = 0;
    while (count-- > 0) size += parts[count].iov_len;
    return size;
}

WITHIN_QUOTA(write, (int file, const void *data, size_t size), (file, data, size), size)
WITHIN_QUOTA(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at), size)
WITHIN_QUOTA(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at), size)
WITHIN_QUOTA(writev, (int file, const struct iovec *parts, int count), (file, parts, count), size_of(parts, count))

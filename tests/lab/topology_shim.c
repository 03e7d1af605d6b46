/* Lets libvirtd and QEMU believe in CPUs, NUMA nodes and huge pages that this machine does not have.
 *
 * The lab shows each host an invented /sys/devices/system/{cpu,node}. The kernel would refuse affinities and memory
 * policies that name what is not there, so this preload folds CPU n onto real CPU n % real and accepts every memory
 * policy. Folders under /run/hugepages-SIZE are tmpfs, but answer statfs as hugetlbfs of that page size, so guests
 * with <hugepages/> start on a machine without a pool. libvirt hands LD_PRELOAD on to QEMU, so it gets this as well.
 * Folders named shared-storage answer as NFS: the hosts do share them, and libvirt moves no disk that is not on such.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HUGE_FOLDER "/run/hugepages-" /* followed by the page size in KiB */
#define HUGETLBFS_MAGIC 0x958458f6
#define SHARED_FOLDER "/shared-storage"
#define NFS_MAGIC 0x6969

static int real_cpus(void)
{
    static int count;
    unsigned char bits[1024] = {0};
    long bytes;

    if (count)
        return count;
    bytes = syscall(SYS_sched_getaffinity, 1, sizeof bits, bits);
    for (long cpu = 0; cpu < bytes * 8; cpu++)
        if (bits[cpu / 8] >> (cpu % 8) & 1)
            count = (int)cpu + 1;
    return count ? count : (count = 1);
}

static void fold(size_t size, const cpu_set_t *asked, cpu_set_t *folded)
{
    CPU_ZERO(folded);
    for (size_t cpu = 0; cpu < size * 8; cpu++)
        if (CPU_ISSET_S(cpu, size, asked))
            CPU_SET(cpu % real_cpus(), folded);
}

int sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *asked)
{
    cpu_set_t folded;

    fold(size, asked, &folded);
    return (int)syscall(SYS_sched_setaffinity, pid, sizeof folded, &folded);
}

/* QEMU's thread contexts, which fill huge pages from the CPUs of their node. */
int pthread_setaffinity_np(pthread_t thread, size_t size, const cpu_set_t *asked)
{
    static int (*real)(pthread_t, size_t, const cpu_set_t *);
    cpu_set_t folded;

    if (!real)
        real = (int (*)(pthread_t, size_t, const cpu_set_t *))dlsym(RTLD_NEXT, "pthread_setaffinity_np");
    fold(size, asked, &folded);
    return real(thread, sizeof folded, &folded);
}

long mbind(void *a, unsigned long l, int m, const unsigned long *n, unsigned long x, unsigned f)
{
    (void)a; (void)l; (void)m; (void)n; (void)x; (void)f;
    return 0;
}

long set_mempolicy(int m, const unsigned long *n, unsigned long x)
{
    (void)m; (void)n; (void)x;
    return 0;
}

long migrate_pages(int p, unsigned long x, const unsigned long *a, const unsigned long *b)
{
    (void)p; (void)x; (void)a; (void)b;
    return 0;
}

/* Page size in bytes where the path is one of the lab's huge-page folders, else 0. */
static long huge_page_bytes(const char *path)
{
    long kib;

    if (strncmp(path, HUGE_FOLDER, strlen(HUGE_FOLDER)) || sscanf(path + strlen(HUGE_FOLDER), "%ld", &kib) != 1)
        return 0;
    return kib * 1024;
}

int statfs(const char *path, struct statfs *answer)
{
    static int (*real)(const char *, struct statfs *);
    long bytes = huge_page_bytes(path);
    int failed;

    if (!real)
        real = (int (*)(const char *, struct statfs *))dlsym(RTLD_NEXT, "statfs");
    failed = real(path, answer);
    if (!failed && bytes) {
        answer->f_type = HUGETLBFS_MAGIC;
        answer->f_bsize = bytes;
    }
    if (!failed && strstr(path, SHARED_FOLDER))
        answer->f_type = NFS_MAGIC;
    return failed;
}

int fstatfs(int fd, struct statfs *answer)
{
    static int (*real)(int, struct statfs *);
    char link[64], path[4096];
    ssize_t length;
    long bytes;
    int failed;

    if (!real)
        real = (int (*)(int, struct statfs *))dlsym(RTLD_NEXT, "fstatfs");
    failed = real(fd, answer);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (failed || length < 0)
        return failed;
    path[length] = 0;
    bytes = huge_page_bytes(path);
    if (bytes) {
        answer->f_type = HUGETLBFS_MAGIC;
        answer->f_bsize = bytes;
    }
    return 0;
}

/* The same functions under the names that programs built with 64-bit file offsets use. */
int statfs64(const char *path, struct statfs64 *answer)
{
    return statfs(path, (struct statfs *)answer);
}

int fstatfs64(int fd, struct statfs64 *answer)
{
    return fstatfs(fd, (struct statfs *)answer);
}

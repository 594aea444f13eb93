/* A file system that passes everything through to a folder, notes what changes it, and fails where it is told to.
 *
 *   faultfs MOUNTPOINT FOLDER RULES JOURNAL
 *
 * RULES is read again whenever it changes: one rule a line, `operation glob errno first count`. The operation fails
 * with errno from the first time its path (from the mount point, or the name it was opened by) matches, counted from
 * 1, and for count times; count 0 is for ever. The operation `lost` is a read of the byte number `first`.
 *
 * JOURNAL gets one line for each operation that changed something, in the order in which they happened,
 * `operation inode offset length path path2` with tabs between, and behind each write's line its bytes.
 *
 * One thread serves it, so that this order is the only one.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RULES 32

struct rule { char operation[16], glob[256]; int error; long first, count, seen; };
struct opened { int fd; char path[]; };

static const char *folder, *rules_path;
static FILE *journal;
static struct rule rules[RULES];
static int rule_count;
static struct timespec rules_read;

static void read_rules(void)
{
    struct stat found;
    if (stat(rules_path, &found) != 0 || !memcmp(&found.st_mtim, &rules_read, sizeof rules_read)) return;
    FILE *file = fopen(rules_path, "r");
    if (!file) return;
    rules_read = found.st_mtim;
    rule_count = 0;
    while (rule_count < RULES) {
        struct rule *rule = &rules[rule_count];
        memset(rule, 0, sizeof *rule);
        if (fscanf(file, "%15s %255s %d %ld %ld", rule->operation, rule->glob, &rule->error, &rule->first,
                   &rule->count) != 5) break;
        rule_count++;
    }
    fclose(file);
}

static int fault(const char *operation, const char *path)
{
    read_rules();
    int error = 0;
    for (struct rule *rule = rules; rule < rules + rule_count; rule++) {
        if (strcmp(rule->operation, operation) || fnmatch(rule->glob, path, 0)) continue;
        rule->seen++;
        if (!error && rule->seen >= rule->first && (!rule->count || rule->seen < rule->first + rule->count))
            error = rule->error;
    }
    return -error;
}

static int lost(const char *path, off_t offset, size_t size)
{
    read_rules();
    for (struct rule *rule = rules; rule < rules + rule_count; rule++)
        if (!strcmp(rule->operation, "lost") && !fnmatch(rule->glob, path, 0) && offset <= rule->first
            && rule->first < offset + (off_t)size) return -rule->error;
    return 0;
}

static void note(const char *operation, long inode, long offset, long length, const char *path, const char *path2)
{
    fprintf(journal, "%s\t%ld\t%ld\t%ld\t%s\t%s\n", operation, inode, offset, length, path, path2);
}

static long inode_of(int fd)
{
    struct stat found;
    return fstat(fd, &found) ? 0 : (long)found.st_ino;
}

static const char *real(const char *path, char *buffer)
{
    snprintf(buffer, PATH_MAX, "%s%s", folder, path);
    return buffer;
}

static long inode_at(const char *path)
{
    char buffer[PATH_MAX];
    struct stat found;
    return lstat(real(path, buffer), &found) ? 0 : (long)found.st_ino;
}

#define TRY(operation, path) do { int error = fault(operation, path); if (error) return error; } while (0)
#define FD(info) (((struct opened *)(info)->fh)->fd)
#define NAME(info) (((struct opened *)(info)->fh)->path)

static int keep(struct fuse_file_info *info, int fd, const char *path)
{
    struct opened *opened = malloc(sizeof *opened + strlen(path) + 1);
    opened->fd = fd;
    strcpy(opened->path, path);
    info->fh = (uint64_t)opened;
    info->direct_io = 1;
    return 0;
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    config->use_ino = config->hard_remove = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return NULL;
}

static int on_getattr(const char *path, struct stat *found, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("getattr", path ? path : NAME(info));
    return (info ? fstat(FD(info), found) : lstat(real(path, buffer), found)) ? -errno : 0;
}

static int on_readlink(const char *path, char *target, size_t size)
{
    char buffer[PATH_MAX];
    ssize_t length = readlink(real(path, buffer), target, size - 1);
    if (length < 0) return -errno;
    target[length] = 0;
    return 0;
}

static int on_mkdir(const char *path, mode_t mode)
{
    char buffer[PATH_MAX];
    TRY("mkdir", path);
    if (mkdir(real(path, buffer), mode)) return -errno;
    note("mkdir", inode_at(path), 0, 0, path, "");
    return 0;
}

static int on_unlink(const char *path)
{
    char buffer[PATH_MAX];
    TRY("unlink", path);
    if (unlink(real(path, buffer))) return -errno;
    note("unlink", 0, 0, 0, path, "");
    return 0;
}

static int on_rmdir(const char *path)
{
    char buffer[PATH_MAX];
    TRY("rmdir", path);
    if (rmdir(real(path, buffer))) return -errno;
    note("unlink", 0, 0, 0, path, "");
    return 0;
}

static int on_symlink(const char *target, const char *path)
{
    char buffer[PATH_MAX];
    return symlink(target, real(path, buffer)) ? -errno : 0;
}

static int on_rename(const char *from, const char *to, unsigned flags)
{
    char buffer[PATH_MAX], buffer2[PATH_MAX];
    if (flags) return -EINVAL;
    TRY("rename", to);
    if (rename(real(from, buffer), real(to, buffer2))) return -errno;
    note("rename", inode_at(to), 0, 0, from, to);
    return 0;
}

static int on_link(const char *from, const char *to)
{
    char buffer[PATH_MAX], buffer2[PATH_MAX];
    TRY("link", to);
    if (link(real(from, buffer), real(to, buffer2))) return -errno;
    note("link", inode_at(to), 0, 0, from, to);
    return 0;
}

static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("chmod", path);
    return chmod(real(path, buffer), mode) ? -errno : 0;
}

static int on_chown(const char *path, uid_t user, gid_t group, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("chown", path);
    return lchown(real(path, buffer), user, group) ? -errno : 0;
}

static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("utimens", path);
    return utimensat(AT_FDCWD, real(path, buffer), times, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    const char *name = info ? NAME(info) : path;
    TRY("truncate", name);
    if (info ? ftruncate(FD(info), size) : truncate(real(path, buffer), size)) return -errno;
    note("truncate", info ? inode_of(FD(info)) : inode_at(path), 0, size, name, "");
    return 0;
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("create", path);
    int fd = open(real(path, buffer), (info->flags & ~O_APPEND) | O_CREAT, mode);
    if (fd < 0) return -errno;
    note("create", inode_of(fd), 0, 0, path, "");
    return keep(info, fd, path);
}

static int on_open(const char *path, struct fuse_file_info *info)
{
    char buffer[PATH_MAX];
    TRY("open", path);
    int fd = open(real(path, buffer), info->flags & ~O_APPEND);
    if (fd < 0) return -errno;
    if (info->flags & O_TRUNC) note("truncate", inode_of(fd), 0, 0, path, "");
    return keep(info, fd, path);
}

static int on_read(const char *path, char *data, size_t size, off_t offset, struct fuse_file_info *info)
{
    TRY("read", NAME(info));
    int error = lost(NAME(info), offset, size);
    if (error) return error;
    ssize_t count = pread(FD(info), data, size, offset);
    return count < 0 ? -errno : (int)count;
}

static int on_write(const char *path, const char *data, size_t size, off_t offset, struct fuse_file_info *info)
{
    TRY("write", NAME(info));
    ssize_t count = pwrite(FD(info), data, size, offset);
    if (count < 0) return -errno;
    note("write", inode_of(FD(info)), offset, count, NAME(info), "");
    fwrite(data, 1, count, journal);
    return (int)count;
}

static int on_flush(const char *path, struct fuse_file_info *info)
{
    return fault("close", NAME(info));
}

static int on_release(const char *path, struct fuse_file_info *info)
{
    close(FD(info));
    free((void *)info->fh);
    return 0;
}

static int on_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    TRY("fsync", NAME(info));
    note("fsync", inode_of(FD(info)), 0, 0, NAME(info), "");
    return 0;
}

static int on_fsyncdir(const char *path, int data_only, struct fuse_file_info *info)
{
    TRY("fsyncdir", path);
    note("fsyncdir", inode_at(path), 0, 0, path, "");
    return 0;
}

static int on_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *info,
                      enum fuse_readdir_flags flags)
{
    char name[PATH_MAX];
    TRY("readdir", path);
    DIR *directory = opendir(real(path, name));
    if (!directory) return -errno;
    for (struct dirent *entry; (entry = readdir(directory));) fill(buffer, entry->d_name, NULL, 0, 0);
    closedir(directory);
    return 0;
}

static int on_statfs(const char *path, struct statvfs *found)
{
    TRY("statfs", path);
    return statvfs(folder, found) ? -errno : 0;
}

static void on_destroy(void *data)
{
    fclose(journal);
}

static const struct fuse_operations operations = {
    .init = on_init, .destroy = on_destroy, .getattr = on_getattr, .readlink = on_readlink, .mkdir = on_mkdir,
    .unlink = on_unlink, .rmdir = on_rmdir, .symlink = on_symlink, .rename = on_rename, .link = on_link,
    .chmod = on_chmod, .chown = on_chown, .utimens = on_utimens, .truncate = on_truncate, .create = on_create,
    .open = on_open, .read = on_read, .write = on_write, .flush = on_flush, .release = on_release,
    .fsync = on_fsync, .fsyncdir = on_fsyncdir, .readdir = on_readdir, .statfs = on_statfs,
};

int main(int count, char **words)
{
    if (count != 5) return 2;
    folder = words[2];
    rules_path = words[3];
    journal = fopen(words[4], "wb");
    if (!journal) return 1;
    umask(0);
    char *arguments[] = {words[0], "-f", "-s", "-o", "default_permissions", words[1], NULL};
    return fuse_main(6, arguments, &operations, NULL);
}

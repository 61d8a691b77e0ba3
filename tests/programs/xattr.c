// The extended attribute calls, in the user namespace.
#include "show.h"

int main(void)
{
    char value[64], list[128];
    make_file("file", "x");
    symlink("file", "link");
    mkdir("dir", 0755);
    int fd = open("file", O_RDWR), path = open("file", O_PATH);
    memset(value, '?', sizeof value);
    SHOW(listxattr("file", list, sizeof list));
    SHOW(setxattr("file", "user.one", "value", 5, 0));
    SHOW(setxattr("file", "user.one", "value2", 6, XATTR_CREATE));
    SHOW(setxattr("file", "user.two", "2", 1, XATTR_REPLACE));
    SHOW(setxattr("file", "user.one", "value3", 6, XATTR_REPLACE));
    SHOW(setxattr("file", "user.one", "v", 1, XATTR_REPLACE | XATTR_CREATE));
    SHOW(setxattr("file", "user.one", "v", 1, 8));
    SHOW(setxattr("file", "user.empty", NULL, 0, 0));
    SHOW(setxattr("file", "user.", "v", 1, 0));
    SHOW(setxattr("file", "nonsense", "v", 1, 0));
    SHOW(setxattr("file", "nonsense.name", "v", 1, 0));
    SHOW(setxattr("file", "", "v", 1, 0));
    SHOW(getxattr("file", "user.one", value, sizeof value));
    show_bytes("value", value, 6);
    SHOW(getxattr("file", "user.one", value, 0));
    SHOW(getxattr("file", "user.one", NULL, 0));
    SHOW(getxattr("file", "user.one", value, 3));
    SHOW(getxattr("file", "user.empty", value, 3));
    SHOW(getxattr("file", "user.none", value, 3));
    SHOW(getxattr("missing", "user.none", value, 3));
    SHOW(getxattr("link", "user.one", value, sizeof value));
    SHOW(lgetxattr("link", "user.one", value, sizeof value));
    SHOW(lsetxattr("link", "user.one", "v", 1, 0));
    SHOW(setxattr("dir", "user.on_dir", "v", 1, 0));
    SHOW(getxattr("dir", "user.on_dir", value, 8));
    SHOW(fsetxattr(fd, "user.fd", "fd", 2, 0));
    SHOW(fgetxattr(fd, "user.fd", value, 8));
    SHOW(fgetxattr(path, "user.fd", value, 8));
    SHOW(fgetxattr(99, "user.fd", value, 8));
    SHOW(setxattr("file", "user.big", list, 70000, 0));
    memset(list, 'n', 128);
    list[127] = 0;
    memcpy(list, "user.", 5);
    SHOW(setxattr("file", list, "long", 4, 0));
    SHOW(removexattr("file", list));
    long n = SHOW(listxattr("file", list, sizeof list));
    int seen = 0;
    for (char *p = list; p < list + n; p += strlen(p) + 1)
        seen += !strcmp(p, "user.one") || !strcmp(p, "user.empty") || !strcmp(p, "user.fd");
    NOTE("names found %d", seen);
    SHOW(listxattr("file", list, 0));
    SHOW(listxattr("file", list, 5));
    SHOW(llistxattr("link", list, sizeof list));
    SHOW(flistxattr(fd, list, sizeof list));
    SHOW(removexattr("file", "user.one"));
    SHOW(removexattr("file", "user.one"));
    SHOW(fremovexattr(fd, "user.fd"));
    SHOW(lremovexattr("link", "user.fd"));
    SHOW(flistxattr(fd, list, sizeof list));
    SHOW(getxattr("file", (char *)8, value, 8));
    SHOW(getxattr("file", "user.empty", (char *)8, 8));
    SHOW(setxattr("file", "user.x", (char *)8, 8, 0));
    SHOW(getxattr("/proc/self/status", "user.x", value, 8));
    return 0;
}

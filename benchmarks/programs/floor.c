// SPDX-FileCopyrightText: nslab contributors
// SPDX-License-Identifier: GPL-3.0-or-later
//
// The floor: a lab by raw netlink, with nothing in between. What it does not do: look first, check, undo, report.
//
//   floor create INDEX <LAB    make what the lines say; interfaces inside get the indices from INDEX on
//   floor look <LAB            dump links, addresses and routes of the host and of every namespace, once
//   floor destroy <LAB         remove it
//
// The lines of a lab ("-" is "none", or for a namespace the host):
//
//   netns NAME FORWARDS                                     FORWARDS is 0 or 1: net.ipv4.ip_forward inside
//   bridge NAME ADDRESS
//   link NETNS NAME ADDRESS MASTER  NETNS NAME ADDRESS      one that has an end on the host begins with that end
//   route NETNS DST VIA
//
// What makes it quick: unshare and a bind mount instead of a process for each namespace; one message makes a whole
// link; many messages in one send, of which the last alone is acknowledged (an error is always told); indices that
// we choose, so that none is looked up; and bridges come up last, or each new port floods all the others.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_OF_ONE_SEND = 128, LONGEST_MESSAGE = 512, LONGEST_ANSWER = 1 << 16, NAME = 64 };

// The host, or a namespace: what it is called, how it is held, and the messages that wait to be sent there.
struct place {
    char name[NAME];
    int forwards, fd, socket, waiting;
    unsigned sequence;
    size_t used, room;
    char *messages;
};

struct bridge {
    char name[NAME], address[NAME];
};

struct end {
    struct place *place;
    char name[NAME], address[NAME];
    int index;
};

struct link {
    struct end first, second;
    char master[NAME];
};

struct route {
    struct place *place;
    char dst[NAME], via[NAME];
};

static struct place *places;  // the first is the host
static struct bridge *bridges;
static struct link *links;
static struct route *routes;
static int place_count, bridge_count, link_count, route_count;

static void die(const char *format, ...) {
    int error = errno;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "floor: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", strerror(error));
    exit(1);
}

// ---- the lines ----

static struct place *find(const char *name) {
    ENTRY wanted = {.key = (char *)name}, *found = hsearch(wanted, FIND);
    errno = ENOENT;
    if (!found) die("namespace %s", name);
    return found->data;
}

static void add_place(const char *name, int forwards) {
    struct place *place = &places[place_count++];
    *place = (struct place){.fd = -1, .socket = -1, .forwards = forwards};
    snprintf(place->name, NAME, "%s", name);
    hsearch((ENTRY){.key = place->name, .data = place}, ENTER);
}

static void read_lab(void) {
    char *text = NULL, *line, *rest, a[NAME], b[NAME];
    size_t size = 0;
    ssize_t length = getdelim(&text, &size, '\0', stdin);
    int lines = 0, forwards;
    if (length < 0) die("no lab");
    for (ssize_t i = 0; i < length; i++) lines += text[i] == '\n';
    places = calloc(lines + 1, sizeof *places);
    bridges = calloc(lines + 1, sizeof *bridges);
    links = calloc(lines + 1, sizeof *links);
    routes = calloc(lines + 1, sizeof *routes);
    hcreate(2 * lines + 2);
    add_place("-", 0);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        struct bridge *bridge = &bridges[bridge_count];
        struct link *link = &links[link_count];
        struct route *route = &routes[route_count];
        if (sscanf(line, "netns %63s %d", a, &forwards) == 2) {
            add_place(a, forwards);
        } else if (sscanf(line, "bridge %63s %63s", bridge->name, bridge->address) == 2) {
            bridge_count++;
        } else if (sscanf(line, "link %63s %63s %63s %63s %63s %63s %63s", a, link->first.name, link->first.address,
                          link->master, b, link->second.name, link->second.address) == 7) {
            link->first.place = find(a);
            link->second.place = find(b);
            link_count++;
        } else if (sscanf(line, "route %63s %63s %63s", a, route->dst, route->via) == 3) {
            route->place = find(a);
            route_count++;
        } else {
            errno = EINVAL;
            die("%s", line);
        }
    }
}

// ---- namespaces ----

static void path_of(const struct place *place, char path[NAME + 16]) {
    snprintf(path, NAME + 16, "/run/netns/%s", place->name);
}

static int netlink(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) die("netlink socket");
    return fd;
}

static void enter(struct place *place) {
    char path[NAME + 16];
    path_of(place, path);
    place->fd = open(place == places ? "/proc/self/ns/net" : path, O_RDONLY | O_CLOEXEC);
    if (place->fd < 0 || (place != places && setns(place->fd, CLONE_NEWNET))) die("namespace %s", place->name);
    place->socket = netlink();
}

static int exists(const struct place *place) {
    char path[NAME + 16];
    path_of(place, path);
    return access(path, F_OK) == 0;
}

static void add_netns(struct place *place) {
    char path[NAME + 16];
    path_of(place, path);
    int file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (file < 0 || close(file) || unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", path, "none", MS_BIND, NULL))
        die("netns add %s", place->name);
    place->fd = open(path, O_RDONLY | O_CLOEXEC);
    place->socket = netlink();
    if (place->fd < 0) die("%s", path);
    if (place->forwards) {
        int sysctl = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
        if (sysctl < 0 || write(sysctl, "1", 1) != 1 || close(sysctl)) die("ip_forward in %s", place->name);
    }
}

// ---- messages ----

static struct nlmsghdr *begin(struct place *place, int type, int flags, const void *header, size_t size) {
    if (place->room < place->used + LONGEST_MESSAGE) {
        place->room = place->room ? 2 * place->room : 2 * LONGEST_MESSAGE;
        place->messages = realloc(place->messages, place->room);
        if (!place->messages) die("memory");
    }
    struct nlmsghdr *message = (struct nlmsghdr *)(place->messages + place->used);
    *message = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
    message->nlmsg_seq = ++place->sequence;
    memcpy(NLMSG_DATA(message), header, size);
    return message;
}

static struct rtattr *put(struct nlmsghdr *message, int type, const void *data, size_t size) {
    struct rtattr *attribute = (struct rtattr *)((char *)message + NLMSG_ALIGN(message->nlmsg_len));
    *attribute = (struct rtattr){.rta_type = type, .rta_len = RTA_LENGTH(size)};
    if (size) memcpy(RTA_DATA(attribute), data, size);
    message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_SPACE(size);
    return attribute;
}

static void put_text(struct nlmsghdr *message, int type, const char *text) { put(message, type, text, strlen(text) + 1); }

static void end_nest(struct nlmsghdr *message, struct rtattr *nest) {
    nest->rta_len = (char *)message + message->nlmsg_len - (char *)nest;
}

// The kernel goes on after a message that failed, and tells each failure; so the last acknowledgement ends the wait.
static void flush(struct place *place) {
    static char answer[LONGEST_ANSWER];
    unsigned last = place->sequence;
    if (!place->waiting) return;
    if (send(place->socket, place->messages, place->used, 0) < 0) die("send to %s", place->name);
    place->used = place->waiting = 0;
    for (;;) {
        int length = recv(place->socket, answer, sizeof answer, 0);
        if (length < 0) die("answer of %s", place->name);
        for (struct nlmsghdr *got = (void *)answer; NLMSG_OK(got, length); got = NLMSG_NEXT(got, length)) {
            struct nlmsgerr *said = NLMSG_DATA(got);
            errno = got->nlmsg_type == NLMSG_ERROR ? -said->error : 0;
            if (errno) die("message of type %d to %s", said->msg.nlmsg_type, place->name);
            if (got->nlmsg_seq == last) return;
        }
    }
}

// The message joins those that wait. Not every one is the last of its send, but whoever flushes finds the last marked.
static void queue(struct place *place, struct nlmsghdr *message) {
    place->used += NLMSG_ALIGN(message->nlmsg_len);
    if (++place->waiting < MOST_OF_ONE_SEND) return;
    message->nlmsg_flags |= NLM_F_ACK;
    flush(place);
}

static void flush_all(void) {
    for (struct place *place = places; place < places + place_count; place++) {
        if (!place->waiting) continue;
        size_t at = 0, next = 0;
        for (; next < place->used; next += NLMSG_ALIGN(((struct nlmsghdr *)(place->messages + at))->nlmsg_len)) at = next;
        ((struct nlmsghdr *)(place->messages + at))->nlmsg_flags |= NLM_F_ACK;
        flush(place);
    }
}

static int parse(const char *text, struct in_addr *address) {
    char plain[NAME];
    int length = 32;
    if (sscanf(text, "%63[0-9.]/%d", plain, &length) < 1 || !inet_aton(plain, address)) die("address %s", text);
    return length;
}

static void add_bridge(const struct bridge *bridge) {
    struct ifinfomsg header = {0};
    struct nlmsghdr *message = begin(places, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    put_text(message, IFLA_IFNAME, bridge->name);
    struct rtattr *info = put(message, IFLA_LINKINFO, NULL, 0);
    put_text(message, IFLA_INFO_KIND, "bridge");
    end_nest(message, info);
    queue(places, message);
}

static void add_veth(const struct link *link) {
    struct place *place = link->first.place;
    struct ifinfomsg header = {.ifi_index = link->first.index}, peer = {.ifi_index = link->second.index};
    // A port of a bridge needs nothing more on the host. A peer can't be made up: its driver says ENOTCONN.
    int master = link->master[0] == '-' ? 0 : (int)if_nametoindex(link->master);
    if (link->master[0] != '-') {
        if (!master) die("bridge %s", link->master);
        header.ifi_flags = header.ifi_change = IFF_UP;
    }
    struct nlmsghdr *message = begin(place, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    put_text(message, IFLA_IFNAME, link->first.name);
    if (master) put(message, IFLA_MASTER, &master, sizeof master);
    struct rtattr *info = put(message, IFLA_LINKINFO, NULL, 0);
    put_text(message, IFLA_INFO_KIND, "veth");
    struct rtattr *data = put(message, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *about = put(message, VETH_INFO_PEER, &peer, sizeof peer);
    put_text(message, IFLA_IFNAME, link->second.name);
    put(message, IFLA_NET_NS_FD, &link->second.place->fd, sizeof link->second.place->fd);
    end_nest(message, about);
    end_nest(message, data);
    end_nest(message, info);
    queue(place, message);
}

static void add_address(struct place *place, int index, const char *text) {
    struct in_addr address;
    struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_index = index};
    header.ifa_prefixlen = parse(text, &address);
    struct in_addr broadcast = {address.s_addr | htonl((uint32_t)(0xffffffffull >> header.ifa_prefixlen))};
    struct nlmsghdr *message = begin(place, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    put(message, IFA_LOCAL, &address, sizeof address);
    put(message, IFA_ADDRESS, &address, sizeof address);
    put(message, IFA_BROADCAST, &broadcast, sizeof broadcast);
    queue(place, message);
}

static void set_up(struct place *place, int index) {
    struct ifinfomsg header = {.ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    queue(place, begin(place, RTM_SETLINK, 0, &header, sizeof header));
}

static void set_end(const struct end *end) {
    if (end->place == places) return;
    if (end->address[0] != '-') add_address(end->place, end->index, end->address);
    set_up(end->place, end->index);
}

static void add_route(const struct route *route) {
    struct in_addr dst = {0}, via;
    struct rtmsg header = {.rtm_family = AF_INET, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
                           .rtm_scope = RT_SCOPE_UNIVERSE, .rtm_type = RTN_UNICAST};
    if (strcmp(route->dst, "default")) header.rtm_dst_len = parse(route->dst, &dst);
    parse(route->via, &via);
    struct nlmsghdr *message = begin(route->place, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
    if (header.rtm_dst_len) put(message, RTA_DST, &dst, sizeof dst);
    put(message, RTA_GATEWAY, &via, sizeof via);
    queue(route->place, message);
}

// ---- the verbs ----

static void create(int index) {
    // Each namespace is held by two descriptors.
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    mkdir("/run/netns", 0755);
    enter(places);
    int fresh = 0;
    for (struct place *place = places + 1; place < places + place_count; place++) {
        if (exists(place)) {
            enter(place);
        } else {
            add_netns(place);
            set_up(place, 1);
            fresh++;
        }
    }
    if (place_count > 1 && setns(places->fd, CLONE_NEWNET)) die("back to the host");
    for (int i = 0; i < bridge_count; i++) add_bridge(&bridges[i]);
    flush_all();
    for (int i = 0; i < link_count; i++) {
        links[i].first.index = index++;
        links[i].second.index = index++;
        add_veth(&links[i]);
    }
    flush_all();
    for (int i = 0; i < link_count; i++) {
        set_end(&links[i].first);
        set_end(&links[i].second);
    }
    for (int i = 0; i < route_count; i++) add_route(&routes[i]);
    for (int i = 0; i < bridge_count; i++) {
        int number = if_nametoindex(bridges[i].name);
        add_address(places, number, bridges[i].address);
        set_up(places, number);
    }
    flush_all();
    printf("%d namespaces, %d links\n", fresh, link_count);
}

static int dump(struct place *place, int type, int family) {
    static char answer[LONGEST_ANSWER];
    struct ifinfomsg header = {.ifi_family = family};
    struct nlmsghdr *ask = begin(place, type, NLM_F_DUMP, &header, sizeof header);
    if (send(place->socket, ask, ask->nlmsg_len, 0) < 0) die("dump of %s", place->name);
    for (int count = 0;;) {
        int length = recv(place->socket, answer, sizeof answer, 0);
        if (length < 0) die("dump of %s", place->name);
        for (struct nlmsghdr *got = (void *)answer; NLMSG_OK(got, length); got = NLMSG_NEXT(got, length)) {
            if (got->nlmsg_type == NLMSG_DONE) return count;
            if (got->nlmsg_type == NLMSG_ERROR) die("dump of %s", place->name);
            count++;
        }
    }
}

static void look(void) {
    int link_lines = 0, address_lines = 0, route_lines = 0;
    for (struct place *place = places; place < places + place_count; place++) {
        enter(place);
        link_lines += dump(place, RTM_GETLINK, AF_UNSPEC);
        address_lines += dump(place, RTM_GETADDR, AF_UNSPEC);
        route_lines += dump(place, RTM_GETROUTE, AF_UNSPEC);
        close(place->socket);
        if (place != places) close(place->fd);
    }
    printf("%d links, %d addresses, %d routes\n", link_lines, address_lines, route_lines);
}

// A namespace takes its links along, and their other ends; all that go together go in one sweep of the kernel.
static void destroy(void) {
    char path[NAME + 16];
    enter(places);
    for (struct place *place = places + 1; place < places + place_count; place++) {
        path_of(place, path);
        if (umount2(path, MNT_DETACH) || unlink(path)) die("netns del %s", place->name);
    }
    for (int i = 0; i < bridge_count; i++) {
        struct ifinfomsg header = {.ifi_index = (int)if_nametoindex(bridges[i].name)};
        queue(places, begin(places, RTM_DELLINK, 0, &header, sizeof header));
    }
    flush_all();
}

int main(int count, char **words) {
    const char *verb = count > 1 ? words[1] : "";
    read_lab();
    if (!strcmp(verb, "create") && count == 3) {
        create(atoi(words[2]));
    } else if (!strcmp(verb, "look") && count == 2) {
        look();
    } else if (!strcmp(verb, "destroy") && count == 2) {
        destroy();
    } else {
        fprintf(stderr, "usage: floor create INDEX | look | destroy, with the lines of a lab at the input\n");
        return 2;
    }
    return 0;
}

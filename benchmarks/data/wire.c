/* What a client of libvirt's library sees of a daemon: wire URI WHAT [ARGUMENTS].  Prints one number.
 *
 *   calls N THREADS       getLibVersion a second, N by each of so many clients
 *   fill FROM TO FILE     define guests by the document in FILE, in which @NAME@ and @UUID@ stand; how many a second
 *   empty FROM TO         undefine them; how many a second
 *   list N, stats N       seconds that listAllDomains, getAllDomainStats take (median of N)
 *   documents N           XMLDesc a second, of all domains in turn
 *   start N FILE          seconds that the start of a guest takes (median of N)
 *   together N FILE       seconds until N guests run that N clients start at once
 *   networks N            seconds until N networks with DHCP are defined and started
 *   no-networks N         seconds until they are stopped and undefined
 *   first                 the monotonic clock's seconds at the first listing that a daemon answers
 */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *uri;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void pause_for(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static void need(int fine, const char *what) {
    if (fine) return;
    fprintf(stderr, "%s: %s\n", what, virGetLastErrorMessage());
    exit(1);
}

static void be_silent(void *unused, virErrorPtr error) {
    (void)unused;
    (void)error;
}

static virConnectPtr opened(void) {
    virConnectPtr conn = virConnectOpen(uri);
    need(conn != NULL, "open");
    return conn;
}

static char *contents(const char *path) {
    static char text[65536];
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        exit(1);
    }
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static char *replaced(char *text, const char *sign, const char *value) {
    char *place = strstr(text, sign), *made;
    if (!place) return text;
    made = malloc(strlen(text) + strlen(value) + 1);
    sprintf(made, "%.*s%s%s", (int)(place - text), text, value, place + strlen(sign));
    free(text);
    return made;
}

static char *document(const char *form, int number) {
    char name[32], uuid[48];
    sprintf(name, "guest%d", number);
    sprintf(uuid, "6a3d2f54-97a1-4ab4-8ac5-%012d", number);
    return replaced(replaced(strdup(form), "@NAME@", name), "@UUID@", uuid);
}

static virDomainPtr found(virConnectPtr conn, int number) {
    char name[32];
    sprintf(name, "guest%d", number);
    virDomainPtr domain = virDomainLookupByName(conn, name);
    need(domain != NULL, name);
    return domain;
}

static virDomainPtr defined(virConnectPtr conn, const char *form, int number) {
    char *text = document(form, number);
    virDomainPtr domain = virDomainDefineXML(conn, text);
    need(domain != NULL, "define");
    free(text);
    return domain;
}

static int compare(const void *one, const void *other) {
    double difference = *(const double *)one - *(const double *)other;
    return (difference > 0) - (difference < 0);
}

static double median(double *times, int count) {
    qsort(times, count, sizeof *times, compare);
    return count % 2 ? times[count / 2] : (times[count / 2 - 1] + times[count / 2]) / 2;
}

/* Work for several clients that begin at the same moment */

struct client {
    virConnectPtr conn;
    virDomainPtr domain;
    int count;
};

static pthread_barrier_t gate;

static double at_once(struct client *clients, int count, void *(*work)(void *)) {
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_barrier_init(&gate, NULL, count + 1);
    for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, work, &clients[i]);
    double began = now();
    pthread_barrier_wait(&gate);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    free(threads);
    return now() - began;
}

static void *ask_version(void *data) {
    struct client *client = data;
    unsigned long version;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < client->count; i++) need(virConnectGetLibVersion(client->conn, &version) == 0, "getLibVersion");
    return NULL;
}

static void *start_it(void *data) {
    struct client *client = data;
    pthread_barrier_wait(&gate);
    need(virDomainCreate(client->domain) == 0, "start");
    return NULL;
}

/* What can be asked for */

static double calls(int count, int threads) {
    struct client *clients = calloc(threads, sizeof *clients);
    for (int i = 0; i < threads; i++) clients[i] = (struct client){opened(), NULL, count};
    double took = at_once(clients, threads, ask_version);
    for (int i = 0; i < threads; i++) virConnectClose(clients[i].conn);
    free(clients);
    return threads * count / took;
}

static double fill(virConnectPtr conn, int from, int to, const char *path) {
    const char *form = contents(path);
    double began = now();
    for (int i = from; i < to; i++) virDomainFree(defined(conn, form, i));
    return (to - from) / (now() - began);
}

static double empty(virConnectPtr conn, int from, int to) {
    double began = now();
    for (int i = from; i < to; i++) {
        virDomainPtr domain = found(conn, i);
        need(virDomainUndefine(domain) == 0, "undefine");
        virDomainFree(domain);
    }
    return (to - from) / (now() - began);
}

static int list(virConnectPtr conn) {
    virDomainPtr *domains;
    int count = virConnectListAllDomains(conn, &domains, 0);
    if (count < 0) return count;
    for (int i = 0; i < count; i++) virDomainFree(domains[i]);
    free(domains);
    return count;
}

static int stats(virConnectPtr conn) {
    virDomainStatsRecordPtr *records;
    int count = virConnectGetAllDomainStats(conn, 0, &records, 0);
    if (count >= 0) virDomainStatsRecordListFree(records);
    return count;
}

static double repeated(virConnectPtr conn, int count, int (*ask)(virConnectPtr)) {
    double *times = calloc(count, sizeof *times), middle;
    for (int i = 0; i < count; i++) {
        double began = now();
        need(ask(conn) >= 0, "list");
        times[i] = now() - began;
    }
    middle = median(times, count);
    free(times);
    return middle;
}

static double documents(virConnectPtr conn, int count) {
    virDomainPtr *domains;
    int known = virConnectListAllDomains(conn, &domains, 0);
    need(known > 0, "list");
    double began = now();
    for (int i = 0; i < count; i++) {
        char *text = virDomainGetXMLDesc(domains[i % known], 0);
        need(text != NULL, "XMLDesc");
        free(text);
    }
    double took = now() - began;
    for (int i = 0; i < known; i++) virDomainFree(domains[i]);
    free(domains);
    return count / took;
}

static double start(virConnectPtr conn, int count, const char *path) {
    double *times = calloc(count, sizeof *times);
    virDomainPtr domain = defined(conn, contents(path), 999999);
    for (int i = 0; i < count; i++) {
        double began = now();
        need(virDomainCreate(domain) == 0, "start");
        times[i] = now() - began;
        need(virDomainDestroy(domain) == 0, "destroy");
    }
    need(virDomainUndefine(domain) == 0, "undefine");
    virDomainFree(domain);
    return median(times, count);
}

static double together(int count, const char *path) {
    const char *form = contents(path);
    struct client *clients = calloc(count, sizeof *clients);
    for (int i = 0; i < count; i++) {
        clients[i].conn = opened();
        clients[i].domain = defined(clients[i].conn, form, 999000 + i);
    }
    double took = at_once(clients, count, start_it);
    for (int i = 0; i < count; i++) {
        need(virDomainDestroy(clients[i].domain) == 0, "destroy");
        need(virDomainUndefine(clients[i].domain) == 0, "undefine");
        virDomainFree(clients[i].domain);
        virConnectClose(clients[i].conn);
    }
    free(clients);
    return took;
}

static const char *NETWORK =
    "<network><name>net%d</name><forward mode='nat'/><bridge name='nb%d'/><ip address='10.%d.%d.1' prefix='24'>"
    "<dhcp><range start='10.%d.%d.2' end='10.%d.%d.254'/></dhcp></ip></network>";

static double networks(virConnectPtr conn, int count) {
    char text[1024];
    double began = now();
    for (int i = 0; i < count; i++) {
        int high = 100 + i / 250, low = i % 250;
        sprintf(text, NETWORK, i, i, high, low, high, low, high, low);
        virNetworkPtr network = virNetworkDefineXML(conn, text);
        need(network != NULL, "define a network");
        need(virNetworkCreate(network) == 0, "start a network");
        virNetworkFree(network);
    }
    return now() - began;
}

static double no_networks(virConnectPtr conn, int count) {
    char name[32];
    double began = now();
    for (int i = 0; i < count; i++) {
        sprintf(name, "net%d", i);
        virNetworkPtr network = virNetworkLookupByName(conn, name);
        need(network != NULL, "look up a network");
        need(virNetworkDestroy(network) == 0, "stop a network");
        need(virNetworkUndefine(network) == 0, "undefine a network");
        virNetworkFree(network);
    }
    return now() - began;
}

static double first(void) {
    for (double give_up = now() + 60; now() < give_up; pause_for(0.001)) {
        virConnectPtr conn = virConnectOpen(uri);
        if (conn && list(conn) >= 0) return now();
        if (conn) virConnectClose(conn);
    }
    need(0, "no answer within 60 seconds");
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: wire URI WHAT [ARGUMENTS]\n");
        return 2;
    }
    uri = argv[1];
    const char *what = argv[2];
    int one = argc > 3 ? atoi(argv[3]) : 0, two = argc > 4 ? atoi(argv[4]) : 0;
    double value;
    virSetErrorFunc(NULL, be_silent);
    need(virInitialize() == 0, "initialize");
    if (!strcmp(what, "first"))
        value = first();
    else if (!strcmp(what, "calls"))
        value = calls(one, two);
    else if (!strcmp(what, "together"))
        value = together(one, argv[4]);
    else {
        virConnectPtr conn = opened();
        if (!strcmp(what, "fill"))
            value = fill(conn, one, two, argv[5]);
        else if (!strcmp(what, "empty"))
            value = empty(conn, one, two);
        else if (!strcmp(what, "list"))
            value = repeated(conn, one, list);
        else if (!strcmp(what, "stats"))
            value = repeated(conn, one, stats);
        else if (!strcmp(what, "documents"))
            value = documents(conn, one);
        else if (!strcmp(what, "start"))
            value = start(conn, one, argv[4]);
        else if (!strcmp(what, "networks"))
            value = networks(conn, one);
        else if (!strcmp(what, "no-networks"))
            value = no_networks(conn, one);
        else {
            fprintf(stderr, "what is '%s'?\n", what);
            return 2;
        }
        virConnectClose(conn);
    }
    printf("%.9f\n", value);
    return 0;
}

/*
 * A whole device in C: pairs with a code, sends ten SIMULATED samples, waits until the gateway has them, ends.
 *
 *   device ADDRESS PORT FILE [CODE]
 *
 * FILE is its storage and its identity, made at the first start. CODE is what `gateway pair --wearable` shows; a device that
 * is paired needs none. One line for each event; ends with 0 when everything is acknowledged.
 *
 *   cargo build --release -p wearable-capi
 *   gcc -std=c11 -Wall -Wextra -Iwearable-fw/capi/include wearable-fw/capi/example/device.c \
 *       target/release/libvitalward_device.a -lpthread -ldl -lm -o device
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vitalward_device.h"

#define SAMPLES 10
#define PAGES 16
#define IDENTITY 48        /* Bytes of UUID and storage key, in front of the pages. */
#define LIMIT_MS 60000     /* It gives up then. */
#define LISTEN_MS 200      /* Longest sleep. */

static void fail(const char *what) {
    fprintf(stderr, "device: %s: %s\n", what, errno ? strerror(errno) : "not possible");
    exit(1);
}

static void check(int32_t result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "device: %s: error %d\n", what, (int)result);
        exit(1);
    }
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The storage: a file that behaves like a flash chip. */

static int file_read(void *context, uint32_t offset, uint8_t *bytes, size_t length) {
    return pread(*(int *)context, bytes, length, (off_t)offset + IDENTITY) == (ssize_t)length ? 0 : -1;
}

static int file_write(void *context, uint32_t offset, const uint8_t *bytes, size_t length) {
    uint8_t old[VW_PAGE];
    if (length > sizeof old || file_read(context, offset, old, length) != 0)
        return -1;
    for (size_t i = 0; i < length; i++)
        old[i] &= bytes[i];
    if (pwrite(*(int *)context, old, length, (off_t)offset + IDENTITY) != (ssize_t)length)
        return -1;
    return fdatasync(*(int *)context);
}

static int file_erase(void *context, uint32_t offset) {
    uint8_t ones[VW_PAGE];
    memset(ones, 0xff, sizeof ones);
    if (pwrite(*(int *)context, ones, sizeof ones, (off_t)offset + IDENTITY) != (ssize_t)sizeof ones)
        return -1;
    return fdatasync(*(int *)context);
}

static int system_random(void *context, uint8_t *bytes, size_t length) {
    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(bytes, length, 0);
        if (got < 0)
            return -1;
        bytes += got;
        length -= (size_t)got;
    }
    return 0;
}

/* Opens the file; makes identity and empty pages at the first start. A chip has its key in its own key store. */
static int open_storage(const char *path, vw_config *config) {
    int file = open(path, O_RDWR | O_CREAT, 0600);
    static const uint8_t none[IDENTITY];
    uint8_t identity[IDENTITY];
    if (file < 0)
        fail(path);
    /* Nothing but zeros: a first start that was cut off. */
    if (pread(file, identity, IDENTITY, 0) != IDENTITY || memcmp(identity, none, IDENTITY) == 0) {
        if (system_random(NULL, identity, IDENTITY) != 0)
            fail("getrandom");
        identity[6] = (uint8_t)((identity[6] & 0x0f) | 0x40); /* a version 4 UUID */
        identity[8] = (uint8_t)((identity[8] & 0x3f) | 0x80);
        for (uint32_t page = 0; page < PAGES; page++)
            if (file_erase(&file, page * VW_PAGE) != 0)
                fail(path);
        if (pwrite(file, identity, IDENTITY, 0) != IDENTITY || fdatasync(file) != 0)
            fail(path);
    }
    memcpy(config->device_id, identity, 16);
    memcpy(config->storage_key, identity + 16, 32);
    return file;
}

static int dial(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int wire = socket(AF_INET, SOCK_STREAM, 0);
    if (wire < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
        fail(address);
    if (connect(wire, (struct sockaddr *)&to, sizeof to) == 0)
        return wire;
    close(wire);
    return -1;
}

/* Sends everything there is; 0 if the connection holds. */
static int send_all(vw_device *device, int wire) {
    uint8_t buffer[1024];
    size_t count;
    for (;;) {
        check(vw_device_send(device, buffer, sizeof buffer, &count), "vw_device_send");
        if (count == 0)
            return 0;
        for (size_t sent = 0; sent < count;) {
            ssize_t now = send(wire, buffer + sent, count - sent, MSG_NOSIGNAL);
            if (now <= 0)
                return -1;
            sent += (size_t)now;
        }
    }
}

int main(int argc, char **argv) {
    vw_config config = {
        .size = sizeof config,
        .name = "C001",
        .firmware = "C example 1",
        .firmware_version = 1,
        .hardware = "c-example",
        .random = {.fill = system_random},
    };
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: device ADDRESS PORT FILE [CODE]\n");
        return 64;
    }
    int file = open_storage(argv[3], &config);
    config.storage = (vw_storage){&file, PAGES, file_read, file_write, file_erase};

    vw_device *device;
    check(vw_device_new(&config, now_ms(), &device), "vw_device_new");
    if (argc == 5) /* the person who typed the code is at the device */
        check(vw_device_act(device, VW_ACT_PAIR, argv[4], now_ms()), "vw_device_act");

    const uint64_t end = now_ms() + LIMIT_MS;
    uint64_t acknowledged = 0, last = 0;
    int wire = -1, pushed = 0;
    while (pushed < SAMPLES || acknowledged < last) {
        vw_event event;
        int32_t more;
        while ((more = vw_device_event(device, &event)) > 0) {
            printf("%u %llu %s\n", event.kind, (unsigned long long)event.number, event.text);
            fflush(stdout);
            if (event.kind == VW_EVENT_ACKNOWLEDGED)
                acknowledged = event.number;
        }
        check(more, "vw_device_event");

        if (pushed < SAMPLES) {
            const vw_value values[] = {
                {.mdc = 147842, .unit = "/min", .mantissa = 60 + pushed, .quality = 90},
                {.mdc = 150456, .unit = "%", .missing = 5, .quality = VW_NOT_ASSESSED}, /* no finger on it */
                {.mdc = 150364, .unit = "Cel", .mantissa = 3650 + pushed, .exponent = -2, .quality = VW_NOT_ASSESSED},
            };
            int32_t result = vw_device_push(device, values, 3, 1 /* SIMULATED */, now_ms(), &last);
            if (result == VW_OK)
                pushed++;
            else if (result != VW_E_UNPAIRED)
                check(result, "vw_device_push");
            else if (argc == 4) {
                fprintf(stderr, "device: it is not paired; give it the code of gateway pair --wearable\n");
                return 1;
            }
        }

        uint64_t next;
        int32_t wish = vw_device_tick(device, now_ms(), &next);
        check(wish, "vw_device_tick");
        if (wish == VW_LINK_DIAL) {
            wire = dial(argv[1], argv[2]);
            check(vw_device_link(device, wire >= 0, now_ms()), "vw_device_link");
            continue;
        }
        if (wire >= 0 && send_all(device, wire) != 0) {
            check(vw_device_link(device, 0, now_ms()), "vw_device_link");
            close(wire);
            wire = -1;
            continue;
        }
        if (wish == VW_LINK_HANG_UP && wire >= 0) {
            close(wire);
            wire = -1;
        }

        uint64_t now = now_ms();
        if (now > end) {
            fprintf(stderr, "device: nothing came of it in time\n");
            return 1;
        }
        uint64_t sleep = next > now ? next - now : 0;
        struct pollfd waits = {.fd = wire, .events = POLLIN};
        if (poll(&waits, 1, (int)(sleep < LISTEN_MS ? sleep : LISTEN_MS)) > 0) {
            uint8_t buffer[1024];
            ssize_t got = recv(wire, buffer, sizeof buffer, 0);
            if (got > 0) {
                check(vw_device_receive(device, buffer, (size_t)got, now_ms()), "vw_device_receive");
            } else {
                check(vw_device_link(device, 0, now_ms()), "vw_device_link");
                close(wire);
                wire = -1;
            }
        }
    }
    printf("all %d SIMULATED samples up to number %llu are acknowledged\n", SAMPLES, (unsigned long long)last);
    check(vw_device_free(device), "vw_device_free");
    return 0;
}

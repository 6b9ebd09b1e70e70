/*
 * Vitalward: the wearable's device for firmware that is not written in Rust.
 *
 * Link with libvitalward_device.a (cargo build --release -p wearable-capi). It pairs with a gateway, logs in, keeps
 * samples until the gateway has them, and says what it wants; it opens no socket, reads no clock, starts no thread and
 * keeps no file. The example beside this file (example/device.c) is a whole device.
 *
 * The loop: call a function for whatever came (bytes, a person, a measurement), then vw_device_event until there is none,
 * vw_device_tick, and vw_device_send until it gives nothing. Sleep until *next_ms or until something comes.
 *
 * Time: now_ms is milliseconds since any fixed point, from a clock that never goes back. The device learns the time of day
 * from its gateway and never guesses it.
 *
 * Threads: a handle is used by one thread at a time. The functions of vw_storage and vw_random must not call this library;
 * if they do, they are told VW_E_BUSY.
 *
 * They must return: no longjmp and no C++ exception may leave them.
 *
 * Every function takes NULL for what it is: VW_E_ARGUMENT, and nothing was done (vw_device_free(NULL) is VW_OK, as free's).
 * Pointers are used during the call only, except for the functions and contexts of vw_config, which are used until
 * vw_device_free. A handle that was freed must not be used again: that is noticed now and then, and cannot be always.
 */
#ifndef VITALWARD_DEVICE_H
#define VITALWARD_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Results. */
#define VW_OK 0
#define VW_E_ARGUMENT (-1) /* Null, too long, or not what is asked for here. Nothing was done. */
#define VW_E_UNPAIRED (-2) /* The device belongs to no gateway yet: pair it first. Nothing was done. */
#define VW_E_STORAGE (-3)  /* The storage failed: the sample is not kept, or the device does not start. */
#define VW_E_BUSY (-4)     /* Called from within a callback, or by two threads at once. Nothing was done. */
#define VW_E_BROKEN (-5)   /* A fault in this library, or no randomness: the handle can only be freed. */

/* What vw_device_tick wishes. */
#define VW_LINK_NOTHING 0
/* Connect to the gateway's port for wearables. The device waits until it is told how that went, and does not dial again
   before: vw_device_link with 1, or with 0 if it failed. */
#define VW_LINK_DIAL 1
#define VW_LINK_HANG_UP 2 /* Send what vw_device_send still gives, then close. No vw_device_link. */

#define VW_PAGE 4096      /* Bytes of a page of storage. */
#define VW_LEAST_PAGES 8  /* Fewest pages. A page keeps some 30 to 60 samples of five quantities. */
#define VW_MOST_VALUES 32 /* Most values in a sample. */
#define VW_TEXT 256       /* Bytes of an event's text, with the zero at its end. */
#define VW_NOT_ASSESSED 255

/*
 * Where the device keeps what must survive: its binding to the gateway (sealed under the storage key) and its samples.
 * A flash chip, an EEPROM, or a file. Each function returns 0 if it did what it should, after it is durable.
 * The number of pages stays the same for the device's life, and each page keeps its address: what lies where follows
 * from both.
 * Power may fail at any moment, also in the middle of a write; whatever was done is then taken up at the next start.
 */
typedef struct vw_storage {
    void *context;
    uint32_t pages;
    int (*read)(void *context, uint32_t offset, uint8_t *bytes, size_t length);
    /* Offset and length are multiples of 4. Bits are only cleared: new = old & bytes. */
    int (*write)(void *context, uint32_t offset, const uint8_t *bytes, size_t length);
    /* Sets the page at this offset to 0xff. */
    int (*erase)(void *context, uint32_t offset);
} vw_storage;

/* A true or cryptographic generator. Fills the buffer and returns 0, or anything else: then the handle is broken. */
typedef struct vw_random {
    void *context;
    int (*fill)(void *context, uint8_t *bytes, size_t length);
} vw_random;

typedef struct vw_config {
    size_t size;             /* sizeof(vw_config): refused if header and library differ. */
    uint8_t device_id[16];   /* The device's UUID, for life; not all 0 and not all 0xff. */
    uint8_t storage_key[32]; /* Random, different on each device, from the chip's key store; not one byte repeated. */
    const char *name;        /* What people call it: 1 to 32 of A-Z a-z 0-9 - _ . */
    const char *firmware;    /* Its firmware's name: at most 32 printable ASCII characters. */
    const char *hardware;    /* What it is: 1 to 32 of A-Z a-z 0-9 - _ . */
    uint32_t firmware_version;
    vw_storage storage;
    vw_random random;
} vw_config;

/* One quantity of a sample: value = mantissa * 10^exponent in its unit, or the reason why there is none. */
typedef struct vw_value {
    const char *loinc;    /* LOINC code of at most 24 characters, or NULL: then mdc counts. */
    const char *unit;     /* UCUM, 1 to 24 printable characters: "/min", "%", "Cel". */
    uint32_t mdc;         /* ISO/IEEE 11073-10101: 147842 heart rate, 150456 SpO2, 150364 body temperature. */
    int32_t mantissa;
    uint16_t calibration; /* Version of the calibration behind it; 0 where none is needed. */
    int8_t exponent;      /* -9 to 9. */
    uint8_t quality;      /* 0 to 100, or VW_NOT_ASSESSED. */
    uint8_t method;       /* How it was measured; 0: read from a sensor. The numbers are in docs/protocol.md. */
    uint8_t missing;      /* 0: there is a value. Else 1 + the reason's number in docs/protocol.md (5: finger off). */
} vw_value;

/* Kinds of events, and what number and text are. */
#define VW_EVENT_MODE 1         /* The state changed: VW_MODE_*, its name. */
#define VW_EVENT_CODE 2         /* Show this code; a person enters it at the gateway. */
#define VW_EVENT_GRANTED 3      /* A gateway took the code; it counts when the login that follows succeeds. Its doctor. */
#define VW_EVENT_BOUND 4        /* Paired, and written down. The doctor. */
#define VW_EVENT_SESSION 5      /* Logged in: 1 if it was resumed. The doctor. */
#define VW_EVENT_ACKNOWLEDGED 6 /* The gateway has every sample up to this number. */
#define VW_EVENT_LOST 7         /* So many samples were given up for want of room. Which. */
#define VW_EVENT_DISCONNECTED 8 /* No session any more. Why. */
#define VW_EVENT_REFUSED 9      /* Something was refused. By whom, and what to do. */
#define VW_EVENT_STORAGE 10     /* The storage failed. What that means. */
#define VW_EVENT_SETTINGS 11    /* The gateway wants a sample each so many ms. */
#define VW_EVENT_MISSED 12      /* So many events were not read in time. */
#define VW_EVENT_OTHER 13       /* For a log. */
#define VW_EVENT_RESET 14       /* The factory reset is done. */

#define VW_MODE_UNPROVISIONED 0
#define VW_MODE_PAIRING_OPEN 1
#define VW_MODE_VALIDATING 2
#define VW_MODE_CONNECTING 3
#define VW_MODE_ONLINE 4
#define VW_MODE_OFFLINE 5
#define VW_MODE_ERROR 6

typedef struct vw_event {
    uint64_t number;
    uint32_t kind;
    char text[VW_TEXT]; /* UTF-8, ended by a zero, cut if it is longer. */
} vw_event;

typedef struct vw_device vw_device;

/* Makes a device out of what its storage holds, or a new one if that is empty. Writes its handle to *device. */
int32_t vw_device_new(const vw_config *config, uint64_t now_ms, vw_device **device);

/*
 * Opens the pairing window for ten minutes. With a code (XXX-XXX-XXX, from the gateway) it is tried; with NULL the device
 * makes its own and tells it as an event. A device that is paired keeps its gateway and its samples until the new one has
 * proved itself.
 */
#define VW_ACT_PAIR 1
/* The next try to reach the gateway is now. */
#define VW_ACT_RETRY 2
/* Factory reset: erases keys, binding and samples, and tells VW_EVENT_RESET (or VW_EVENT_STORAGE: reset again). Ask the
   person first. */
#define VW_ACT_RESET 3
/* Ends the session before the device is switched off: send what vw_device_send still gives, close, and free the handle. */
#define VW_ACT_GOODBYE 4

/* Does what a person at the device asked for (VW_ACT_*); call it for no other reason. Only pairing takes a code. */
int32_t vw_device_act(vw_device *device, uint32_t action, const char *code, uint64_t now_ms);

/* The connection that was wished for is there (up = 1), or it failed or ended (0). */
int32_t vw_device_link(vw_device *device, uint8_t up, uint64_t now_ms);

/* Takes bytes that came over the connection, in pieces of any size. With length 0, bytes may be NULL: nothing came. */
int32_t vw_device_receive(vw_device *device, const uint8_t *bytes, size_t length, uint64_t now_ms);

/* Writes the next bytes for the connection to buffer, and how many to *written; 0: nothing to send. */
int32_t vw_device_send(vw_device *device, uint8_t *buffer, size_t capacity, size_t *written);

/* Does what is due. Returns VW_LINK_* or an error, and writes to *next_ms when to call again at the
   latest; UINT64_MAX if nothing is due. */
int32_t vw_device_tick(vw_device *device, uint64_t now_ms, uint64_t *next_ms);

/*
 * Keeps a sample taken now; it is stored when this returns and sent when there is a session, until the gateway has it.
 * simulated = 1 if it was made up or played back: it is then marked SIMULATED wherever a person sees it.
 * Writes its number to *number, unless that is NULL.
 */
int32_t vw_device_push(vw_device *device, const vw_value *values, size_t count, uint8_t simulated, uint64_t now_ms,
                       uint64_t *number);

/* Writes the next event to *event. Returns 1 if there was one, 0 if not, or an error. */
int32_t vw_device_event(vw_device *device, vw_event *event);

/* Frees the handle. What is stored stays. */
int32_t vw_device_free(vw_device *device);

#ifdef __cplusplus
}
#endif

#endif

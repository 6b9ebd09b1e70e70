-- Ids and names are text, keys and hashes blobs, times milliseconds since 1970 (UTC). Every table names its doctor.

CREATE TABLE identity (
    doctor          TEXT PRIMARY KEY,
    gateway         TEXT NOT NULL,
    patient_login   BLOB NOT NULL CHECK (length(patient_login) = 32),
    wearable_login  BLOB NOT NULL CHECK (length(wearable_login) = 32),
    alert_signing   BLOB NOT NULL CHECK (length(alert_signing) = 32),
    tls_spki        BLOB NOT NULL CHECK (length(tls_spki) = 32),
    tls_certificate BLOB NOT NULL,
    tls_key         BLOB NOT NULL
) STRICT;

-- An offer is open while it has no outcome; its password is forgotten with the outcome.
CREATE TABLE offers (
    offer      INTEGER PRIMARY KEY,
    doctor     TEXT NOT NULL,
    selector   TEXT NOT NULL,
    password   TEXT,
    kind       TEXT NOT NULL CHECK (kind IN ('patient', 'wearable')),
    patient    TEXT NOT NULL,
    replaces   INTEGER NOT NULL CHECK (replaces IN (0, 1)),
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    tries_left INTEGER NOT NULL CHECK (tries_left >= 0),
    outcome    TEXT CHECK (outcome IN ('used', 'cancelled', 'expired')),
    closed_at  INTEGER,
    CHECK ((outcome IS NULL) = (password IS NOT NULL)),
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX open_offers ON offers (doctor, selector) WHERE outcome IS NULL;

-- Replaced bindings stay: their keys verify the receipts of their time.
CREATE TABLE bindings (
    binding     INTEGER PRIMARY KEY,
    doctor      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('patient', 'wearable')),
    client      TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'active', 'revoked', 'replaced')),
    key_id      TEXT NOT NULL,
    login_key   BLOB NOT NULL,
    receipt_key BLOB CHECK (length(receipt_key) = 32),
    name        TEXT,
    patient     TEXT NOT NULL,
    offer       INTEGER NOT NULL REFERENCES offers,
    paired_at   INTEGER NOT NULL,
    last_seen   INTEGER,
    ended_at    INTEGER,
    CHECK ((ended_at IS NULL) = (state IN ('pending', 'active')))
) STRICT;
CREATE UNIQUE INDEX pending_binding ON bindings (doctor, kind, client) WHERE state = 'pending';
CREATE UNIQUE INDEX current_binding ON bindings (doctor, kind, client) WHERE state IN ('active', 'revoked');

CREATE TABLE tokens (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    doctor  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    client  TEXT NOT NULL,
    suite   INTEGER NOT NULL,
    key_id  TEXT NOT NULL,
    psk     BLOB NOT NULL CHECK (length(psk) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_of_client ON tokens (doctor, kind, client);
CREATE INDEX tokens_by_expiry ON tokens (expires);

-- One row for each distinct batch of a device: with its samples, what an auditor needs to follow the chain.
CREATE TABLE batches (
    batch    INTEGER PRIMARY KEY,
    doctor   TEXT NOT NULL,
    device   TEXT NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash     BLOB NOT NULL CHECK (length(hash) = 32),
    chain_ok INTEGER NOT NULL CHECK (chain_ok IN (0, 1)),
    received INTEGER NOT NULL,
    UNIQUE (doctor, device, hash)
) STRICT;
CREATE INDEX batches_by_previous ON batches (doctor, device, previous);

-- `cursor` only grows: readers of the outbox keep the last one that they have seen.
CREATE TABLE samples (
    cursor        INTEGER PRIMARY KEY AUTOINCREMENT,
    doctor        TEXT NOT NULL,
    patient       TEXT NOT NULL,
    device        TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    batch         INTEGER NOT NULL REFERENCES batches,
    boot          TEXT NOT NULL,
    since_boot_ms INTEGER NOT NULL,
    taken         INTEGER,
    received      INTEGER NOT NULL,
    simulated     INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    quantities    TEXT NOT NULL CHECK (json_valid(quantities)),
    UNIQUE (doctor, device, seq)
) STRICT;
CREATE INDEX samples_of_patient ON samples (doctor, patient, cursor);

CREATE TABLE high_water (
    doctor TEXT NOT NULL,
    device TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (doctor, device)
) STRICT, WITHOUT ROWID;

-- Numbers that were missing when a later one came. Samples that come after all are stored; the row stays.
CREATE TABLE gaps (
    doctor  TEXT NOT NULL,
    device  TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    noticed INTEGER NOT NULL,
    PRIMARY KEY (doctor, device, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE alerts (
    doctor       TEXT NOT NULL,
    alert        TEXT NOT NULL,
    sequence     INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    cancels      TEXT,
    content_hash BLOB NOT NULL CHECK (length(content_hash) = 32),
    signed       BLOB NOT NULL,
    PRIMARY KEY (doctor, alert),
    UNIQUE (doctor, sequence)
) STRICT;
CREATE INDEX alerts_by_cancelled ON alerts (doctor, cancels) WHERE cancels IS NOT NULL;

CREATE TABLE recipients (
    doctor  TEXT NOT NULL,
    alert   TEXT NOT NULL,
    patient TEXT NOT NULL,
    PRIMARY KEY (doctor, alert, patient),
    FOREIGN KEY (doctor, alert) REFERENCES alerts
) STRICT, WITHOUT ROWID;
CREATE INDEX recipients_by_patient ON recipients (doctor, patient);

CREATE TABLE receipts (
    doctor   TEXT NOT NULL,
    alert    TEXT NOT NULL,
    patient  TEXT NOT NULL,
    stage    TEXT NOT NULL CHECK (stage IN ('decrypted', 'acknowledged')),
    received INTEGER NOT NULL,
    signed   BLOB NOT NULL,
    PRIMARY KEY (doctor, alert, patient, stage),
    FOREIGN KEY (doctor, alert, patient) REFERENCES recipients
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    n         INTEGER PRIMARY KEY,
    doctor    TEXT NOT NULL,
    time      INTEGER NOT NULL,
    event     TEXT NOT NULL,
    subject   TEXT NOT NULL,
    source    TEXT NOT NULL,
    detail    TEXT NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash      BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_event ON audit (doctor, event, n);

-- The insert trigger also stops INSERT OR REPLACE, which fires no delete trigger.
CREATE TRIGGER audit_appends BEFORE INSERT ON audit
WHEN NEW.n IS NOT (SELECT coalesce(max(n), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'audit rows follow one another'); END;
CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows do not change'); END;
CREATE TRIGGER audit_stays BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit rows stay'); END;

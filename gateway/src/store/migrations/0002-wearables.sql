-- What wearables are told. The network of an offer is forgotten with its password.

ALTER TABLE offers ADD COLUMN ssid TEXT;
ALTER TABLE offers ADD COLUMN passphrase TEXT CHECK ((passphrase IS NULL) = (ssid IS NULL));

CREATE TABLE settings (
    doctor    TEXT NOT NULL,
    device    TEXT NOT NULL,
    sample_ms INTEGER NOT NULL,
    upload_ms INTEGER NOT NULL,
    PRIMARY KEY (doctor, device)
) STRICT, WITHOUT ROWID;

-- A number that was given to an image is never given to another.
CREATE TABLE firmware (
    image     INTEGER PRIMARY KEY AUTOINCREMENT,
    doctor    TEXT NOT NULL,
    hardware  TEXT NOT NULL,
    version   INTEGER NOT NULL,
    header    BLOB NOT NULL,
    body      BLOB NOT NULL,
    verified  INTEGER NOT NULL CHECK (verified IN (0, 1)),
    published INTEGER NOT NULL,
    UNIQUE (doctor, hardware, version)
) STRICT;

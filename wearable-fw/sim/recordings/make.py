#!/usr/bin/env python3
"""Makes the shipped recordings from the two wheels they come out of (Python 3.9 or later, standard library only).

    pip download scipy==1.9.3 --no-deps --only-binary :all: --python-version 3.10 --platform manylinux2014_x86_64 -d wheels
    pip download heartpy==1.2.7 --no-deps --only-binary :all: -d wheels
    python3 make.py wheels        # writes mitdb-208.rec and heartpy-data3.rec beside this file, prints their sha256

No sample is altered: values are stored as they stand in the source, only the container changes (see README.md).
"""
import ast
import csv
import hashlib
import io
import pathlib
import struct
import sys
import zipfile

HERE = pathlib.Path(__file__).parent


def member(wheels, wheel, name):
    (path,) = wheels.glob(wheel)
    return zipfile.ZipFile(path).read(name)


def write(name, fields, samples):
    header = "vitalward-recording 1\n" + "".join(f"{k}: {v}\n" for k, v in fields) + f"samples: {len(samples)}\n\n"
    data = header.encode("ascii") + struct.pack(f"<{len(samples)}h", *samples)
    (HERE / name).write_bytes(data)
    print(hashlib.sha256(data).hexdigest(), name, len(data))


def ecg(wheels):
    npy = zipfile.ZipFile(io.BytesIO(member(wheels, "scipy-1.9.3-*.whl", "scipy/misc/ecg.dat"))).read("ecg.npy")
    assert npy[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack_from("<H", npy, 8)
    head = ast.literal_eval(npy[10 : 10 + length].decode("latin1"))
    assert head["descr"] == "<u2" and head["shape"] == (108000,), head
    samples = struct.unpack("<108000H", npy[10 + length :])
    write(
        "mitdb-208.rec",
        [
            ("title", "MIT-BIH Arrhythmia Database record 208, lead MLII, 19:35 to 24:35"),
            ("origin", "PhysioNet mitdb, out of scipy 1.9.3 scipy/misc/ecg.dat"),
            ("licence", "ODC-By 1.0; cite Moody and Mark 2001, Goldberger et al. 2000"),
            ("kind", "ecg"),
            ("rate-hz", 360),
            ("zero", 1024),
            ("step", 5),
        ],
        samples,
    )


def ppg(wheels):
    text = member(wheels, "heartpy-1.2.7-*.whl", "heartpy/data/data3.csv").decode("ascii")
    samples = [int(row["hr"]) for row in csv.DictReader(io.StringIO(text))]
    write(
        "heartpy-data3.rec",
        [
            ("title", "PPG of an index finger in a driving simulator, Pulse Sensor and Arduino, 11.4 min"),
            ("origin", "heartpy 1.2.7 heartpy/data/data3.csv"),
            ("licence", "MIT, Copyright (c) 2021 Paul van Gent"),
            ("kind", "ppg"),
            ("rate-hz", 100),
            ("zero", 512),
            ("step", 1),
        ],
        samples,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheels = pathlib.Path(sys.argv[1])
    ecg(wheels)
    ppg(wheels)

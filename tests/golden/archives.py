"""Writes tests/golden/archives: small archives, good ones and such as must be refused.

    /usr/bin/python3 tests/golden/archives.py      (zstd writes one of them)

The good ones hold the same files: `a.txt` "alpha\\n", `d/b.bin` the bytes 0 to 255 twelve times, `d/empty`."""

import gzip
import io
import pathlib
import subprocess
import tarfile
import zipfile

FOLDER = pathlib.Path(__file__).parent / "archives"
FILES = {"a.txt": b"alpha\n", "d/b.bin": bytes(range(256)) * 12, "d/empty": b""}


def tar(entries, format=tarfile.PAX_FORMAT):
    """entries: (name, bytes) for a file, or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(entry[1])
                archive.addfile(info, io.BytesIO(entry[1]))
    return out.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(entries, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, method)
    return out.getvalue()


def save(name, data):
    (FOLDER / name).write_bytes(data)


def save_packed(name, data):
    """Plain tars are long for what they hold; the tests unpack what ends in .tar.gz themselves."""
    save(name, gzip.compress(data, 9, mtime=0))


def good():
    folder = special("d/", tarfile.DIRTYPE)
    entries = [("./a.txt", FILES["a.txt"]), folder, ("d//b.bin", FILES["d/b.bin"]), ("d/empty", b"")]
    for kind, name in ((tarfile.PAX_FORMAT, "pax"), (tarfile.GNU_FORMAT, "gnu"), (tarfile.USTAR_FORMAT, "ustar")):
        save_packed(f"{name}.tar.gz", tar(entries, kind))
    packed = subprocess.run(["zstd", "-19", "--check", "-c"], input=tar(entries), capture_output=True, check=True)
    save("pax.tar.zst", packed.stdout)
    save("deflated.zip", zipped(FILES.items()))
    save("stored.zip", zipped(FILES.items(), zipfile.ZIP_STORED))
    name = "\u00e9" * 60 + ".txt"
    save_packed("unicode.tar.gz", tar([(name, b"x")]))
    save("unicode.zip", zipped([(name, b"x")]))


def refused():
    file = ("a.txt", b"alpha\n")
    save_packed("absolute.tar.gz", tar([file, ("/etc/passwd", b"x")]))
    save_packed("parent.tar.gz", tar([file, ("d/../../x", b"x")]))
    save_packed("twice.tar.gz", tar([file, ("./a.txt", b"beta")]))
    save_packed("symlink.tar.gz", tar([file, special("l", tarfile.SYMTYPE, "/etc/passwd")]))
    save_packed("hardlink.tar.gz", tar([file, special("l", tarfile.LNKTYPE, "a.txt")]))
    save_packed("device.tar.gz", tar([file, special("l", tarfile.CHRTYPE)]))
    save_packed("fifo.tar.gz", tar([file, special("l", tarfile.FIFOTYPE)]))
    save_packed("bomb.tar.gz", gzip.compress(tar([("zeros", bytes(100 << 20))]), 9, mtime=0))
    save("parent.zip", zipped([("a.txt", b"alpha\n"), ("../x", b"x")]))
    save("twice.zip", zipped([("a.txt", b"alpha\n"), ("b.txt", b"beta")]).replace(b"b.txt", b"a.txt"))
    link = zipfile.ZipInfo("l", (2026, 1, 1, 0, 0, 0))
    link.create_system, link.external_attr = 3, 0o120777 << 16
    save("symlink.zip", zipped([(link, b"/etc/passwd")]))
    locked = bytearray(zipped([("a.txt", b"alpha\n")]))
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    save("encrypted.zip", bytes(locked))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    good()
    refused()

"""What a file is, by its first bytes; and by what extension it is saved, of a list of ours.

What its sender calls it decides nothing: a name only picks among the extensions that go with the bytes, so that a program is
never saved as a picture, nor a page as a program.
"""

from pathlib import PurePosixPath

from assistant.content import picture_or_pdf

TEXT, OTHER, PROGRAM = "text/plain", "application/octet-stream", "application/x-executable"

_ZIP = b"PK\x03\x04"
_BEGINNINGS: tuple[tuple[int, bytes, str], ...] = (
    (0, _ZIP, "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x7fELF", PROGRAM),
    (0, b"MZ", PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", PROGRAM),
    (0, b"\xce\xfa\xed\xfe", PROGRAM),
    (0, b"\xca\xfe\xba\xbe", PROGRAM),
)
"""Where, what, and which type. What could be the beginning of a text counts only where a NUL follows."""
_TEXT_BEGINNINGS = ((b"#!", PROGRAM), (b"{\\rtf", "application/rtf"))
_IN_ZIP = (
    (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (b"application/epub+zip", "application/epub+zip"),
    (b"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet"),
)
"""What stands near the start of a zip file that is more than one; it is never unpacked."""
_LOOKED_AT_BYTES = 64 * 1024

_OF_TEXTS = (
    ".txt .csv .tsv .md .json .jsonl .xml .html .yaml .toml .ini .log .sql .py .js .ts .css .c .h .go .rs .java .tex .ics .vcf"
    " .svg .diff .patch"
)
_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg",),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    "application/zip": (".zip", ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".epub", ".jar"),
    _IN_ZIP[0][1]: (".docx",),
    _IN_ZIP[1][1]: (".xlsx",),
    _IN_ZIP[2][1]: (".pptx",),
    _IN_ZIP[3][1]: (".epub",),
    _IN_ZIP[4][1]: (".odt",),
    _IN_ZIP[5][1]: (".ods",),
    "audio/ogg": (".ogg", ".oga", ".opus"),
    "audio/mpeg": (".mp3",),
    "audio/flac": (".flac",),
    "audio/wav": (".wav",),
    "video/mp4": (".mp4", ".m4a", ".mov", ".heic"),
    "video/webm": (".webm", ".mkv"),
    "application/gzip": (".gz", ".tgz"),
    "application/x-7z-compressed": (".7z",),
    "application/vnd.rar": (".rar",),
    "application/x-ole-storage": (".doc", ".xls", ".ppt", ".msg"),
    "application/rtf": (".rtf",),
    "application/vnd.sqlite3": (".sqlite",),
    TEXT: tuple(_OF_TEXTS.split()),
}
"""By type; the first goes where the claimed name ends in none of them."""


def type_of_beginning(beginning: bytes) -> str | None:
    """Which type bytes are that begin so, None for text and what is not known."""
    if known := picture_or_pdf(beginning):
        return known
    looked_at = beginning[:_LOOKED_AT_BYTES]
    for magic, kind in _TEXT_BEGINNINGS:
        if looked_at.startswith(magic):
            return kind
    for at, magic, kind in _BEGINNINGS:
        if looked_at.startswith(magic, at) and (not magic.isascii() or b"\0" in looked_at):
            return next((known for mark, known in _IN_ZIP if mark in looked_at), kind) if magic == _ZIP else kind
    return None


def extension_of(media_type: str, claimed_name: str | None) -> str:
    """The extension that a file of this type is saved by."""
    fitting = _EXTENSIONS.get(media_type, (".bin",))
    claimed = PurePosixPath(claimed_name or "").suffix.lower()
    return claimed if claimed in fitting else fitting[0]

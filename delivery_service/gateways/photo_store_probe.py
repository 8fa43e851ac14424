"""Whether photos can be kept: a file is written and taken away, and the room that is left is looked at."""

import uuid
from shlex import quote

from delivery_service.domain.errors import StorageFull, StorageUnavailable
from delivery_service.gateways.photo_store import FsspecPhotoStore
from servicekit.operations.diagnostics import Diagnosis, Figure, Probe, Severity, fine

LITTLE_BYTES = 1 << 30
"""Less room than this is worth a look."""
A_PHOTO_BYTES = 4 << 20
"""Less than this, and the largest photo is refused."""
FOLDER = "probe"

_FREE = Figure("holdfast_evidence_free_bytes", "How much room the store of photos has left.")

_LOOK_INTO_STORE = (
    'python -c "import fsspec, os;'
    " fs, root = fsspec.url_to_fs(os.environ['DELIVERY_EVIDENCE_URL']); print(fs.ls(root))\""
)


def photo_store_probe(store: FsspecPhotoStore) -> Probe:
    """The file is not named as photos are, and always the same: the next probe takes away what one left behind."""
    name = f"{FOLDER}/{uuid.uuid4().hex}"
    # While every thread of photos is busy, the disk can be told of all the same.
    store = store.aside()
    folder = store.local_folder()
    look = f"df -h {quote(str(folder))}; ls -ld {quote(str(folder))}" if folder else _LOOK_INTO_STORE

    async def ask() -> Diagnosis:
        try:
            await store.put(name, b"probe")
            await store.remove(name)
            free = await store.free_bytes()
        except StorageFull:
            return Diagnosis(Severity.FAIL, "the store of photos is full: every upload is refused", look)
        except StorageUnavailable as error:
            # Only the kind of error: a store's own words may name its keys.
            kind = type(error.__cause__).__name__
            told = f"the store of photos cannot be written ({kind}): every upload is refused"
            return Diagnosis(Severity.FAIL, told, look)
        if free is None:
            return fine("the store of photos takes writes; it does not tell how much room is left")
        told = f"the store of photos takes writes, {free >> 20} MiB are free"
        if free >= LITTLE_BYTES:
            return fine(told, {_FREE: free})
        severity = Severity.WARN if free >= A_PHOTO_BYTES else Severity.FAIL
        return Diagnosis(severity, f"{told}: it is about to be full", look, {_FREE: free})

    return Probe(ask, look)

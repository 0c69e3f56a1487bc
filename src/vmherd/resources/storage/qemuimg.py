"""The commands of qemu-img that make images, as libvirt calls it.

Source: virStorageBackendCreateQemuImgCmdFromVol of libvirt, and qemu-img(1)
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vmherd.conf.domain.storage import Encryption, EncryptionFormat
from vmherd.conf.storage import Volume
from vmherd.errors import InvalidArgument, OperationUnsupported, Unsupported
from vmherd.util.imageheader import ImageHeader

_KIB = 1024


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A volume where it is or shall be; ``secret`` is a file with the passphrase of an encrypted one.

    ``opened`` says how QEMU opens it with all that it is based on, where it shall not find that out by itself.
    """

    volume: Volume
    path: str
    secret: str = ""
    opened: str = ""

    @property
    def format(self) -> str:
        """Its format in QEMU's words."""
        told = self.volume.target.format.type if self.volume.target.format else "raw"
        plain = "raw" if told in ("iso", "none") else told
        return "luks" if plain == "raw" and self.encryption else plain

    @property
    def encryption(self) -> Encryption | None:
        return self.volume.target.encryption

    @property
    def key(self) -> str:
        """The name of the object with the passphrase."""
        return f"{self.volume.name}_encrypt0"

    def matches(self, header: ImageHeader) -> bool:
        """Whether an image with this header is what is asked for here."""
        target = self.volume.target
        features = target.features
        wanted = {"0.10": 2, "1.1": 3}.get(target.compat or "", header.version)
        return (
            self.format == header.format
            and not self.volume.backing
            and not target.no_cow
            and wanted == header.version
            and target.cluster_size in (None, header.cluster_size)
            and bool(features and features.lazy_refcounts) == header.lazy_refcounts
            and bool(features and features.extended_l2) == header.extended_l2
        )

    def objects(self) -> list[str]:
        return ["--object", f"secret,id={self.key},file={_quoted(self.secret)}"] if self.encryption else []

    def options(self) -> str:
        """How QEMU opens it."""
        words = [f"driver={self.format}", f"file.filename={_quoted(self.path)}"]
        if self.encryption:
            words.append(f"{'encrypt.' if self.format == 'qcow2' else ''}key-secret={self.key}")
        return ",".join(words)


def commands(image: Image, source: Image | None = None, *, metadata: bool = False) -> list[list[str]]:
    """What makes ``image``, with the content of ``source``; ``metadata`` prepares all of its tables at once.

    Raises InvalidArgument, Unsupported for what qemu-img cannot do.
    """
    _check(image, metadata)
    if source is None:
        return [_create(image, metadata)]
    _check_same_backing(image, source)
    if image.encryption or source.encryption:
        # It has all of its content itself.
        image = msgspec.structs.replace(image, volume=image.volume.replace(backing=None))
        return [_create(image, metadata), _convert_opened(image, source)]
    return [_convert(image, source, metadata)]


def filling(image: Image, source: Image) -> list[str]:
    """What gives an image that is there already, such as a disk, the content of ``source``."""
    if image.encryption or source.encryption:
        return _convert_opened(image, source)
    return ["qemu-img", "convert", "-n", "-O", image.format, source.opened, image.path]


def _create(image: Image, metadata: bool) -> list[str]:
    size = -(-(image.volume.capacity or 0) // _KIB)
    argv = ["qemu-img", "create", "-f", image.format, *_backing(image), *image.objects()]
    return [*argv, *_options(image, metadata), image.path, f"{size}K"]


def _convert(image: Image, source: Image, metadata: bool) -> list[str]:
    kind = [] if source.opened else ["-f", source.format]
    argv = ["qemu-img", "convert", *kind, "-O", image.format, *_backing(image, "-B")]
    return [*argv, *_options(image, metadata), source.opened or source.path, image.path]


def _convert_opened(image: Image, source: Image) -> list[str]:
    """Into an image that is there already."""
    argv = ["qemu-img", "convert", *([] if source.opened else ["--image-opts"]), "-n", "--target-image-opts"]
    return [*argv, *image.objects(), *source.objects(), source.opened or source.options(), image.options()]


def _backing(image: Image, option: str = "-b") -> list[str]:
    backing = image.volume.backing
    return [option, backing.path] if backing and backing.path else []


def _options(image: Image, metadata: bool) -> list[str]:
    found = list(_details(image, metadata))
    return ["-o", ",".join(found)] if found else []


def _details(image: Image, metadata: bool) -> Iterator[str]:
    volume, target = image.volume, image.volume.target
    yield from _encryption(image)
    if volume.backing and volume.backing.path:
        yield f"backing_fmt={volume.backing.format.type if volume.backing.format else 'raw'}"
    if metadata:
        whole = (volume.allocation or 0) >= (volume.capacity or 0)
        yield f"preallocation={'falloc' if whole else 'metadata'}"
    if target.no_cow:
        yield "nocow=on"
    if image.format == "qcow2":
        yield f"compat={target.compat or '0.10'}"
        if target.cluster_size:
            yield f"cluster_size={target.cluster_size}"
        if target.features and target.features.lazy_refcounts:
            yield "lazy_refcounts"
        if target.features and target.features.extended_l2:
            yield "extended_l2=on"


def _encryption(image: Image) -> Iterator[str]:
    encryption = image.encryption
    if encryption is None:
        return
    prefix = "encrypt." if image.format == "qcow2" else ""
    if prefix:
        yield "encrypt.format=luks"
    yield f"{prefix}key-secret={image.key}"
    if cipher := encryption.cipher:
        yield f"{prefix}cipher-alg={cipher.name}-{cipher.size}"
        if cipher.mode:
            yield f"{prefix}cipher-mode={cipher.mode}"
        if cipher.hash:
            yield f"{prefix}hash-alg={cipher.hash}"
    if start := encryption.ivgen:
        yield f"{prefix}ivgen-alg={start.name}"
        if start.hash:
            yield f"{prefix}ivgen-hash-alg={start.hash}"


def _check(image: Image, metadata: bool) -> None:
    target = image.volume.target
    if image.encryption:
        _check_encryption(image)
    if metadata and image.format != "qcow2":
        raise InvalidArgument("metadata preallocation only available with qcow2", hint="leave it out")
    if metadata and image.volume.backing:
        raise InvalidArgument("metadata preallocation conflicts with backing store", hint="leave one of them out")
    if target.features and target.features.lazy_refcounts and target.compat == "0.10":
        place = "volume/target/features"
        raise Unsupported("lazy_refcounts not supported with compat level 0.10", place=place, hint="use compat 1.1")


def _check_same_backing(image: Image, source: Image) -> None:
    """What is copied of an image with a base is what it has itself, if the copy has a base."""
    ours, theirs = image.volume.backing, source.volume.backing
    if ours and theirs and ours.path != theirs.path:
        text = "a different backing store cannot be specified."
        raise OperationUnsupported(text, hint="name the same one, or none: then it has all of the content itself")


def _check_encryption(image: Image) -> None:
    assert image.encryption  # the caller has looked
    place = "volume/target/encryption"
    if image.format not in ("luks", "qcow2"):
        raise Unsupported(f"volume encryption unsupported with format {image.format}", place=place, hint="use qcow2")
    if image.encryption.format is not EncryptionFormat.LUKS:
        text = f"unsupported volume encryption format {str(image.encryption.format)!r}"
        raise Unsupported(text, place=f"{place}/@format", hint="use 'luks'")
    if len(image.encryption.secrets) != 1:
        raise Unsupported("a volume is encrypted with one secret", place=f"{place}/secret", hint="name one")


def _quoted(text: str) -> str:
    """Commas are doubled where they would end a value."""
    return text.replace(",", ",,")

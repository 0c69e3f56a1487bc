"""Stand-ins that several tests share."""

from __future__ import annotations

from pathlib import Path

from vmherd.conf.domain.video import Video


class Numbers:
    """Numbers in place of open descriptors."""

    def listen(self, _: Path) -> int:
        return 101

    def output(self, _: Path, *, append: bool) -> int:
        return 102 if append else 103

    def log(self, _: Path, *, append: bool) -> int:
        return 104 if append else 105

    def tpm(self, _: Path) -> int:
        return 106

    def tpm_cancel(self, _: Path) -> int:
        return 107

    def vsock(self, cid: int | None) -> tuple[int, int]:
        return 108, cid or 3

    def gpu(self, _: Video) -> int:
        return 109

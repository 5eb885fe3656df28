"""A program of its own, run by handlers/transcribe.py and never imported: hears a clip on stdin, and says what, line by line.

    {"seconds": 12.3, "language": "en"}  ─▶ {"done_s": 4.0, "text": " Hello."} … ─▶ {"end": true}
    or {"refused": why}: the clip cannot be heard; or {"failed": why}: something else is wrong

It imports nothing of the project, and needs no secret: it decodes what strangers have sent. The clip is decoded here, not by
faster-whisper, so that one that says it is short and is not takes no more memory than the longest that is allowed.
"""

import io
import json
import os
import sys
from typing import Any

import av
import numpy as np
from faster_whisper import WhisperModel

RATE_HZ = 16_000
"""What Whisper hears."""


def main() -> None:
    """Hear one clip."""
    os.nice(10)  # whoever else works on this host comes first
    given = json.loads(sys.argv[1])
    try:
        sound = decoded(sys.stdin.buffer.read(), given["longest_s"])
    except (av.FFmpegError, IndexError, ValueError) as error:
        say({"refused": f"it is no sound that can be read ({type(error).__name__})"})
        return
    if sound is None:
        say({"refused": f"it is longer than {given['longest_s']:g} s"})
        return
    model = WhisperModel(
        given["model"],
        device=given["device"],
        compute_type=given["compute_type"],
        local_files_only=given["is_folder"],
    )
    heard, info = model.transcribe(sound, language=given["language"], vad_filter=False)
    say({"seconds": round(len(sound) / RATE_HZ, 2), "language": info.language})
    for segment in heard:
        say({"done_s": round(segment.end, 2), "text": segment.text})
    say({"end": True})


def decoded(clip: bytes, longest_s: float) -> Any:
    """The sound of a clip as an array of float32 at 16 kHz; None where it is longer than that."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    parts, samples = [], 0
    with av.open(io.BytesIO(clip), mode="r", metadata_errors="ignore") as container:
        for frame in container.decode(container.streams.audio[0]):
            for part in resampler.resample(frame):
                parts.append(part.to_ndarray().reshape(-1))
                samples += len(parts[-1])
            if samples > longest_s * RATE_HZ:
                return None
    if not samples:
        raise ValueError
    return np.concatenate(parts).astype(np.float32) / 32768.0


def say(line: dict[str, Any]) -> None:
    """Write a line at once."""
    print(json.dumps(line), flush=True)  # noqa: T201 - it is what the program is for


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001 - whoever started it is told in one line, whatever it is
        say({"failed": f"{type(error).__name__}: {error}"[:500]})
        sys.exit(1)

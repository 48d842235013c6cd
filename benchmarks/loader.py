"""Pictures a second from JPEG files to batches in memory, by the number of worker processes.

    python -m benchmarks.loader
    python -m benchmarks.loader --workers=0,2,8 --batch=16 --height=480 --width=640

The files are written to a temporary folder. A run's first batches, while workers start, are not counted. A second table
has the time of each step of one picture in one thread: the least of all pictures.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from absl import app, flags

from benchmarks._measure import machine, print_table, write_json
from lad_jax.data import DataOptions, make_plan, open_dataset, train_batches
from lad_jax.data.options import FolderOptions
from lad_jax.data.pictures import decode_picture
from lad_jax.data.transforms import flip_picture, resize, resized_hw
from lad_jax.rounding import round_up

FLAGS = flags.FLAGS
flags.DEFINE_list("workers", ["0", "1", "2", "4"], "Numbers of worker processes; 0: a thread.")
flags.DEFINE_integer("height", 480, "Of the files' pictures.")
flags.DEFINE_integer("width", 640, "Of the files' pictures.")
flags.DEFINE_integer("short_side", 800, "That they are resized to; the longer one is at most 1333.")
flags.DEFINE_integer("batch", 16, "Pictures a batch.")
flags.DEFINE_integer("batches", 12, "Timed batches.")
flags.DEFINE_integer("rounds", 2, "How often each number of workers is timed, in turns; the best is shown.")
flags.DEFINE_integer("files", 64, "Different pictures.")
flags.DEFINE_string("json", "", "File to write the figures to.")


def write_pictures(folder: Path) -> None:
    """Write pictures, smooth colours with noise, of about as many bytes a pixel as photographs, and annotations."""
    rng, (height, width) = np.random.default_rng(0), (FLAGS.height, FLAGS.width)
    images, annotations = [], []
    for number in range(FLAGS.files):
        smooth = cv2.resize(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8), (width, height))
        noisy = np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), noisy, [cv2.IMWRITE_JPEG_QUALITY, 90])
        images.append({"id": number, "file_name": f"{number}.jpg", "height": height, "width": width})
        box = [0.25 * width, 0.25 * height, 0.5 * width, 0.5 * height]
        size = {"bbox": box, "area": box[2] * box[3]}
        annotations.append({"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, **size})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / "annotations.json").write_text(json.dumps(content))


def pictures_per_second(options: DataOptions) -> tuple[float, float]:
    """Pictures a second, and the seconds until the first batch."""
    dataset = open_dataset(options, "train")
    plan = make_plan(dataset, options, batch_size=FLAGS.batch, seed=0)
    # What the workers have made ahead when the clock starts is as much as they have when it stops.
    ahead = 4 * max(options.workers, 1)
    since = time.perf_counter()
    batches = train_batches(dataset, plan, options, start_step=0, num_steps=2 * ahead + FLAGS.batches)
    next(batches)
    started = time.perf_counter() - since
    for _ in range(ahead - 1):
        next(batches)
    since = time.perf_counter()
    for _ in range(FLAGS.batches):
        next(batches)
    seconds = time.perf_counter() - since
    batches.close()
    return FLAGS.batches * FLAGS.batch / seconds, started


def stages(folder: Path) -> dict[str, float]:
    """Milliseconds of each step of one picture, in one thread."""
    cv2.setNumThreads(1)
    hw = resized_hw(np.array([FLAGS.height, FLAGS.width]), short_side=FLAGS.short_side, long_side=1333)
    canvas = np.zeros((*round_up(hw, 32), 3), np.uint8)
    least: dict[str, float] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        since = time.perf_counter()
        result = run()
        least[name] = min(least.get(name, np.inf), 1e3 * (time.perf_counter() - since))
        return result

    def place(picture: Any) -> None:
        canvas[: hw[0], : hw[1]] = picture

    for file in sorted(folder.glob("*.jpg")):
        data = timed("read the file", file.read_bytes)
        picture = timed("decode", lambda data=data: decode_picture(data, "picture"))
        resized = timed("resize", lambda picture=picture: resize(picture, hw))
        flipped = timed("flip", lambda resized=resized: flip_picture(resized))
        timed("place on the canvas", lambda flipped=flipped: place(flipped))
        timed("copy out of shared memory", lambda: np.array(canvas))
    return least


def main(_: list[str]) -> None:
    best: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder)
        kilobytes = sum(file.stat().st_size for file in folder.glob("*.jpg")) / FLAGS.files / 1e3
        source = FolderOptions(images=name, annotations=str(folder / "annotations.json"))
        for _ in range(FLAGS.rounds):
            for workers in map(int, FLAGS.workers):
                options = DataOptions(train=source, workers=workers, short_side=FLAGS.short_side, canvases=1)
                best[workers] = max(best.get(workers, (0.0, 0.0)), pictures_per_second(options))
        costs = stages(folder)
    title = (
        f"{FLAGS.height}x{FLAGS.width} JPEG of {kilobytes:.0f} kB to a short side of {FLAGS.short_side}, {machine()}"
    )
    print(f"{title}\n")
    print_table([{"workers": n, "pictures/s": rate, "first batch after s": s} for n, (rate, s) in best.items()])
    print_table([{"step of one picture": step, "ms": ms} for step, ms in costs.items()])
    print(f"decoding alone: {1e3 / costs['decode']:.0f} pictures/s a core")
    rates = {n: {"pictures_s": rate, "first_batch_s": s} for n, (rate, s) in best.items()}
    write_json(FLAGS.json, {"title": title, "workers": rates, "stages_ms": costs})


if __name__ == "__main__":
    app.run(main)
